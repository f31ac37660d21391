# SPDX-License-Identifier: Apache-2.0
"""What a latch gives to one who comes late, over real DDS."""

import pytest
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from expo_ft_ros.graph.topics import TOPICS, VIEW, topic
from expo_ft_ros.ros.qos import message_type, reader_qos

# Of nodes/ready, which every node writes to, each writer's word is a state of its own.
STATES = [
    name.replace(VIEW, "side")
    for name, entry in TOPICS.items()
    if entry.durability == "transient_local" and entry.publishers != ("every",)
]


@pytest.mark.parametrize("name", STATES)
def test_who_comes_late_hears_the_newest_state_only(graph, name):
    """As `ros2 topic echo --once`, which shows the first that it hears."""
    probe = graph.probe
    pytest.importorskip(topic(name).type.partition("/")[0])
    type_ = message_type(topic(name).type)
    out = probe.publisher(name)
    sent = [type_() for _ in range(3)]
    for message in sent:
        out.publish(message)
    late = []
    qos = QoSProfile(
        depth=10,
        reliability=ReliabilityPolicy.RELIABLE,
        durability=DurabilityPolicy.TRANSIENT_LOCAL,
    )
    probe.node.create_subscription(type_, name, late.append, qos)
    probe.until(lambda: late, "the newest state")
    probe.spin(0.2)
    assert len(late) == 1


@pytest.mark.parametrize("name", STATES)
def test_a_busy_subscriber_has_room_for_several_states(name):
    assert reader_qos(topic(name)).depth >= 10

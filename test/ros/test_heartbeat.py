# SPDX-License-Identifier: Apache-2.0
"""A callback that computes is no sign of death, one that hangs is, and so is a node's end."""

import time

import rclpy

from expo_ft_ros.ros.graph_node import GraphNode
from expo_ft_ros.ros.heartbeat import HeartbeatPublisher
from expo_ft_ros.ros.process import make_executor
from support.browser import wait_until

PATIENCE = 0.3


def test_it_beats_until_nobody_has_touched_it_for_its_patience_and_again_once_touched():
    beats = []
    heart = HeartbeatPublisher(lambda: beats.append(time.monotonic()), 0.01, PATIENCE)
    try:
        wait_until(lambda: len(beats) > 2, "a beat")
        wait_until(lambda: time.monotonic() - beats[-1] > PATIENCE, "its silence")
        count = len(beats)
        heart.kick()
        wait_until(lambda: len(beats) > count, "a beat again")
    finally:
        heart.stop()
    count = len(beats)
    heart.kick()
    assert not heart.is_running
    assert len(beats) == count


class Computes(GraphNode):
    """Writes down whether it seems alive while it is torn down."""

    NAME = "policy"
    CALLBACK_TIMEOUT = 2.0
    beats_in_teardown = None

    def _teardown(self) -> None:
        if self.beats_in_teardown is None:
            self.beats_in_teardown = self.health.is_beating


def test_a_node_that_ends_is_silent_at_once_however_long_its_teardown(graph):
    rclpy.init(domain_id=graph.domain)
    try:
        node = Computes()
        executor = make_executor()
        executor.add_node(node)
        node.start()

        def beats() -> bool:
            executor.spin_until_future_complete(rclpy.Future(), timeout_sec=0.05)
            return node.health.is_beating

        wait_until(beats, "its heart")
        node.close()
        assert node.beats_in_teardown is False
        node.destroy_node()
    finally:
        rclpy.try_shutdown()

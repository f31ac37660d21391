# SPDX-License-Identifier: Apache-2.0
"""A topic's one sender is heard, and nobody else."""

from __future__ import annotations

import time

import pytest
from expo_ft_ros.msg import Observation
from geometry_msgs.msg import PoseStamped, TwistStamped
from hypothesis import given
from hypothesis import strategies as st
from sensor_msgs.msg import JointState

from expo_ft_ros.robots import load_robot
from expo_ft_ros.ros.health import DROPPED_SHOWN
from expo_ft_ros.ros.messages import header_of
from expo_ft_ros.ros.publisher_guard import PublisherGuard

ROBOT = load_robot("sim")


def takes(one: PublisherGuard, sender: int) -> bool:
    return one.accepts({"publisher_gid": {"data": bytes([sender])}})


class Publishers:
    """count is what the middleware says of those who are there."""

    def __init__(self, *there: int, count: int | None = None) -> None:
        self.there, self.count = there, len(there) if count is None else count

    def sender(self, **how: bool) -> PublisherGuard:
        return PublisherGuard(
            lambda: self.count, lambda: [bytes([one]) for one in self.there], **how
        )

    def become(self, *there: int, count: int | None = None) -> None:
        self.there, self.count = there, len(there) if count is None else count


@given(st.lists(st.integers(1, 3)))
def test_whoever_was_alone_stays_the_sender_until_he_is_gone(others):
    publishers = Publishers(0)
    one = publishers.sender()
    assert takes(one, 0)
    publishers.become(0, 1, 2, 3)
    assert all(takes(one, 0) and not takes(one, other) for other in others)
    publishers.become(1)
    assert takes(one, 1), "a driver that was started anew"
    publishers.become(1, 0)
    assert not takes(one, 0)


def test_of_a_command_nobody_inherits_the_robot_who_was_refused_before():
    publishers = Publishers(0)
    one = publishers.sender(reject_permanently=True)
    assert takes(one, 0)
    publishers.become(0, 1)
    assert not takes(one, 1)
    publishers.become(1)
    assert not takes(one, 1)
    publishers.become(2)
    assert takes(one, 2), "the next run's"


def test_who_was_met_alone_is_the_sender_though_he_was_silent():
    publishers = Publishers(0)
    one = publishers.sender(reject_permanently=True)
    one.refresh()
    publishers.become(0, 1)
    one.refresh()
    assert not takes(one, 1)
    assert takes(one, 0)


def test_who_comes_later_and_is_silent_is_met_and_who_comes_in_his_place():
    publishers = Publishers()
    one = publishers.sender()
    one.refresh()
    publishers.become(0)
    one.refresh()
    publishers.become(0, 1)
    one.refresh()
    assert takes(one, 0)
    assert not takes(one, 1)
    publishers.become(0)
    one.refresh()
    publishers.become(2)
    one.refresh()
    publishers.become(1, 2)
    assert takes(one, 2)


def test_who_was_refused_is_not_met():
    publishers = Publishers(0)
    one = publishers.sender(reject_permanently=True)
    one.refresh()
    publishers.become(0, 1)
    assert not takes(one, 1)
    publishers.become(1)
    one.refresh()
    assert not takes(one, 1)


def test_who_speaks_before_he_is_counted_is_not_the_one_who_is():
    publishers = Publishers(0)
    one = publishers.sender()
    assert not takes(one, 1)
    assert takes(one, 0)


def test_where_identities_are_not_told_who_is_heard_alone_is_the_sender():
    """Of Cyclone DDS."""
    count = 1
    one = PublisherGuard(lambda: count, list)
    one.refresh()
    assert takes(one, 0)
    count = 2
    assert takes(one, 0)
    assert not takes(one, 1)


@pytest.mark.parametrize("there", [(), (0, 1)])
def test_nobody_is_met_where_nobody_is_alone(there):
    publishers = Publishers(*there)
    one = publishers.sender()
    one.refresh()
    publishers.become(1)
    assert takes(one, 1)


def test_a_message_that_comes_before_its_sender_is_counted_is_another_s():
    publishers = Publishers(0)
    one = publishers.sender()
    assert takes(one, 0)
    publishers.become(0, 1, count=1)
    assert not takes(one, 1)
    assert takes(one, 0)


def test_of_two_from_the_beginning_none_is_believed():
    publishers = Publishers(0, 1)
    one = publishers.sender()
    assert not takes(one, 0)
    assert not takes(one, 1)
    publishers.become(1)
    assert takes(one, 1)


def test_where_nobody_can_tell_everybody_is_believed():
    assert Publishers(0, 1).sender().accepts({"source_timestamp": 0})


class Arm:
    """States of a robot whose fingers are that far open [m]; proprio passes them on."""

    def __init__(self, graph) -> None:
        self.probe = graph.probe
        self.joints = self.probe.publisher("joint_states")
        self.pose = self.probe.publisher("robot/tcp_pose")
        self.twist = self.probe.publisher("robot/tcp_twist")
        self.got = self.probe.gather("proprio")
        self.health = self.probe.gather("/diagnostics")
        self.ready = self.probe.gather("nodes/ready")

    def show(self, joints, width: float) -> None:
        header = header_of(time.time_ns(), "base")
        positions = [0.0] * len(ROBOT.joints) + [width / 2] * 2
        names = [*ROBOT.joints, *ROBOT.fingers]
        joints.publish(JointState(header=header, name=names, position=positions))
        self.twist.publish(TwistStamped(header=header))
        pose = PoseStamped(header=header)
        pose.pose.orientation.w = 1.0
        self.pose.publish(pose)
        self.probe.spin(0.05)

    def hear_of_two(self, second) -> None:
        """Shows the second one's state until it is said that there are two."""
        self.probe.matched()
        while not self.says("joint_states: 2 publish here"):
            self.show(second, 0.07)

    def says(self, words: str) -> bool:
        return any(words in status.message for m in self.health for status in m.status)

    def widths(self) -> set[float]:
        return {message.gripper_width for message in self.got}


def test_a_second_driver_is_not_heard_until_the_first_is_gone(graph):
    arm = Arm(graph)
    graph.start("proprio")
    arm.probe.until(lambda: arm.ready, "ready")
    arm.show(arm.joints, 0.01)
    arm.probe.until(lambda: arm.got, "a state")
    second = arm.probe.publisher("joint_states")
    arm.hear_of_two(second)
    arm.show(arm.joints, 0.02)
    arm.probe.until(lambda: 0.02 in arm.widths(), "the first one's state")
    assert 0.07 not in arm.widths()
    arm.probe.node.destroy_publisher(arm.joints)
    while 0.07 not in arm.widths():
        arm.show(second, 0.07)


def test_a_second_driver_is_not_heard_also_where_he_is_the_first_to_speak(graph):
    arm = Arm(graph)
    graph.start("proprio")
    arm.probe.until(lambda: arm.ready, "ready")
    second = arm.probe.publisher("joint_states")
    arm.hear_of_two(second)
    arm.show(arm.joints, 0.02)
    arm.probe.until(lambda: arm.got, "the first one's state")
    assert arm.widths() == {0.02}


def test_what_a_second_one_said_is_an_error_for_some_seconds_only(graph):
    """Of a node that has nothing else to say of itself."""
    probe = graph.probe
    first = probe.publisher("observation")
    health, ready = probe.gather("/diagnostics"), probe.gather("nodes/ready")
    probe.gather("reward")
    graph.start("reward")
    probe.until(lambda: ready, "ready")
    second = probe.publisher("observation")
    probe.matched()

    def newest() -> str:
        return next(
            (s.message for m in reversed(health) for s in m.status if s.name == "reward"), ""
        )

    while "2 publish here" not in newest():
        second.publish(Observation())
        probe.spin(0.05)
    probe.until(lambda: newest() == "ready", "its health", timeout=DROPPED_SHOWN + 5)
    assert first.get_subscription_count() == 1


def test_with_two_drivers_a_node_is_not_ready(graph):
    arm = Arm(graph)
    second = arm.probe.publisher("joint_states")
    graph.start("proprio")
    arm.probe.matched()
    for _ in range(20):
        arm.show(second, 0.07)
    assert arm.says("joint_states: 2 publish here")
    assert not arm.ready
    assert not arm.got
    arm.probe.node.destroy_publisher(second)
    arm.probe.until(lambda: arm.ready, "ready")
    arm.show(arm.joints, 0.01)
    arm.probe.until(lambda: arm.got, "a state")


def test_a_stranger_may_stop_the_robot_but_not_move_it(graph):
    """`nodes/stop.py` does, while an arbitration that has died may still seem to be there."""
    probe = graph.probe
    arbitration = probe.publisher("robot/twist_cmd")
    speeds = probe.gather("robot/tcp_twist", reliable=False)
    graph.start("sim")
    probe.matched()
    probe.until(lambda: speeds, "the robot")

    def command(publisher, x: float, pause: float = 0.03) -> None:
        message = TwistStamped(header=header_of(time.time_ns(), "base"))
        message.twist.linear.x = x
        publisher.publish(message)
        probe.spin(pause)

    def speed() -> float:
        return speeds[-1].twist.linear.x

    while speed() < 0.1:
        command(arbitration, 0.2)
    while abs(speed()) > 0.005:
        command(arbitration, 0.0)
    stranger = probe.publisher("robot/twist_cmd")
    probe.matched()
    mark = len(speeds)
    for _ in range(20):
        command(stranger, 0.2)
    assert max(abs(m.twist.linear.x) for m in speeds[mark:]) < 0.01
    mark = len(speeds)
    for _ in range(20):
        command(arbitration, 0.2, pause=0.0)
        # Right behind it, so that a reader who keeps one would have lost it.
        command(stranger, -0.2)
    assert speed() > 0.1
    assert all(m.twist.linear.x > -0.01 for m in speeds[mark:])
    command(stranger, 0.0)
    probe.until(lambda: speed() < 0.02, "the stop", timeout=0.15)

# SPDX-License-Identifier: Apache-2.0
"""An arm that is driven joint by joint, over DDS, before a peer that does as ros2_control does."""

from __future__ import annotations

import signal
import time
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("pinocchio", reason="Pinocchio is not installed (requirements/dev.lock)")

from std_msgs.msg import Float64MultiArray

from expo_ft_ros.configuration import config_dir
from expo_ft_ros.nodes.velocity_guard import SILENCE
from expo_ft_ros.robots import load_robot
from expo_ft_ros.robots.arm_model import ArmModel
from expo_ft_ros.robots.joint_group_config import VELOCITY_GUARD
from support.arms import UR5E
from support.controllers import Controlled, following
from support.foreign_interfaces import environment_with, foreign_interfaces

pytestmark = [
    pytest.mark.timeout(400),  # The interfaces may have to be generated.
    pytest.mark.process,
    pytest.mark.realtime,
    pytest.mark.slow,
]

POSITIONS = "ur5e_positions"
WITHIN = 0.25
LATE = 0.1
"""What a busy machine may be late by [s]."""


@pytest.fixture(scope="module", autouse=True)
def _robots(tmp_path_factory):
    """The shipped robot, and one whose controller takes positions and whose gripper is told by
    ParallelGripperCommand."""
    folder = tmp_path_factory.mktemp("robots")
    text = (config_dir() / "robots" / "ur5e.yaml").read_text()
    for old, new in (
        ("name: ur5e\n", f"name: {POSITIONS}\n"),
        ("interface: velocity", "interface: position"),
        ("kind: command", "kind: parallel"),
        ("forward_velocity", "forward_position"),
        ("  tip: tool0", "  max_condition: 12\n  tip: tool0"),
    ):
        assert old in text
        text = text.replace(old, new, 1)
    (folder / f"{POSITIONS}.yaml").write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EXPO_FT_ROBOTS", str(folder))
        for name, value in environment_with(foreign_interfaces()).items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="module")
def shared(request, tmp_path_factory, _robots):
    """An adapter of that robot that follows commands; tests use it one by one."""
    with following(request.param, tmp_path_factory.mktemp(request.param)) as it:
        yield it


@pytest.fixture
def running(shared):
    shared.begin_anew()
    return shared


def on(*kinds):
    return pytest.mark.parametrize("shared", kinds, indirect=True)


def numbers(it):
    return np.array([target.numbers for target in it.targets])


@on("ur5e", POSITIONS)
def test_it_moves_as_commanded_in_the_words_of_its_controller(running):
    it = running
    it.targets.clear()
    it.twists.clear()

    def is_measured():
        """Whether its newest velocities are as commanded; where somebody was halted it stands."""
        speeds = [abs(m.twist.linear.x) for m in it.twists[-20:]]
        return len(speeds) == 20 and np.median(speeds) == pytest.approx(0.08, rel=0.2)

    for _ in range(6):
        it.move(0.04)
        if is_measured():
            break
    assert is_measured()
    publishers = it.probe.node.get_publishers_info_by_topic(it.robot.controller.target)
    guarded = [VELOCITY_GUARD] if it.kind == "ur5e" else []
    assert sorted(p.node_name for p in publishers) == ["robot", *guarded]
    for publisher in publishers:
        assert publisher.qos_profile.reliability.name == "RELIABLE"
        assert publisher.qos_profile.durability.name == "VOLATILE"
        assert publisher.topic_type == "std_msgs/msg/Float64MultiArray"
    assert numbers(it).shape[1] == len(it.robot.joints)
    assert it.heard["ignored"] == 0
    stamps = np.array([it.stamp(m) for m in it.targets])
    assert 1e9 / np.median(np.diff(stamps)) > 0.8 * it.robot.state_rate
    # In the file's order, whatever the driver's is, and the tool is where these joints have it.
    assert list(it.joints[-1].name) == [*it.robot.joints, *it.robot.fingers]
    assert it.opening == pytest.approx(0.085, abs=1e-3)
    assert {m.header.frame_id for m in it.poses[-20:]} == {"base_link"}
    model = ArmModel(UR5E, it.robot.joints, "base_link", "tool0")
    found, _ = model.pose(np.array(it.joints[-1].position[:6]))
    told = it.poses[-1].pose.position
    np.testing.assert_allclose([told.x, told.y, told.z], found, atol=0.01)


@on("ur5e")
def test_its_velocities_are_within_limits_and_change_smoothly(running):
    it = running
    it.move()
    it.targets.clear()
    it.move(0.05)
    speeds, stamps = numbers(it), np.array([it.stamp(m) for m in it.targets])
    config = it.robot.joint_group
    assert np.abs(speeds).max() <= config.velocity_share * np.pi + 1e-9
    # A stop, for want of a command while this process was halted, is at once.
    going = speeds[1:].any(axis=1)
    times = 1e-9 * np.maximum(np.diff(stamps), 1e9 / it.robot.state_rate)
    change = np.abs(np.diff(speeds, axis=0)).max(axis=1)
    assert (change / times)[going].max() <= 2.1 * config.joint_acceleration


@on("ur5e", POSITIONS)
def test_a_controller_whose_joints_have_another_order_gets_no_motion(running):
    it = running
    it.move()
    it.do("order")
    it.drive(lambda: it.told("its joints are wrist_3_joint, wrist_2_joint"), "its word", x=0.08)
    stands = it.rest()
    it.targets.clear()
    it.insist()
    assert it.x == pytest.approx(stands, abs=1e-4)
    assert not it.targets
    it.targets.clear()
    it.do("as_loaded")
    it.drive(lambda: it.targets, "its next number", x=0.08)
    begins_from_rest(it)
    it.move()


def begins_from_rest(it):
    """Nothing of an earlier motion is gone on with."""
    first, config = numbers(it)[0], it.robot.joint_group
    if config.interface == "velocity":
        assert np.abs(first).max() <= 2.1 * config.joint_acceleration / it.robot.state_rate
    else:
        assert np.abs(first - it.joints[-1].position[:6]).max() < 5e-3


@on("ur5e", POSITIONS)
@pytest.mark.parametrize("other", ["effort", "the other"])
def test_a_controller_of_another_interface_gets_no_number(running, other):
    """Speeds taken for angles would drive all joints to zero."""
    it = running
    it.move()
    own = it.robot.joint_group.interface
    other = {"velocity": "position", "position": "velocity"}[own] if other != "effort" else other
    it.do(other)
    it.drive(lambda: it.told(f"its interface_name is '{other}'"), "its word", x=0.08)
    stands = it.rest()
    it.targets.clear()
    it.insist()
    assert it.x == pytest.approx(stands, abs=1e-4)
    assert not it.targets
    it.do(own)
    it.drive(lambda: it.targets, "its next number", x=0.08)
    begins_from_rest(it)
    it.move()


@on("ur5e")
def test_a_description_of_another_arm_stops_it_by_name(running):
    it = running
    it.move()
    it.do("undescribed")
    it.drive(lambda: it.told("the URDF has no link 'base_link' (known: a; "), "its word", x=0.08)
    stands = it.rest()
    it.insist()
    assert it.x == pytest.approx(stands, abs=1e-4)
    it.do("described")
    it.move()


@on("ur5e", POSITIONS)
def test_a_model_that_changes_while_it_moves_stops_it_first(running):
    """A calibrated URDF that comes late, say: the arm goes on by it, from rest."""
    it = running
    it.move()
    it.health.clear()
    it.do("calibrated")
    it.drive(lambda: it.told("another URDF has come"), "its word", x=0.08)
    it.move()


@on(POSITIONS)
def test_what_slows_it_down_is_told(running):
    """Far from its column an arm comes to be stretched."""
    it = running
    it.drive(lambda: it.told("near a singularity: condition "), "its word", x=0.1)
    for _ in range(10):
        it.command(0.1)
        it.probe.spin(0.1)
    stands = it.rest()
    it.insist()
    assert it.x == pytest.approx(stands, abs=5e-3)
    assert stands < it.robot.workspace.high[0] - 0.05, "the workspace hasn't ended"
    assert not any(m.data for m in it.faults)
    it.drive(lambda: it.x < stands - 0.05, "the way back", x=-0.08)


@on(POSITIONS)
def test_an_arm_that_was_guided_by_hand_is_not_pulled_back(running):
    it = running
    it.move()
    stands = it.rest()
    it.do(f"guide {stands + 0.15}")
    it.probe.spin(2.0)
    assert it.x == pytest.approx(stands + 0.15, abs=2e-3)
    it.do(f"guide {stands}")
    it.probe.spin(1.5)
    it.move()


@on(POSITIONS)
def test_a_parallel_gripper_gets_each_goal_once(running):
    it = running
    it.health.clear()
    before = len(it.heard["goals"])
    it.drive(lambda: it.opening < 0.002, "the closed hand", grip=-0.12)
    it.drive(it.is_open, "the open hand", grip=0.12)
    it.probe.until(lambda: len(it.heard["goals"]) >= before + 2, "its goals")
    it.probe.spin(0.5)
    goals, stalls = it.heard["goals"][before:], it.stalls()
    assert {goal["kind"] for goal in goals} == {"ParallelGripperCommand_Goal"}
    assert goals[0]["width"] == pytest.approx(0.0)
    assert goals[-1]["width"] == pytest.approx(0.085)
    assert len(goals) <= 2 + 2 * stalls


def test_a_killed_adapter_leaves_positions_where_they_are(graph):
    it = Controlled(graph, POSITIONS)
    it.start_commander()
    it.adapter.send(signal.SIGKILL)
    it.adapter.wait()
    stands = it.rest()
    it.probe.spin(0.5)
    assert it.x == pytest.approx(stands, abs=1e-4)


def test_without_its_guard_nothing_moves(graph):
    it = Controlled(graph, "ur5e")
    it.start_commander()
    it.guard.send(signal.SIGKILL)
    it.guard.wait()
    it.probe.until(lambda: it.told("velocity_guard doesn't listen"), "its word", timeout=60.0)
    stands = it.rest()
    it.probe.spin(1.0)
    assert it.x == pytest.approx(stands, abs=1e-4)


def test_a_frozen_adapter_is_ended_by_the_guard_within_250_ms(graph):
    it = Controlled(graph, "ur5e")
    it.start_commander()
    it.adapter.send(signal.SIGSTOP)
    frozen = time.time_ns()
    try:
        it.probe.until(lambda: it.targets and it.is_zero(it.targets[-1]), "the guard's zeros")
        assert 1e-9 * (it.stamp(it.targets[-1]) - frozen) < WITHIN + LATE
        stands = it.rest()
        it.hears("the arm is told to stand")
        assert it.x == pytest.approx(stands, abs=1e-4)
    finally:
        it.adapter.send(signal.SIGCONT)


@pytest.fixture
def guard(graph):
    """The guard alone, and the test in place of the adapter."""
    target, node = load_robot("ur5e").controller.target, graph.probe.node
    heard = []
    made = node.create_publisher(Float64MultiArray, target, 1)
    node.create_subscription(Float64MultiArray, target, lambda m: heard.append(list(m.data)), 200)
    process = graph.start(VELOCITY_GUARD, robot="ur5e")
    graph.probe.ready(VELOCITY_GUARD)
    graph.probe.until(lambda: made.get_subscription_count() == 2, "both listeners")

    def say(speed):
        made.publish(Float64MultiArray(data=[speed] * 6))

    return SimpleNamespace(probe=graph.probe, say=say, heard=heard, process=process)


def zeros(guard):
    return [message for message in guard.heard if not any(message)]


def test_the_guard_says_nothing_while_all_is_well(guard):
    for _ in range(3):
        guard.say(0.0)
        guard.probe.spin(2 * SILENCE)
    assert len(guard.heard) == 3, "who stands may fall silent"


def test_the_guard_ends_a_motion_that_is_not_renewed_and_lets_it_begin_anew(guard):
    for _ in range(2):
        guard.heard.clear()
        guard.probe.repeat(lambda: guard.say(0.2), lambda: len(guard.heard) > 20, "it", every=0.02)
        guard.probe.until(lambda: zeros(guard), "its zeros")
        assert guard.heard[-1] == [0.0] * 6
        guard.probe.spin(3 * SILENCE)
        assert len(zeros(guard)) <= 3, "it goes on until it has been heard"


def test_a_guard_that_ends_leaves_no_motion_behind(guard):
    guard.probe.repeat(lambda: guard.say(0.2), lambda: len(guard.heard) > 20, "it", every=0.02)
    guard.process.send(signal.SIGINT)
    guard.probe.until(lambda: zeros(guard), "its zeros")
    assert guard.process.wait() == 0

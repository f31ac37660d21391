# SPDX-License-Identifier: Apache-2.0
"""Adapters to controllers behind ros2_control, over DDS, before peers that do as those do."""

from __future__ import annotations

import os
import signal
import time

import numpy as np
import pytest
from geometry_msgs.msg import PoseStamped

from expo_ft_ros.data.types import Source
from expo_ft_ros.recording.episode_store import load_episodes
from expo_ft_ros.recording.messages import nanoseconds, twist_array
from support.controllers import KINDS, Controlled
from support.demonstrating import begin, collect, demonstrate, push
from support.foreign_interfaces import environment_with, foreign_interfaces
from support.processes import is_alive, processes_naming

pytestmark = [
    pytest.mark.timeout(400),  # The interfaces may have to be generated.
    pytest.mark.realtime,
    pytest.mark.slow,
]

WITHIN = 0.25
LATE = 0.1
"""What a busy machine may be late by [s]; what is sent is measured by its own stamps."""

POSES = [kind for kind in KINDS if kind != "servo"]


@pytest.fixture(autouse=True)
def _foreign(monkeypatch):
    for name, value in environment_with(foreign_interfaces()).items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("kind", KINDS)
def test_it_moves_as_commanded_in_the_words_of_its_controller(graph, kind):
    it = Controlled(graph, kind)
    it.take_command()
    assert [fault.data for fault in it.faults] == [""]
    start = it.x
    it.targets.clear()
    it.drive(lambda: it.x > start + 0.08, "its motion", x=0.08)
    # As measured, though no driver tells it.
    it.twists.clear()
    it.drive(lambda: len(it.twists) > 20, "its velocity", x=0.08)
    speeds = [m.twist.linear.x for m in it.twists]
    assert np.median(speeds) == pytest.approx(0.08, rel=0.2)
    (sender,) = it.probe.node.get_publishers_info_by_topic(it.robot.controller.target)
    assert sender.qos_profile.reliability.name == "RELIABLE"
    assert sender.qos_profile.durability.name == "VOLATILE"
    assert sender.topic_type.startswith("geometry_msgs/msg/")
    assert {m.header.frame_id for m in it.targets} == {it.robot.frames.base}
    stamps = np.array([nanoseconds(m.header.stamp) for m in it.targets])
    assert (np.diff(stamps) > 0).all()
    assert 1e9 / np.median(np.diff(stamps)) > 0.8 * it.robot.state_rate
    assert list(it.joints[-1].name) == [*it.robot.joints, *it.robot.fingers]
    assert list(it.joints[-1].position) == pytest.approx([0.1 * k for k in range(7)] + [0.04, 0.04])
    assert it.poses[-1].header.frame_id == it.robot.frames.base
    assert not it.heard.get("ignored")
    assert it.heard.get("foreign", 0) == it.heard.get("early", 0) == 0, it.heard


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP], ids=["kill", "stop"])
@pytest.mark.parametrize("kind", KINDS)
def test_without_commands_it_stands_within_250_ms(graph, kind, number):
    it = Controlled(graph, kind)
    commander = it.start_commander()
    since = time.time_ns()
    commander.send(number)
    it.probe.spin(1.0)
    try:
        assert 1e-9 * (it.moves_last() - since) < WITHIN + LATE
        assert nanoseconds(it.targets[-1].header.stamp) > it.moves_last(), "it goes on to say so"
        stands = it.x
        it.probe.spin(0.5)
        assert it.x == pytest.approx(stands, abs=1e-4)
        it.hears("no command: the arm stands")
    finally:
        commander.send(signal.SIGCONT)


@pytest.mark.parametrize("kind", KINDS)
def test_a_killed_adapter_leaves_an_arm_that_stands(graph, kind):
    """A pose controller goes to its last target, which is close ahead; servo stops by itself."""
    it = Controlled(graph, kind)
    it.start_commander()
    it.adapter.send(signal.SIGKILL)
    it.adapter.wait()
    at, seen = it.x, len(it.targets)
    it.probe.spin(0.5)
    assert len(it.targets) <= seen + 1
    stands = it.x
    assert stands - at < (0.05 if kind != "servo" else 0.08 * WITHIN)
    it.probe.spin(0.5)
    assert it.x == pytest.approx(stands, abs=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_an_adapter_that_was_stopped_for_a_while_does_not_jump(graph, kind):
    it = Controlled(graph, kind)
    commander = it.start_commander()
    it.adapter.send(signal.SIGSTOP)
    commander.send(signal.SIGKILL)
    it.probe.spin(1.0)
    before = it.x
    it.adapter.send(signal.SIGCONT)
    it.probe.spin(1.0)
    assert it.x == pytest.approx(before, abs=0.02)
    stands = it.x
    it.probe.spin(0.5)
    assert it.x == pytest.approx(stands, abs=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_a_pose_in_another_frame_is_refused_by_name(graph, kind):
    it = Controlled(graph, kind)
    it.take_command()
    it.drive(lambda: it.x > 0.52, "its motion", x=0.08)
    it.do("frame world")
    words = f"frame_id 'world', but the robot's base frame is '{it.robot.frames.base}'"
    it.drive(lambda: it.told(words), "its word", x=0.08)
    it.probe.spin(0.3)
    seen, stands = len(it.poses), it.x
    for _ in range(5):
        it.command(0.08)
        it.probe.spin(0.1)
    assert len(it.poses) == seen
    assert it.x == pytest.approx(stands, abs=5e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_a_driver_that_falls_silent_stops_the_arm(graph, kind):
    it = Controlled(graph, kind)
    it.take_command()
    it.drive(lambda: it.x > 0.52, "its motion", x=0.08)
    it.do("silent")
    it.drive(lambda: it.told("the robot's newest state hasn't changed"), "its word", x=0.08)
    it.probe.spin(0.3)
    stands = it.x
    for _ in range(5):
        it.command(0.08)
        it.probe.spin(0.1)
    assert it.x == pytest.approx(stands, abs=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_the_gripper_gets_each_goal_once(graph, kind):
    it = Controlled(graph, kind)
    it.take_command()
    it.drive(lambda: it.joints[-1].position[7] < 0.001, "the closed hand", grip=-0.12)
    for grip in (-0.12, -0.05, -0.12, 0.02, -0.05):  # Noise below the threshold, and held.
        it.command(grip=grip)
        it.probe.spin(0.1)
    goals = it.heard["goals"]
    assert [goal["width"] for goal in goals[:1]] == [0.0]
    it.drive(lambda: it.joints[-1].position[7] > 0.039, "the open hand", grip=0.12)
    goals = it.heard["goals"]
    assert goals[-1]["width"] == pytest.approx(0.08)
    assert sum(goal["width"] == 0.0 for goal in goals) <= 2, "rearmed once at most"
    assert sum(goal["width"] > 0 for goal in goals) == 1
    if kind != "servo":
        assert {goal["kind"] for goal in goals} == {"Grasp_Goal", "Move_Goal"}


@pytest.mark.parametrize("kind", ["crisp", "servo"])
def test_a_goal_that_is_replaced_is_cancelled_first(graph, kind):
    it = Controlled(graph, kind)
    it.take_command()
    it.drive(lambda: it.joints[-1].position[7] < 0.035, "a closing hand", grip=-0.12)
    it.drive(lambda: it.joints[-1].position[7] > 0.039, "the open hand", grip=0.12)
    it.probe.spin(1.0)
    assert it.heard["cancelled"] == 1, it.heard
    assert [goal["busy"] for goal in it.heard["goals"]] == [False, False]


@pytest.mark.parametrize("kind", POSES)
def test_an_arm_that_moves_by_itself_gets_nothing(graph, kind):
    """As by cartesian_impedance_example_controller, whose own motion overwrites every target."""
    it = Controlled(graph, kind, wanders=True)
    it.probe.until(lambda: it.told("the arm moves without a command"), "its word")
    it.probe.spin(3.0)
    assert not it.targets
    assert "robot" not in {m.data for m in it.ready}


def test_a_second_publisher_of_targets_stops_it(graph):
    it = Controlled(graph, "crisp")
    it.take_command()
    it.drive(lambda: it.x > 0.52, "its motion", x=0.08)
    other = it.probe.node.create_publisher(PoseStamped, it.robot.controller.target, 1)
    it.drive(lambda: it.told("other(s) publish targets"), "its word", x=0.08)
    it.probe.spin(0.3)
    stands = it.x
    it.drive(lambda: True, "", x=0.08)
    assert it.x == pytest.approx(stands, abs=5e-3)
    it.probe.node.destroy_publisher(other)
    it.drive(lambda: it.x > stands + 0.03, "its motion", x=0.08)


@pytest.mark.parametrize(
    ("word", "fault"), [("reflex", "reflex: cartesian_reflex"), ("user_stop", "user stop")]
)
def test_franka_s_own_stop_is_a_fault_until_it_has_recovered(graph, word, fault):
    it = Controlled(graph, "franka_ros2")
    it.take_command()
    it.drive(lambda: it.x > 0.52, "its motion", x=0.08)
    it.do(word)
    it.drive(lambda: len(it.faults) > 1, "the fault", x=0.08)
    assert [m.data for m in it.faults] == ["", fault]
    it.probe.spin(0.3)
    stands = it.x
    for _ in range(5):
        it.command(0.08)
        it.probe.spin(0.1)
    assert it.x == pytest.approx(stands, abs=1e-4)
    answer = it.probe.call("robot/recover")
    assert answer.success, answer.message
    assert "switch_controllers --activate" in answer.message
    it.probe.until(lambda: len(it.faults) > 2, "its end")
    assert it.faults[-1].data == ""
    assert it.heard["recoveries"] == 1
    it.hears("the robot's mode is idle: no controller moves it")
    it.do("go")
    it.drive(lambda: it.x > stands + 0.03, "its motion", x=0.08)
    speeds = np.diff([m.pose.position.x for m in it.tools[-200:]])
    assert speeds.max() < 0.02, "it jumps where the controller begins anew"


def test_there_is_nothing_to_recover_from(graph):
    it = Controlled(graph, "franka_ros2")
    it.take_command()
    answer = it.probe.call("robot/recover")
    assert not answer.success
    assert answer.message == "there is nothing to recover from: move"


def test_servo_is_switched_to_velocities_and_anew_when_it_was_started_anew(graph):
    it = Controlled(graph, "servo")
    it.take_command()
    it.drive(lambda: it.x > 0.52, "its motion", x=0.08)
    it.peer.end()
    it.heard.clear()
    it.tools.clear()
    it.graph.start("peer", module="support.controller_peers", kind="servo")
    it.probe.until(lambda: it.heard.get("switched"), "the switch", timeout=40.0)
    it.drive(lambda: it.tools and it.x > 0.52, "its motion", x=0.08)


def test_where_servo_halts_is_told_and_is_no_fault(graph):
    """It goes on by itself, commanded the other way."""
    it = Controlled(graph, "servo")
    it.take_command()
    it.do("bound")
    it.drive(lambda: it.told("moveit_servo: code 6"), "its word", x=0.01)
    assert [m.data for m in it.faults] == [""]


def test_servo_slows_down_before_the_workspace_ends(graph):
    it = Controlled(graph, "servo")
    it.take_command()
    edge = it.robot.workspace.high[0]
    it.drive(lambda: it.x > edge - 0.01, "its motion", x=0.1)
    for _ in range(10):
        it.command(0.1)
        it.probe.spin(0.1)
    assert edge - 0.01 < it.x <= edge + 0.002
    assert twist_array(it.targets[-1].twist)[0] < 0.02


@pytest.fixture
def collecting(graph):
    """A collection on robot:=crisp, its peer, and the test's hand on the SpaceMouse."""
    it = Controlled(graph, "crisp", alone=False)
    run = graph.folder / "run"
    state, spacemouse = it.probe.gather("episode/state"), it.probe.publisher("spacenav/twist")
    process = collect(graph, "crisp", run)
    yield it, run, process, state, spacemouse
    if process.poll() is None:
        process.terminate()
        process.wait(40)


def test_a_whole_episode_is_driven_and_recorded(collecting):
    it, run, process, state, spacemouse = collecting
    demonstrate(it.probe, state, spacemouse)
    it.probe.until(lambda: process.poll() is not None, "the end of the run", timeout=60.0)
    assert process.returncode == 0
    (episode,) = load_episodes(run / "episodes")
    assert episode.outcome.success
    assert (episode.source == Source.HUMAN).sum() > 5
    assert episode.state[-1, 0] - episode.state[0, 0] > 0.03
    assert np.abs(episode.executed).max() <= 1.0
    assert (run / "logs" / "robot.log").is_file()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP], ids=["kill", "stop"])
def test_without_the_arbitration_the_arm_stands_within_250_ms(collecting, number):
    it, run, _, state, spacemouse = collecting
    begin(it.probe, state)
    start = it.x
    while it.x < start + 0.03:
        push(it.probe, spacemouse, 0.8)
    (arbitration,) = processes_naming(f"{run}/params/arbitration.yaml")
    since = time.time_ns()
    os.kill(arbitration, number)
    try:
        for _ in range(20):
            push(it.probe, spacemouse, 0.8)
        assert 1e-9 * (it.moves_last() - since) < WITHIN + LATE
    finally:
        if is_alive(arbitration):
            os.kill(arbitration, signal.SIGCONT)

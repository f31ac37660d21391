# SPDX-License-Identifier: Apache-2.0
"""Adapters to controllers behind ros2_control, over DDS, before peers that do as those do."""

from __future__ import annotations

import os
import signal
import time

import numpy as np
import pytest

from expo_ft_ros.data.types import Source
from expo_ft_ros.recording.episode_store import load_episodes
from expo_ft_ros.recording.messages import nanoseconds, twist_array
from support.controllers import KINDS, UR5E, Controlled, following
from support.demonstrating import begin, collect, demonstrate, push, push_until
from support.foreign_interfaces import environment_with, foreign_interfaces
from support.processes import is_alive, processes_naming

pytestmark = [
    pytest.mark.timeout(400),  # The interfaces may have to be generated.
    pytest.mark.process,
    pytest.mark.realtime,
    pytest.mark.slow,
]

WITHIN = 0.25
LATE = 0.1
"""What a busy machine may be late by [s]; what is sent is measured by its own stamps."""

each_kind = pytest.mark.parametrize("shared", KINDS, indirect=True)


def on(*kinds):
    """Kinds that differ in what the test is about."""
    return pytest.mark.parametrize("shared", kinds, indirect=True)


@pytest.fixture(scope="module", autouse=True)
def _foreign():
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment_with(foreign_interfaces()).items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="module")
def shared(request, tmp_path_factory, _foreign):
    """An adapter of that kind that follows commands; tests use it one by one."""
    with following(request.param, tmp_path_factory.mktemp(request.param)) as it:
        yield it


@pytest.fixture
def running(shared):
    """The shared one, as it was at first: a test that failed may have left it in a fault."""
    shared.begin_anew()
    return shared


@each_kind
def test_it_moves_as_commanded_in_the_words_of_its_controller(running):
    it = running
    it.probe.until(lambda: it.faults, "its word")
    assert [fault.data for fault in it.faults] == [""]
    it.targets.clear()

    def is_measured():
        """Whether its newest velocities are as commanded; where somebody was halted it stands."""
        speeds = [abs(m.twist.linear.x) for m in it.twists[-20:]]
        return len(speeds) == 20 and np.median(speeds) == pytest.approx(0.08, rel=0.2)

    # As measured, though no driver tells it.
    for _ in range(6):
        it.move(0.04)
        if is_measured():
            break
    assert is_measured()
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


@on("franka_ros2", "servo", UR5E)
def test_the_gripper_gets_each_goal_once(running):
    it = running
    it.health.clear()
    before = len(it.heard["goals"])
    it.drive(lambda: it.opening < 0.002, "the closed hand", grip=-0.12)
    for grip in (-0.12, -0.05, -0.12, 0.02, -0.05):  # Noise below the threshold, and held.
        it.command(grip=grip)
        it.probe.spin(0.1)
    it.drive(it.is_open, "the open hand", grip=0.12)
    opens = lambda: [g for g in it.heard["goals"][before:] if g["width"] > 0]  # noqa: E731
    it.probe.until(opens, "its goals")
    it.probe.spin(0.5)  # So that its reports are there as well.
    goals, stalls = it.heard["goals"][before:], it.stalls()
    assert goals[0]["width"] == 0.0
    assert goals[-1]["width"] == pytest.approx(it.robot.limits.gripper_max_width)
    # A stall of this machine rearms it as well.
    assert sum(goal["width"] == 0.0 for goal in goals) <= 2 + stalls, "rearmed once at most"
    assert sum(goal["width"] > 0 for goal in goals) <= 1 + stalls
    if it.robot.controller.gripper.kind == "franka":
        assert {goal["kind"] for goal in goals} == {"Grasp_Goal", "Move_Goal"}


@on("crisp", "servo")
def test_a_goal_that_is_replaced_is_cancelled_first(running):
    it = running
    it.health.clear()
    before, cancelled = len(it.heard["goals"]), it.heard["cancelled"]
    tries = 0
    while it.heard["cancelled"] == cancelled and tries < 5:
        # Where this process is halted, it has closed before it is to open.
        tries += 1
        it.drive(it.is_closing, "a closing hand", grip=-0.12)
        it.drive(it.is_open, "the open hand", grip=0.12)
        it.probe.spin(1.0)
    assert 1 <= it.heard["cancelled"] - cancelled <= tries + it.stalls(), it.heard
    assert not any(goal["busy"] for goal in it.heard["goals"][before:])


@on("crisp")
def test_a_hand_that_closes_does_not_open_after_a_stop(running):
    """The goal to open waits for the other's end while the emergency stop's zeros come."""
    it = running
    it.do("cancel_slowly")

    def is_stopped_while_it_closes():
        it.drive(it.is_closing, "a closing hand", grip=-0.12)
        cancelled, goals = it.heard["cancelled"], len(it.heard["goals"])
        for _ in range(2):
            it.command(grip=0.12)
            it.probe.spin(0.1)
        ended = lambda: it.heard["cancelled"] > cancelled  # noqa: E731
        opens = lambda: len(it.heard["goals"]) > goals  # noqa: E731
        it.drive(lambda: ended() or opens(), "the closing's end")
        return ended()

    for _ in range(5):
        if is_stopped_while_it_closes():
            break
        # Where this process was halted, it had closed before it was to open.
        it.drive(it.is_open, "the open hand", grip=0.12)
    it.probe.spin(0.5)
    assert it.heard["goals"][-1]["width"] == 0.0
    assert it.opening < 0.072
    it.do("cancel_quickly")
    it.drive(it.is_open, "the open hand", grip=0.12)


@on("crisp")
def test_a_pose_in_another_frame_is_refused_by_name(running):
    it = running
    it.move()
    it.do("frame world")
    words = f"frame_id 'world', but the robot's base frame is '{it.robot.frames.base}'"
    it.drive(lambda: it.told(words), "its word", x=0.08)
    stands = it.rest()
    seen = len(it.poses)
    it.insist()
    assert len(it.poses) == seen
    assert it.x == pytest.approx(stands, abs=1e-4)
    it.do(f"frame {it.robot.frames.base}")
    it.move()


@on("crisp", "servo", UR5E)
def test_a_driver_that_falls_silent_stops_the_arm_which_goes_on_from_where_it_is_left(running):
    it = running
    it.move()
    it.health.clear()
    it.do("silent")
    it.drive(lambda: it.told("the robot's newest state hasn't changed"), "its word", x=0.08)
    stands = it.rest()
    it.targets.clear()
    it.insist()
    assert it.x == pytest.approx(stands, abs=1e-4)
    if it.takes_velocities:
        it.probe.until(lambda: it.targets, "its zeros")
        assert all(it.is_zero(m) for m in it.targets)
    else:
        assert not it.targets, "an old target would pull at an arm that is guided meanwhile"
    it.do(f"guide {stands + 0.1}")
    it.probe.until(lambda: it.x == pytest.approx(stands + 0.1, abs=1e-4), "the hand's motion")
    it.do("speak")
    it.probe.spin(0.5)
    # A command that is still young may be obeyed; an old target would be 0.1 m away.
    assert it.x == pytest.approx(stands + 0.1, abs=0.01)
    it.do(f"guide {stands}")
    it.probe.spin(0.3)
    it.move()


@on("crisp", UR5E)
def test_a_second_publisher_of_targets_stops_it(running):
    it = running
    it.move()
    it.health.clear()
    other = it.probe.node.create_publisher(it.target_type, it.robot.controller.target, 1)
    try:
        it.drive(lambda: it.told("other(s) publish targets"), "its word", x=0.08)
        stands = it.rest()
        it.targets.clear()
        it.insist()
        assert not it.targets, "ours would fight with theirs"
        assert it.x == pytest.approx(stands, abs=1e-4)
    finally:
        it.probe.node.destroy_publisher(other)
    it.move()


@pytest.mark.parametrize(
    ("word", "fault", "mode"),
    [
        ("reflex", "reflex: cartesian_reflex", "reflex"),
        ("user_stop", "user stop", "user stop"),
        ("error", "move: cartesian_reflex", "move"),
    ],
)
@on("franka_ros2")
def test_franka_s_own_stop_is_a_fault_until_it_has_recovered(running, word, fault, mode):
    it = running
    answer = it.probe.call("robot/recover")
    assert not answer.success
    assert answer.message == "there is nothing to recover from: move"
    it.move()
    it.faults.clear()
    recoveries = it.heard["recoveries"]
    it.do(word)
    it.drive(lambda: it.faults, "the fault", x=0.08)
    assert [m.data for m in it.faults] == [fault]
    stands = it.rest()
    it.insist()
    assert it.x == pytest.approx(stands, abs=1e-4)
    answer = it.probe.call("robot/recover")
    assert answer.success, answer.message
    assert "switch_controllers -c /fr3/controller_manager --activate" in answer.message
    it.probe.until(lambda: len(it.faults) > 1, "its end")
    assert it.faults[-1].data == ""
    it.probe.until(lambda: it.heard["recoveries"] > recoveries, "the recovery")
    assert it.heard["recoveries"] == recoveries + 1
    it.hears("the robot's mode is idle: no controller moves it")
    it.do("go")
    it.tools.clear()
    it.probe.until(lambda: it.tools, "the tool")
    it.move()
    # By the stamps: the peer, or this process, may have been halted between two.
    places = np.array([m.pose.position.x for m in it.tools])
    times = 1e-9 * np.array([nanoseconds(m.header.stamp) for m in it.tools])
    fastest = np.abs(np.diff(places) / np.maximum(np.diff(times), 0.04)).max()
    assert fastest < 0.5, "it jumps where the controller begins anew"


@on("franka_ros2")
def test_a_recovery_that_fails_is_reported(running):
    it = running
    it.do("reflex")
    it.drive(lambda: it.faults[-1].data, "the fault")
    for word, how in (("reject", "recovery was refused"), ("abort", "recovery was broken off")):
        it.do(word)
        it.probe.call("robot/recover")
        it.probe.until(lambda how=how: it.told(how), how)
    it.do("recoverable")
    it.probe.call("robot/recover")
    it.probe.until(lambda: not it.faults[-1].data, "its end")
    it.do("go")
    it.move()


@on("servo")
def test_a_joint_bound_is_left_by_commanding_away_and_is_no_fault(running):
    it = running
    it.command()
    it.rest()
    it.do("bound")
    it.drive(lambda: it.told("moveit_servo: code 6"), "its word", x=0.01)
    stands = it.rest()
    it.insist()
    assert it.x == pytest.approx(stands, abs=1e-4)
    it.drive(lambda: it.x < stands - 0.02, "the way back", x=-0.08)
    assert not any(m.data for m in it.faults)


@on("servo")
def test_a_collision_halt_is_not_left_by_commands_and_says_what_does(running):
    it = running
    it.do("collision")
    it.drive(lambda: it.told("move the obstacle, or the arm by hand"), "its word", x=0.01)
    stands = it.rest()
    it.insist(-0.08)
    assert it.x == pytest.approx(stands, abs=1e-4)
    it.do("free")
    it.move()


@on("servo", UR5E)
def test_a_controller_of_velocities_is_slowed_down_before_the_workspace_ends(running):
    it = running
    edge = it.robot.workspace.high[0]
    since = time.time_ns()
    it.targets.clear()
    it.drive(lambda: it.x > edge - 0.01, "its motion", x=0.1)
    for _ in range(10):
        it.command(0.1)
        it.probe.spin(0.1)
    # It goes on by a velocity for so long as the adapter was halted, at most 0.1 s.
    beyond = 0.002 + 0.1 * min(0.1, max(0.0, it.largest_gap(since) - 0.03))
    assert edge - 0.01 < it.rest() <= edge + beyond
    if it.kind == "servo":
        assert twist_array(it.targets[-1].twist)[0] < 0.02


# -- what ends one of the processes ------------------------------------------------------------
@pytest.mark.parametrize(
    ("kind", "number"),
    [
        ("crisp", signal.SIGKILL),
        ("servo", signal.SIGSTOP),
        pytest.param("ur5e", signal.SIGKILL, marks=UR5E.marks),
        pytest.param("ur5e", signal.SIGSTOP, marks=UR5E.marks),
    ],
)
def test_without_commands_it_stands_within_250_ms(graph, kind, number):
    it = Controlled(graph, kind)
    commander = it.start_commander()
    commander.send(number)
    since = time.time_ns()  # After it: this process may be halted in between.
    it.probe.spin(1.0)
    stands = it.rest()
    try:
        last = it.moves_last()
        assert 1e-9 * (last - since) < WITHIN + LATE + it.largest_gap(since)
        it.probe.until(lambda: it.stamp(it.targets[-1]) > last, "its going on to say so")
        it.probe.spin(0.5)
        assert it.x == pytest.approx(stands, abs=1e-4)
        it.hears("no command: the arm stands")
    finally:
        commander.send(signal.SIGCONT)


@pytest.mark.parametrize("kind", ["crisp", "servo", UR5E])
def test_a_killed_adapter_leaves_an_arm_that_stands(graph, kind):
    """A pose controller goes to its last target, which is close ahead; servo stops by itself, and a
    controller of joint velocities by the guard."""
    it = Controlled(graph, kind)
    it.start_commander()
    it.adapter.send(signal.SIGKILL)
    killed = time.time_ns()
    it.adapter.wait()
    dead = time.time_ns()
    stands = it.rest()
    assert it.stamp(it.targets[-1]) < dead or it.is_zero(it.targets[-1])
    assert stands - it.x_at(killed) < (0.08 * WITHIN if it.takes_velocities else 0.05)
    it.probe.spin(0.5)
    assert it.x == pytest.approx(stands, abs=1e-4)


@pytest.mark.parametrize("kind", ["crisp", "servo", UR5E])
def test_an_adapter_that_was_stopped_for_a_while_does_not_move(graph, kind):
    """Its queue holds a command of the commander's last words, who is dead."""
    it = Controlled(graph, kind)
    commander = it.start_commander()
    it.adapter.send(signal.SIGSTOP)
    it.probe.spin(0.3)  # Some commands wait.
    commander.send(signal.SIGKILL)
    it.probe.spin(1.0)
    before, seen = it.rest(), len(it.poses)
    it.adapter.send(signal.SIGCONT)
    it.probe.until(lambda: len(it.poses) > seen, "its waking")
    it.probe.spin(1.0)
    assert it.x == pytest.approx(before, abs=1e-3)


def test_an_arm_that_moves_by_itself_gets_nothing(graph):
    """As by cartesian_impedance_example_controller, whose own motion overwrites every target."""
    it = Controlled(graph, "franka_ros2", wanders=True)
    it.probe.until(lambda: it.told("the arm moves without a command"), "its word")
    it.probe.spin(3.0)
    assert not it.targets
    assert "robot" not in {m.data for m in it.ready}


def test_servo_is_switched_to_velocities_and_anew_when_it_was_started_anew(graph):
    it = Controlled(graph, "servo")
    it.take_command()
    it.move()
    it.peer.end()
    it.heard.clear()
    it.tools.clear()
    it.graph.start("peer", module="support.controller_peers", kind="servo")
    it.probe.until(lambda: it.heard.get("switched"), "the switch", timeout=40.0)
    it.probe.until(lambda: it.tools, "the tool")
    it.move()


@pytest.fixture(params=["crisp", UR5E])
def collecting(graph, request):
    """A collection on that robot, its peer, and the test's hand on the SpaceMouse."""
    it = Controlled(graph, request.param, alone=False)
    run = graph.folder / "run"
    state, spacemouse = it.probe.gather("episode/state"), it.probe.publisher("spacenav/twist")
    process = collect(graph, request.param, run)
    yield it, run, process, state, spacemouse
    if process.poll() is None:
        process.terminate()
        process.wait(90)


def test_a_whole_episode_is_driven_and_recorded(collecting):
    it, run, process, state, spacemouse = collecting
    demonstrate(it.probe, state, spacemouse)
    it.probe.until(lambda: process.poll() is not None, "the end of the run", timeout=120.0)
    assert process.returncode == 0
    (episode,) = [e for e in load_episodes(run / "episodes") if e.outcome.success]
    assert (episode.source == Source.HUMAN).sum() > 5
    assert episode.state[-1, 0] - episode.state[0, 0] > 0.03
    assert np.abs(episode.executed).max() <= 1.0
    assert (run / "logs" / "robot.log").is_file()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP], ids=["kill", "stop"])
def test_without_the_arbitration_the_arm_stands_within_250_ms(collecting, number):
    it, run, _, state, spacemouse = collecting
    begin(it.probe, state)
    start = it.x
    moved = lambda: it.x > start + 0.03 and len(it.targets) > 20  # noqa: E731
    push_until(it.probe, spacemouse, moved, "it doesn't move", 0.8)
    (arbitration,) = processes_naming(f"{run}/params/arbitration.yaml")
    os.kill(arbitration, number)
    since = time.time_ns()
    try:
        for _ in range(20):
            push(it.probe, spacemouse, 0.8)
        assert 1e-9 * (it.moves_last() - since) < WITHIN + LATE + it.largest_gap(since)
    finally:
        if is_alive(arbitration):
            os.kill(arbitration, signal.SIGCONT)

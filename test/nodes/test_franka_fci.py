# SPDX-License-Identifier: Apache-2.0
"""The Franka adapter over DDS; a server speaks the robot's protocol and enforces its limits."""

from __future__ import annotations

import os
import signal
import time

import numpy as np
import pytest
from sensor_msgs.msg import Image

from expo_ft_ros.data.types import Source
from expo_ft_ros.recording.episode_store import load_episodes
from expo_ft_ros.recording.messages import nanoseconds
from expo_ft_ros.robots import load_robot
from expo_ft_ros.ros.messages import array_to_image, header_of
from support.demonstrating import begin, collect, let_go, push_until
from support.franka_arm import Arm
from support.franka_sim import ADDRESS, FrankaSim

pytestmark = [pytest.mark.process, pytest.mark.realtime, pytest.mark.slow]

HOME = np.array([0.5, 0.0, 0.55])
"""Where the random motions stay about; the server's arm starts at x 0.55, z 0.73 [m]."""


@pytest.fixture
def server(tmp_path, monkeypatch):
    made = FrankaSim(tmp_path)
    monkeypatch.setenv("PYTHONPATH", f"{os.environ['PYTHONPATH']}{os.pathsep}{made.client}")
    yield made
    made.close()
    print(f"--- {made.log.name}\n{made.log.read_text(errors='replace')[-6000:]}")


@pytest.fixture
def arm(server, graph):
    return Arm(graph)


DOWN = -0.8
"""Push of the SpaceMouse, into the task's workspace."""

MOVE = (0.0, 0.08, 0.0, 0.0, 0.0, 0.0)


def moves(arm):
    """It goes where it is told to, and stands."""
    start = arm.position[1]
    arm.drive(lambda: arm.position[1] > start + 0.03, "it doesn't move", MOVE)
    arm.drive(lambda: arm.position[1] < start, "it doesn't come back", [-x for x in MOVE])
    arm.probe.spin(0.3)
    arm.stands()


@pytest.mark.timeout(500)
def test_it_takes_ten_thousand_cycles_of_steps_stops_and_reversals(arm, server):
    random = np.random.default_rng(0)
    twist = np.zeros(6)
    arm.command()
    arm.probe.spin(0.2)
    fastest, late = 0.0, 0
    while arm.cycles()[0] < 10_500:
        kind = random.random()
        if kind < 0.25:
            twist = random.uniform(-1, 1, 6) * [0.25, 0.25, 0.25, 1.0, 1.0, 1.0]
            # Back to the middle, where it has strayed from it.
            away = HOME - arm.position
            twist[:3] = np.where(np.abs(away) > 0.1, 0.25 * np.sign(away), twist[:3])
        elif kind < 0.35:
            twist = -twist
        elif kind < 0.45:
            twist = np.zeros(6)
        arm.command(twist, grip=random.choice([0.0, -0.1, 0.1], p=[0.8, 0.1, 0.1]))
        arm.probe.spin(0.1)
        fastest = max(fastest, arm.speed)
        late += arm.recovers_from_lateness()
    print("cycles, missed, slowest [ms], priority:", arm.cycles(), arm.figures()["priority"])
    print("faults because of this machine:", late)
    assert fastest > 0.1
    # Of a process that got no time the server says so as well.
    unmeant = [line for line in server.aborts() if not late or "communication" not in line.lower()]
    assert unmeant == []


@pytest.mark.timeout(700)
def test_a_demonstration_through_the_graph_goes_on_after_a_fault_and_two_confirmations(
    server, graph
):
    """A SpaceMouse drives; the loop is killed meanwhile."""
    arm = Arm(graph, alone=False)
    probe, run = graph.probe, graph.folder / "run"
    state, spacemouse = probe.gather("episode/state"), probe.publisher("spacenav/twist")
    show_images(probe)
    process = collect(graph, arm.file, run, robot_ip=ADDRESS)
    try:
        begin(probe, state)
        push_until(probe, spacemouse, lambda: arm.speed > 0.03, "it doesn't move", z=DOWN)
        os.kill(arm.process("arm_process"), signal.SIGKILL)
        stopped = lambda: state[-1].state == "stopped"  # noqa: E731
        push_until(probe, spacemouse, stopped, "it isn't stopped", z=DOWN)
        assert "arm_process" in state[-1].cause
        let_go(probe, spacemouse, z=DOWN)
        refused = probe.call("estop", data=False)
        assert not refused.success
        assert "recover it first" in refused.message
        arm.recovers()
        assert state[-1].state == "stopped", "a recovery alone frees nothing"
        assert probe.call("estop", data=False).success
        begin(probe, state)
        probe.until(lambda: state[-1].state == "running", "the episode")
        begun = arm.position
        down = lambda: arm.position[2] < begun[2] - 0.05  # noqa: E731
        push_until(probe, spacemouse, down, "it doesn't go down", z=DOWN)
        let_go(probe, spacemouse, z=DOWN)
        assert probe.call("episode/mark_success").success
        probe.until(lambda: process.poll() is not None, "the end of the run", timeout=120.0)
        assert process.returncode == 0
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(90)
    (episode,) = [e for e in load_episodes(run / "episodes") if e.outcome.success]
    assert (episode.source == Source.HUMAN).sum() > 5
    assert episode.state[-1, 2] < episode.state[0, 2] - 0.03
    assert not arm.processes()


def show_images(probe):
    """As the cameras' drivers do."""
    grey = np.full((48, 64, 3), 90, np.uint8)
    views = load_robot("franka_fci").views
    publishers = {view.frame: probe.node.create_publisher(Image, view.topic, 1) for view in views}

    def show():
        for frame, publisher in publishers.items():
            publisher.publish(array_to_image(grey, header_of(time.time_ns(), frame)))

    probe.node.create_timer(0.04, show)


@pytest.mark.timeout(500)
def test_it_stands_without_commands_and_keeps_to_its_workspace(arm):
    moves(arm)
    arm.drive(lambda: arm.speed > 0.03, "it doesn't move", MOVE)
    sent = time.time_ns()
    arm.stands()
    # 0.1 s until the command would be repeated, 0.2 s of the watchdog, 0.4 s of smoothing, and the
    # lag of the server's arm, which runs at a third of real time on a busy machine. Without a
    # watchdog it goes on for 6 s, to the workspace's face.
    stamps = np.array([nanoseconds(m.header.stamp) for m in arm.twists])
    halted = np.diff(stamps[stamps > sent - 5 * 10**8]).max(initial=0)
    assert stamps[-1] - sent < 3e9 + halted
    stood = arm.position
    arm.probe.spin(0.5)
    assert arm.position == pytest.approx(stood, abs=1e-3)
    arm.drive(lambda: arm.position[2] > 0.78, "it doesn't rise", (0, 0, 0.2, 0, 0, 0))
    for _ in range(15):
        arm.command((0, 0, 0.25, 0, 0, 0))
        arm.probe.spin(0.1)
    # The server's arm follows its commands late, the more so beside other work.
    assert arm.position[2] < 0.82
    arm.recovers_from_lateness()


@pytest.mark.timeout(500)
def test_it_rests_before_it_is_stretched_and_comes_away(arm, server):
    """From a singular posture the robot would begin no motion."""
    out, back = (0.2, 0.0, 0.1, 0.0, 0.0, 0.0), (-0.1, 0.0, -0.05, 0.0, 0.0, 0.0)
    arm.drive(lambda: arm.position[0] > 0.58, "it doesn't move", out)
    for _ in range(50):
        arm.command(out)
        arm.probe.spin(0.1)
        arm.recovers_from_lateness()
    stretched = arm.position
    assert not server.told("singular")
    arm.drive(lambda: arm.position[0] < stretched[0] - 0.05, "it doesn't come back", back)


@pytest.mark.timeout(500)
def test_its_hand_opens_and_closes_by_velocity_beside_the_arm(arm):
    arm.drive(lambda: arm.width < 0.01, "it doesn't close", MOVE, grip=-0.1)
    arm.drive(lambda: arm.width > 0.07, "it doesn't open", [-x for x in MOVE], grip=0.1)
    arm.recovers_from_lateness()


@pytest.mark.timeout(500)
@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGKILL])
def test_a_frozen_or_dead_loop_is_a_fault_until_a_human_confirms(arm, number):
    arm.drive(lambda: arm.speed > 0.03, "it doesn't move", MOVE)
    loop = arm.process("arm_process")
    os.kill(loop, number)
    dead = lambda: "was killed by SIGKILL" in arm.fault  # noqa: E731
    known = arm.is_late if number == signal.SIGSTOP else dead
    arm.drive(known, "no fault", MOVE, timeout=40.0, faults=True)
    if number == signal.SIGSTOP:
        os.kill(loop, signal.SIGCONT)
        arm.probe.until(lambda: "communication_constraints_violation" in arm.fault, "its own word")
        arm.drive(lambda: arm.speed < 0.005, "it moves in a fault", MOVE, 0.0, 20.0, True)
        assert arm.fault
    arm.recovers()
    arm.stands()
    moves(arm)


@pytest.mark.timeout(500)
@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGKILL])
def test_a_frozen_or_dead_hand_is_a_fault_and_the_arm_stands(arm, number):
    arm.drive(lambda: arm.speed > 0.03, "it doesn't move", MOVE)
    hand = arm.process("hand_process")
    os.kill(hand, number)
    word = "hand: its process tells nothing" if number == signal.SIGSTOP else "hand_process"
    arm.drive(lambda: word in arm.fault, "no fault", timeout=40.0, faults=True)
    arm.drive(lambda: arm.speed < 0.005, "it doesn't stand", MOVE, timeout=20.0, faults=True)
    arm.recovers()
    assert arm.process("hand_process") != hand, "it is replaced"
    moves(arm)


@pytest.mark.timeout(500)
def test_a_loop_that_stays_frozen_is_replaced_and_recovered_once_at_a_time(arm):
    loop = arm.process("arm_process")
    os.kill(loop, signal.SIGSTOP)
    arm.drive(arm.is_late, "no fault", timeout=40.0, faults=True)
    arm.probe.spin(1.0)
    assert arm.probe.call("robot/recover").success
    second = arm.probe.call("robot/recover")
    assert not second.success
    assert "under way" in second.message
    arm.probe.until(lambda: not arm.fault, "the end of the fault")
    assert arm.process("arm_process") != loop
    arm.fresh_state()
    moves(arm)


@pytest.mark.timeout(500)
def test_a_lost_connection_is_a_fault_of_arm_and_hand_until_it_is_back(arm, server):
    arm.drive(lambda: arm.speed > 0.03, "it doesn't move", MOVE)
    server.close()
    arm.drive(lambda: arm.fault, "no fault", MOVE, timeout=40.0, faults=True)
    print("without a connection:", arm.fault)
    server.start()
    print("on the way back:", arm.recovers(most=5))
    moves(arm)
    arm.drive(lambda: arm.width < 0.01, "it doesn't close", grip=-0.1)


@pytest.mark.timeout(500)
@pytest.mark.parametrize("stop", ["zeros", "silence", "fault"])
def test_a_gripper_goal_that_waits_is_not_begun_after_a_stop(arm, stop):
    hand = arm.process("hand_process")
    arm.drive(lambda: arm.width < 0.07, "it doesn't close", grip=-0.1)
    os.kill(hand, signal.SIGSTOP)  # The motion lasts.
    for _ in range(4):
        arm.command(grip=0.1)
        arm.probe.spin(0.1)
    if stop == "zeros":
        arm.drive(lambda: arm.speed < 0.005, "it moves")
        for _ in range(3):
            arm.command()
            arm.probe.spin(0.1)
    elif stop == "silence":
        arm.probe.spin(0.5)
    else:
        os.kill(arm.process("arm_process"), signal.SIGKILL)
        arm.drive(lambda: arm.fault, "no fault", grip=0.1, timeout=40.0, faults=True)
    os.kill(hand, signal.SIGCONT)
    arm.probe.spin(2.5)
    if stop == "fault":
        arm.recovers()
    assert arm.width < 0.02, "it has opened"
    arm.drive(lambda: arm.width > 0.07, "it doesn't open", grip=0.1)


@pytest.mark.timeout(500)
def test_a_frozen_adapter_stands_and_goes_on(arm):
    arm.drive(lambda: arm.speed > 0.03, "it doesn't move", MOVE)
    loop = arm.process("arm_process")
    arm.node.send(signal.SIGSTOP)
    arm.probe.spin(2.0)
    arm.node.send(signal.SIGCONT)
    arm.fresh_state()
    assert arm.speed < 0.005
    assert arm.process("arm_process") == loop
    arm.recovers_from_lateness()
    moves(arm)


@pytest.mark.timeout(500)
def test_a_killed_adapter_leaves_a_standing_arm_and_no_process(arm, server):
    arm.drive(lambda: arm.speed > 0.03, "it doesn't move", MOVE)
    arm.node.send(signal.SIGKILL)
    arm.node.wait()
    arm.probe.until(lambda: not arm.processes(), "the processes' end")
    assert server.told("Sent Move success response"), "the motion was not finished by its client"
    assert server.aborts() == []
    arm.start()
    arm.recovers_from_lateness()
    moves(arm)


@pytest.mark.timeout(500)
def test_one_that_is_ended_while_it_moves_comes_to_rest_first(arm, server):
    arm.drive(lambda: arm.speed > 0.03, "it doesn't move", MOVE)
    arm.node.send(signal.SIGINT)
    assert arm.node.wait() == 0
    assert not arm.processes()
    assert server.told("Sent Move success response")
    assert server.aborts() == []

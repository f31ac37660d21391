# SPDX-License-Identifier: Apache-2.0
"""The Franka adapter over DDS; a server speaks the robot's protocol and enforces its limits."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from geometry_msgs.msg import Twist, TwistStamped, Vector3
from sensor_msgs.msg import Image, JointState

from expo_ft_ros.configuration import config_dir
from expo_ft_ros.data.types import Source
from expo_ft_ros.recording.episode_store import load_episodes
from expo_ft_ros.robots import load_robot
from expo_ft_ros.ros.messages import array_to_image, header_of
from support.franka_sim import ADDRESS, FrankaSim
from support.processes import processes_naming

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


class Arm:
    """The graph's side of the adapter, and the processes behind it."""

    def __init__(self, graph, *, alone=True):
        """alone: the test starts the adapter and commands it; else the graph does."""
        self.graph, self.probe = graph, graph.probe
        text = (config_dir() / "robots" / "franka_fci.yaml").read_text()
        text = text.replace("realtime: required", "realtime: if allowed")
        text = text.replace("high: [0.75, 0.50, 0.70]", "high: [0.75, 0.50, 0.90]")
        self.file = graph.folder / "robots" / "franka_fci.yaml"
        self.file.parent.mkdir()
        self.file.write_text(text)
        self.poses = self.probe.gather("robot/tcp_pose", reliable=False)
        self.twists = self.probe.gather("robot/tcp_twist", reliable=False)
        self.joints = self.probe.gather("joint_states", reliable=False)
        self.faults = self.probe.gather("robot/fault")
        self.health = self.probe.gather("/diagnostics")
        if alone:
            self.twist = self.probe.publisher("robot/twist_cmd")
            self.gripper = self.probe.publisher("robot/gripper_cmd")
            self.start()

    def start(self):
        self.node = self.graph.start("franka_fci", robot=str(self.file), robot_ip=ADDRESS)
        self.probe.ready("franka_fci")
        self.probe.matched()
        self.fresh_state()

    def fresh_state(self):
        seen = len(self.poses)
        self.probe.until(lambda: len(self.poses) > seen + 5, "the arm's state")

    @property
    def position(self):
        place = self.poses[-1].pose.position
        return np.array([place.x, place.y, place.z])

    @property
    def speed(self):
        """Of the tool [m/s]. (The server's last joint trembles, so its rotation tells nothing.)"""
        linear = self.twists[-1].twist.linear
        return float(np.linalg.norm([linear.x, linear.y, linear.z]))

    @property
    def fault(self):
        return self.faults[-1].data if self.faults else ""

    @property
    def width(self):
        return sum(self.joints[-1].position[7:])

    def process(self, module):
        (pid,) = processes_naming(f"-m expo_ft_ros.fci.{module} {self.file}")
        return pid

    def processes(self):
        """Those of arm and hand."""
        return processes_naming(f"_process {self.file}")

    def command(self, twist=(0.0,) * 6, grip=0.0):
        header = header_of(time.time_ns(), "base")
        self.gripper.publish(JointState(header=header, name=["gripper"], velocity=[float(grip)]))
        message = TwistStamped(header=header)
        v = [float(x) for x in twist]
        message.twist.linear.x, message.twist.linear.y, message.twist.linear.z = v[:3]
        message.twist.angular.x, message.twist.angular.y, message.twist.angular.z = v[3:]
        self.twist.publish(message)

    def drive(self, until, what, twist=(0.0,) * 6, grip=0.0, timeout=20.0):
        """Commands at the control rate until the condition holds."""
        end = time.monotonic() + timeout
        while not until():
            assert time.monotonic() < end, f"{what} (fault: {self.fault!r})"
            self.command(twist, grip)
            self.probe.spin(0.1)

    def stands(self):
        self.probe.until(lambda: self.speed < 0.005, "rest", timeout=3.0)

    def recovers(self):
        self.probe.until(lambda: self.probe.call("robot/recover").success, "a recovery")
        self.probe.until(lambda: not self.fault, "the end of the fault", timeout=15.0)
        self.fresh_state()

    def figures(self):
        """What the adapter has said last of its loop."""
        told = [{v.key: v.value for v in s.values} for m in self.health for s in m.status]
        return next((values for values in reversed(told) if "cycles" in values), {})

    def cycles(self):
        """Control cycles, those without a command in time, and the longest of ours [ms]."""
        self.probe.until(self.figures, "the loop's figures")
        values = self.figures()
        return int(values["cycles"]), int(values["lost"]), float(values["slowest_ms"])


@pytest.fixture
def arm(server, graph):
    return Arm(graph)


MOVE = (0.0, 0.08, 0.0, 0.0, 0.0, 0.0)


def moves(arm):
    """It goes where it is told to, and stands."""
    start = arm.position[1]
    arm.drive(lambda: arm.position[1] > start + 0.03, "it doesn't move", MOVE)
    arm.drive(lambda: arm.position[1] < start, "it doesn't come back", [-x for x in MOVE])
    arm.probe.spin(0.3)
    arm.stands()


@pytest.mark.timeout(200)
def test_it_takes_twelve_thousand_cycles_of_steps_stops_and_reversals(arm, server):
    random = np.random.default_rng(0)
    twist = np.zeros(6)
    arm.command()
    arm.probe.spin(0.2)
    fastest = 0.0
    while arm.cycles()[0] < 12_000:
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
        assert arm.fault == ""
    print("cycles, lost, slowest [ms]:", arm.cycles())
    assert fastest > 0.1
    assert server.aborts() == []


@pytest.mark.timeout(300)
def test_a_demonstration_through_the_graph_goes_on_after_a_fault_and_two_confirmations(
    server, graph
):
    """A SpaceMouse drives; the loop is killed meanwhile."""
    arm = Arm(graph, alone=False)
    probe, run = graph.probe, graph.folder / "run"
    state, spacemouse = probe.gather("episode/state"), probe.publisher("spacenav/twist")
    show_images(probe)
    process = collect(graph, arm.file, run)
    try:
        probe.until(lambda: state and state[-1].state == "resetting", "the scene", timeout=90.0)
        assert probe.call("/reset_episode").success
        push(probe, spacemouse, lambda: arm.speed > 0.03, "it doesn't move")
        os.kill(arm.process("arm_process"), signal.SIGKILL)
        push(probe, spacemouse, lambda: state[-1].state == "stopped", "it isn't stopped")
        assert "arm_process" in state[-1].cause
        let_go(probe, spacemouse)
        refused = probe.call("estop", data=False)
        assert not refused.success
        assert "recover it first" in refused.message
        arm.recovers()
        assert state[-1].state == "stopped", "a recovery alone frees nothing"
        assert probe.call("estop", data=False).success
        probe.until(lambda: state[-1].state == "resetting", "the scene")
        assert probe.call("/reset_episode").success
        probe.until(lambda: state[-1].state == "running", "the episode")
        begun = arm.position
        down = lambda: arm.position[2] < begun[2] - 0.05  # noqa: E731
        push(probe, spacemouse, down, "it doesn't go down")
        let_go(probe, spacemouse)
        assert probe.call("episode/mark_success").success
        probe.until(lambda: process.poll() is not None, "the end of the run", timeout=60.0)
        assert process.returncode == 0
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(30)
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


def collect(graph, robot, run):
    arguments = {
        "robot": robot,
        "robot_ip": ADDRESS,
        "realtime": "true",
        "operator": "spacemouse",
        "scene_reset": "operator",
        "demos": 1,
        "run_dir": run,
    }
    words = [f"{name}:={value}" for name, value in arguments.items()]
    return subprocess.Popen(
        [sys.executable, "-m", "expo_ft_ros.cli", "collect", *words],
        env={**os.environ, "ROS_DOMAIN_ID": str(graph.domain)},
        stdin=subprocess.DEVNULL,
    )


def let_go(probe, spacemouse):
    for z in (-0.3, -0.1, 0.0):
        spacemouse.publish(Twist(linear=Vector3(z=z)))
        probe.spin(0.05)


def push(probe, spacemouse, until, what):
    """Down, into the task's workspace."""
    end = time.monotonic() + 30.0
    while not until():
        assert time.monotonic() < end, what
        spacemouse.publish(Twist(linear=Vector3(z=-0.8)))
        probe.spin(0.05)


@pytest.mark.timeout(200)
def test_it_stands_without_commands_and_keeps_to_its_workspace(arm):
    moves(arm)
    arm.drive(lambda: arm.speed > 0.05, "it doesn't move", MOVE)
    sent = time.monotonic()
    arm.probe.until(lambda: arm.speed < 0.005, "rest", timeout=3.0)
    # 0.1 s until the command would be repeated, 0.2 s of the watchdog, 0.4 s of smoothing, and the
    # lag of the server's arm.
    assert time.monotonic() - sent < 1.5
    stood = arm.position
    arm.probe.spin(0.5)
    assert arm.position == pytest.approx(stood, abs=1e-3)
    arm.drive(lambda: arm.position[2] > 0.88, "it doesn't rise", (0, 0, 0.2, 0, 0, 0))
    for _ in range(15):
        arm.command((0, 0, 0.25, 0, 0, 0))
        arm.probe.spin(0.1)
    # The server's arm follows its commands late, the more so beside other work.
    assert arm.position[2] < 0.92
    assert arm.fault == ""


@pytest.mark.timeout(200)
def test_its_hand_opens_and_closes_by_velocity_beside_the_arm(arm):
    arm.drive(lambda: arm.width < 0.01, "it doesn't close", MOVE, grip=-0.1)
    arm.drive(lambda: arm.width > 0.07, "it doesn't open", [-x for x in MOVE], grip=0.1)
    assert arm.fault == ""


@pytest.mark.timeout(200)
@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGKILL])
def test_a_frozen_or_dead_loop_is_a_fault_until_a_human_confirms(arm, number):
    arm.drive(lambda: arm.speed > 0.05, "it doesn't move", MOVE)
    loop = arm.process("arm_process")
    os.kill(loop, number)
    arm.drive(lambda: arm.fault, "no fault", MOVE, timeout=2.0)
    word = "hasn't changed" if number == signal.SIGSTOP else "was killed by SIGKILL"
    assert word in arm.fault
    if number == signal.SIGSTOP:
        os.kill(loop, signal.SIGCONT)
        arm.probe.until(lambda: "communication_constraints_violation" in arm.fault, "its own word")
        arm.drive(lambda: arm.speed < 0.005, "it moves in a fault", MOVE, timeout=3.0)
        assert arm.fault
    arm.recovers()
    arm.stands()
    moves(arm)


@pytest.mark.timeout(200)
@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGKILL])
def test_a_frozen_or_dead_hand_is_a_fault_and_the_arm_stands(arm, number):
    arm.drive(lambda: arm.speed > 0.05, "it doesn't move", MOVE)
    hand = arm.process("hand_process")
    os.kill(hand, number)
    word = "hand: its process tells nothing" if number == signal.SIGSTOP else "hand_process"
    arm.drive(lambda: word in arm.fault, "no fault", timeout=8.0)
    arm.drive(lambda: arm.speed < 0.005, "it doesn't stand", MOVE, timeout=2.0)
    if number == signal.SIGSTOP:
        os.kill(hand, signal.SIGCONT)
        arm.probe.spin(0.5)
        assert arm.fault
    arm.recovers()
    moves(arm)


@pytest.mark.timeout(200)
def test_a_frozen_adapter_stands_and_goes_on(arm):
    arm.drive(lambda: arm.speed > 0.05, "it doesn't move", MOVE)
    loop = arm.process("arm_process")
    arm.node.send(signal.SIGSTOP)
    arm.probe.spin(1.0)
    arm.node.send(signal.SIGCONT)
    arm.fresh_state()
    assert arm.speed < 0.005
    assert arm.process("arm_process") == loop
    assert arm.fault == ""
    moves(arm)


@pytest.mark.timeout(200)
def test_a_killed_adapter_leaves_a_standing_arm_and_no_process(arm, server):
    arm.drive(lambda: arm.speed > 0.05, "it doesn't move", MOVE)
    arm.node.send(signal.SIGKILL)
    arm.node.wait()
    arm.probe.until(lambda: not arm.processes(), "the processes' end")
    assert server.told("Sent Move success response"), "the motion was not finished by its client"
    assert server.aborts() == []
    arm.start()
    assert arm.fault == ""
    moves(arm)


@pytest.mark.timeout(200)
def test_one_that_is_ended_while_it_moves_comes_to_rest_first(arm, server):
    arm.drive(lambda: arm.speed > 0.05, "it doesn't move", MOVE)
    arm.node.send(signal.SIGINT)
    assert arm.node.wait() == 0
    assert not arm.processes()
    assert server.told("Sent Move success response")
    assert server.aborts() == []

# SPDX-License-Identifier: Apache-2.0
"""A robot from outside the package, its file and its adapter, over DDS; a whole episode on it."""

from __future__ import annotations

import math
import signal
import time

import numpy as np
import pytest
import yaml
from geometry_msgs.msg import Twist, TwistStamped
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64

from expo_ft_ros.data.types import Source
from expo_ft_ros.recording.episode_store import load_episodes
from expo_ft_ros.recording.messages import nanoseconds
from expo_ft_ros.ros.messages import header_of
from support import toy_robot
from support.demonstrating import collect, demonstrate
from support.probe import PATIENCE
from support.processes import processes_naming

BASE = "toy_base"


@pytest.fixture
def robot(graph):
    """The file of a robot that the package doesn't know."""
    path = graph.folder / "toy.yaml"
    path.write_text(toy_robot.FILE)
    return path


def fastest(poses):
    """The greatest speed along x [m/s], by stamps: samples may be lost."""
    places = np.array([pose.pose.position.x for pose in poses])
    times = 1e-9 * np.array([nanoseconds(pose.header.stamp) for pose in poses])
    # The toy goes on by its cycles, which a busy machine holds up and then runs close together.
    steps = np.maximum(np.diff(times), 1.0 / 100)
    return (np.diff(places) / steps).max()


class Commander:
    """The graph's side of an adapter."""

    def __init__(self, graph, robot, **parameters):
        self.probe = graph.probe
        self.twist = self.probe.publisher("robot/twist_cmd")
        self.gripper = self.probe.publisher("robot/gripper_cmd")
        self.poses = self.probe.gather("robot/tcp_pose", reliable=False)
        self.joints = self.probe.gather("joint_states", reliable=False)
        self.faults = self.probe.gather("robot/fault")
        self.health = self.probe.gather("/diagnostics")
        self.node = graph.start(
            "toy_adapter", module=toy_robot.__name__, robot=str(robot), **parameters
        )
        self.probe.ready("toy_adapter")
        self.probe.matched()
        self.probe.until(lambda: self.poses and self.joints and self.faults, "the robot's state")

    @property
    def x(self):
        return self.poses[-1].pose.position.x

    def command(self, x=0.0, *, grip=0.0, frame=BASE, age=0.0):
        header = header_of(time.time_ns() - round(1e9 * age), frame)
        self.gripper.publish(JointState(header=header, name=["gripper"], velocity=[grip]))
        message = TwistStamped(header=header)
        message.twist.linear.x = x
        self.twist.publish(message)

    def drive(self, until, what, x=0.0, **more):
        """Commands at the control rate until the condition holds."""
        end = time.monotonic() + PATIENCE
        while not until():
            assert time.monotonic() < end, what
            self.command(x, **more)
            self.probe.spin(0.1)

    def rest(self):
        """Where it is once it stands: it lags behind its target, and the machine may halt it."""
        seen = len(self.poses)

        def stands():
            places = [
                pose.pose.position.x for pose in self.poses[max(seen, len(self.poses) - 40) :]
            ]
            return len(places) == 40 and np.ptp(places) < 1e-5

        self.probe.until(stands, "its rest")
        return self.x

    def told(self, words):
        return any(words in status.message for m in self.health for status in m.status)


def test_it_moves_as_commanded_and_stands_without_commands(graph, robot):
    it = Commander(graph, robot)
    assert it.poses[-1].header.frame_id == BASE
    assert list(it.joints[-1].name) == ["turn", "lift", "reach", "jaw"]
    assert [fault.data for fault in it.faults] == [""]
    start = it.x
    it.drive(lambda: it.x > start + 0.05, "it doesn't move", x=0.15)
    it.health.clear()  # It said so before the first command, too.
    it.probe.until(lambda: it.told("no command: the arm stands"), "its watchdog's word")
    stands = it.rest()
    it.probe.spin(0.5)
    assert it.x == pytest.approx(stands, abs=1e-4)
    assert fastest(it.poses) < 0.2 * 1.5, "faster than its limits"


def test_a_command_that_has_waited_longer_than_the_watchdog_moves_nothing(graph, robot):
    """Its sender may be gone; a zero always counts."""
    it = Commander(graph, robot)
    it.drive(lambda: it.x > 0.46, "it doesn't move", x=0.15)
    stands = it.rest()
    for _ in range(5):
        it.command(0.15, age=0.3)
        it.probe.spin(0.1)
    assert it.x == pytest.approx(stands, abs=1e-4)
    it.probe.until(lambda: it.told("s ago, wants at most 0.2 s"), "its word")
    it.drive(lambda: it.x > stands + 0.03, "it doesn't move", x=0.15)
    for _ in range(5):
        it.command(0.0, age=0.3)
        it.probe.spin(0.1)
    stands = it.rest()
    it.command(0.0, age=0.3)
    it.probe.spin(0.1)
    assert it.x == pytest.approx(stands, abs=2e-3)


def test_a_command_of_another_frame_moves_nothing_but_a_zero_stops(graph, robot):
    it = Commander(graph, robot)
    start = it.x
    for _ in range(3):
        it.command(0.15, frame="world")
        it.probe.spin(0.1)
    it.probe.until(
        lambda: it.told("robot/twist_cmd: frame_id 'world', but the robot's base frame is"),
        "its word",
    )
    assert it.x == pytest.approx(start, abs=1e-6)
    it.command(math.nan)
    it.probe.until(lambda: it.told("a velocity is not finite"), "its word")
    it.drive(lambda: it.x > start + 0.03, "it doesn't move", x=0.15)
    it.health.clear()
    for _ in range(5):
        it.command(0.0, frame="")
        it.probe.spin(0.1)
    stands = it.rest()
    it.command(0.0, frame="")
    it.probe.spin(0.1)
    assert it.x == pytest.approx(stands, abs=2e-3)
    assert not it.told("frame_id")


def test_its_gripper_opens_and_closes_by_velocity(graph, robot):
    it = Commander(graph, robot)
    width = 0.06
    assert it.joints[-1].position[3] == pytest.approx(width)
    it.drive(lambda: it.joints[-1].position[3] < 0.001, "it doesn't close", grip=-0.1)
    it.command(grip=0.02)
    it.probe.spin(0.3)
    assert it.joints[-1].position[3] < 0.001, "what is weak moves nothing"
    it.drive(lambda: it.joints[-1].position[3] > 0.059, "it doesn't open", grip=0.1)


def test_a_fault_is_told_once_and_nothing_moves_in_it(graph, robot):
    it = Commander(graph, robot, fault_beyond=0.48)
    it.drive(lambda: len(it.faults) > 1, "no fault", x=0.15)
    assert [fault.data for fault in it.faults] == ["", "lift at its end"]
    stands = it.rest()
    for _ in range(5):
        it.command(0.15)
        it.probe.spin(0.1)
    assert it.x == pytest.approx(stands, abs=1e-3)


def test_a_state_that_is_no_number_is_not_told(graph, robot):
    """The graph then holds the arm, whose state is too old."""
    it = Commander(graph, robot, broken_beyond=0.48)
    it.drive(lambda: it.told("measured state is not finite"), "no word", x=0.15)
    it.probe.spin(0.3)  # What it told before is on its way.
    seen = len(it.poses)
    it.probe.spin(0.3)
    assert len(it.poses) == seen
    assert all(math.isfinite(pose.pose.position.x) for pose in it.poses)
    assert it.node.process.poll() is None


@pytest.mark.parametrize(
    ("parameter", "word"),
    [("frozen_beyond", "state hasn't changed"), ("lost_beyond", "tells no state")],
)
def test_a_driver_that_hangs_stops_the_arm(graph, robot, parameter, word):
    """Its target stands too: a controller goes on with the velocity of the last one."""
    truth = []
    graph.probe.node.create_subscription(Float64, toy_robot.TRUTH, truth.append, 1)
    it = Commander(graph, robot, **{parameter: 0.48})
    # A machine that halts the adapter has it say so before that.
    gone = lambda: truth and truth[-1].data > 0.48 and it.told(word)  # noqa: E731
    it.drive(gone, "no word", x=0.15)
    it.health.clear()
    it.drive(lambda: it.told(word), "no word", x=0.15)
    it.probe.spin(0.3)  # What it told before is on its way.
    seen, since = len(it.poses), len(truth)
    it.drive(lambda: len(truth) > since + 100, "no truth", x=0.15)
    assert truth[-1].data == pytest.approx(truth[since].data, abs=0.01)
    assert len(it.poses) == seen, "an old state is told as a new one"
    assert truth[-1].data == pytest.approx(truth[-20].data, abs=1e-4)


def test_an_arm_that_was_guided_by_hand_stays_where_it_was_left(graph, robot):
    """Its controller pulls it to the target, which stands where the arm was before."""
    hand = graph.probe.node.create_publisher(Float64, toy_robot.HAND, 1)
    it = Commander(graph, robot)
    it.drive(lambda: it.x > 0.46, "it doesn't move", x=0.15)
    it.health.clear()  # It said so before the first command, too.
    it.probe.until(lambda: it.told("no command: the arm stands"), "its watchdog's word")
    it.probe.until(lambda: hand.get_subscription_count() > 0, "the hand")
    hand.publish(Float64(data=0.6))
    it.probe.until(lambda: it.x > 0.53, "the hand's motion")
    it.probe.spin(1.0)
    assert it.rest() > 0.53


def test_an_arm_that_was_moved_while_its_state_was_lost_goes_on_from_where_it_is(graph, robot):
    """Commands go on meanwhile: its target would lie ahead of it as far as a target may."""
    hand = graph.probe.node.create_publisher(Float64, toy_robot.HAND, 1)
    it = Commander(graph, robot, lost_beyond=0.48)
    it.drive(lambda: it.told("tells no state"), "no word", x=0.15)
    it.probe.spin(0.3)  # What it told before is on its way.
    seen = len(it.poses)
    hand.publish(Float64(data=0.3))
    it.drive(lambda: len(it.poses) > seen + 20, "its state", x=0.15)
    assert fastest(it.poses[seen:]) < 0.2 * 1.5, "it is pulled"


def test_one_that_is_ended_while_it_moves_leaves_a_standing_target(graph, robot):
    targets = []
    graph.probe.node.create_subscription(Twist, toy_robot.TARGET_SPEED, targets.append, 100)
    it = Commander(graph, robot)
    it.drive(lambda: targets and targets[-1].linear.x > 0.1, "it doesn't move", x=0.15)
    it.node.process.send_signal(signal.SIGINT)
    it.node.wait()
    it.probe.until(lambda: targets[-1].linear.x == 0.0, "a standing target")
    it.probe.spin(0.3)
    assert targets[-1].linear.x == 0.0


def test_a_driver_that_is_not_ready_gives_no_rotation(graph, robot):
    """Zeros in place of a quaternion: told, and no end of the adapter."""
    node = graph.start("toy_adapter", module=toy_robot.__name__, robot=str(robot), no_rotation=True)
    health = graph.probe.gather("/diagnostics")
    graph.probe.until(
        lambda: any("has the length 0.000" in s.message for m in health for s in m.status),
        "no word",
    )
    assert node.process.poll() is None


def test_an_adapter_of_another_name_says_what_to_write(graph, robot):
    robot.write_text(toy_robot.FILE.replace("node: toy_adapter", "node: driver"))
    node = graph.start("toy_adapter", module=toy_robot.__name__, robot=str(robot))
    assert node.wait() == 1
    assert "node: 'driver' is not this node's name, 'toy_adapter'" in node.log.read_text()


@pytest.mark.timeout(500)
def test_a_whole_episode_on_a_robot_that_is_one_file_and_an_adapter_of_somebody_else(graph, robot):
    """A human demonstrates with a SpaceMouse; the graph is the simulation's, but for that one."""
    it = Commander(graph, robot)
    probe, run = graph.probe, graph.folder / "run"
    probe.node.destroy_publisher(it.twist)
    probe.node.destroy_publisher(it.gripper)
    state = probe.gather("episode/state")
    spacemouse = probe.publisher("spacenav/twist")
    process = collect(graph, robot, run)
    try:
        demonstrate(probe, state, spacemouse)
        probe.until(lambda: process.poll() is not None, "the end of the run", timeout=120.0)
        assert process.returncode == 0
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(90)
    (episode,) = [e for e in load_episodes(run / "episodes") if e.outcome.success]
    assert list(episode.views) == ["front"]
    assert (episode.source == Source.HUMAN).sum() > 5
    # It went along x as it was told to, with the toy's lag.
    assert episode.state[-1, 0] - episode.state[0, 0] > 0.03
    assert np.abs(episode.executed).max() <= 1.0
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert config["robot"]["name"] == "toy"
    assert config["robot"]["limits"]["linear_velocity"] == 0.2
    assert it.node.process.poll() is None, "somebody else's adapter outlives the run"


@pytest.mark.timeout(500)
def test_an_adapter_of_ones_own_package_begins_and_ends_with_the_graph(graph, robot):
    robot.write_text(toy_robot.FILE.replace("external", toy_robot.__name__))
    run = graph.folder / "run"
    state = graph.probe.gather("episode/state")
    spacemouse = graph.probe.publisher("spacenav/twist")
    process = collect(graph, robot, run)
    try:
        demonstrate(graph.probe, state, spacemouse)
        graph.probe.until(lambda: process.poll() is not None, "the end of the run", timeout=120.0)
        assert process.returncode == 0
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(90)
    assert (run / "logs" / "toy_adapter.log").is_file()
    graph.probe.until(lambda: not processes_naming(str(run)), "its processes' end")

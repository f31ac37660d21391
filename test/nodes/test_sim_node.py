# SPDX-License-Identifier: Apache-2.0
import math
import time

import numpy as np
import pytest
from geometry_msgs.msg import TwistStamped
from sensor_msgs.msg import JointState
from std_msgs.msg import Header

from expo_ft_ros.recording.messages import nanoseconds
from expo_ft_ros.ros.messages import header_of, stamp_of

PERIOD = 100_000_000


class Robot:
    """The command side of a sim node."""

    def __init__(self, probe, *, operator=False, reliable=True):
        self.probe = probe
        self.twist = probe.publisher("robot/twist_cmd")
        self.gripper = probe.publisher("robot/gripper_cmd")
        self.operator = probe.publisher("sim/operator_ready") if operator else None
        self.poses = probe.gather("robot/tcp_pose", reliable=reliable)
        self.sides = probe.gather("side_camera/image_raw", reliable=reliable)
        self.wrists = probe.gather("wrist_camera/image_raw", reliable=reliable)
        self.states = probe.gather("sim/state")
        self.clocks = probe.gather("/clock")

    @property
    def time(self):
        return nanoseconds(self.poses[-1].header.stamp)

    def command(self, time_ns, x=0.0):
        header = header_of(time_ns, "base")
        self.gripper.publish(JointState(header=header, name=["gripper"], velocity=[0.0]))
        message = TwistStamped(header=header)
        message.twist.linear.x = x
        self.twist.publish(message)

    def shown(self, time_ns):
        """Whether everything of that time has come."""
        lists = (self.poses, self.sides, self.wrists, self.states)
        return all(m and nanoseconds(m[-1].header.stamp) == time_ns for m in lists)


def test_lockstep_waits_for_everyone_and_forgets_what_it_knows(graph):
    robot = Robot(graph.probe, operator=True)
    graph.start("sim", lockstep=True, wait_for_operator=True, seed=3)
    probe = graph.probe
    probe.ready("sim")
    probe.matched()
    probe.until(lambda: robot.poses and robot.shown(robot.time), "the first frames")
    start = robot.time
    x = robot.poses[-1].pose.position.x
    robot.command(start, x=0.25)
    probe.spin(0.3)
    assert robot.time == start, "the operator has not answered yet"
    robot.operator.publish(Header(stamp=stamp_of(start)))
    probe.until(lambda: robot.shown(start + PERIOD), "the next frames")
    assert robot.poses[-1].pose.position.x - x > 0.005, "the command acts in its own period"
    robot.command(start, x=0.25)
    robot.operator.publish(Header(stamp=stamp_of(start)))
    probe.spin(0.3)
    assert robot.time == start + PERIOD, "an old command moves nothing"
    there = lambda: nanoseconds(robot.clocks[-1].clock) == start + PERIOD  # noqa: E731
    probe.until(there, "its clock")


def test_lockstep_shows_again_what_nobody_answered(graph):
    robot = Robot(graph.probe)
    graph.start("sim", lockstep=True)
    probe = graph.probe
    probe.until(lambda: len(robot.sides) >= 2, "a second showing")
    assert robot.sides[-1].header.stamp == robot.sides[0].header.stamp
    assert bytes(robot.sides[-1].data) == bytes(robot.sides[0].data)


def test_reset_says_from_when_frames_are_new_and_is_reproducible(graph):
    robot = Robot(graph.probe)
    graph.start("sim", lockstep=True)
    probe = graph.probe
    probe.ready("sim")
    probe.until(lambda: robot.states, "the first frames")

    def cube(seed):
        answer = probe.call("sim/reset", seed=seed)
        assert answer.success
        valid = nanoseconds(answer.valid_from)
        probe.until(lambda: robot.shown(valid), "the frames of the new scene")
        position = robot.states[-1].poses[0].position
        return valid, np.array([position.x, position.y])

    before = robot.states[-1].resets
    first, where = cube(5)
    second, elsewhere = cube(6)
    third, again = cube(5)
    assert first < second < third
    assert robot.states[-1].resets == before + 3
    assert np.linalg.norm(where - elsewhere) > 0.005
    np.testing.assert_array_equal(where, again)


def test_it_tells_where_its_cameras_are_in_base_and_tool(graph):
    mounts = {view: graph.probe.gather(f"camera/{view}/mount") for view in ("side", "wrist")}
    graph.start("sim", lockstep=True)
    graph.probe.until(lambda: all(mounts.values()), "the mounts")
    told = {view: (m[-1].header.frame_id, m[-1].child_frame_id) for view, m in mounts.items()}
    assert told == {
        "side": ("base", "side_camera_optical_frame"),
        "wrist": ("tcp", "wrist_camera_optical_frame"),
    }


def test_a_reset_that_is_asked_for_twice_happens_once(graph):
    """Who heard no answer asks again; by then the episode may be on."""
    robot = Robot(graph.probe)
    graph.start("sim", lockstep=True)
    probe = graph.probe
    probe.ready("sim")
    first = probe.call("sim/reset", seed=5, episode=1)
    again = probe.call("sim/reset", seed=5, episode=1)
    assert again.success
    assert again.valid_from == first.valid_from
    valid = nanoseconds(first.valid_from)
    probe.until(lambda: robot.shown(valid), "the frames of the new scene")
    resets = robot.states[-1].resets
    later = nanoseconds(probe.call("sim/reset", seed=5, episode=2).valid_from)
    probe.until(lambda: robot.shown(later), "the frames of the next scene")
    assert robot.states[-1].resets == resets + 1


@pytest.mark.realtime
def test_realtime_goes_by_the_wall_and_stands_without_commands(graph):
    robot = Robot(graph.probe, reliable=False)
    graph.start("sim")
    probe = graph.probe
    probe.until(lambda: robot.sides and len(robot.poses) > 20, "a stream of frames")
    probe.matched()
    robot.command(time.time_ns(), x=0.2)
    # A command that waits for longer than the watchdog, where somebody is halted, moves nothing.
    moved = lambda: _speed(robot) > 0.05  # noqa: E731
    probe.repeat(lambda: robot.command(time.time_ns(), x=0.2), moved, "the arm moving", 0.6)
    sent, begun = time.time_ns(), len(robot.poses)
    probe.until(lambda: _speed(robot) < 0.01, "the arm standing")
    stamps = np.array([nanoseconds(pose.header.stamp) for pose in robot.poses[begun - 1 :]])
    assert stamps[-1] - sent < 1.2e9 + np.diff(stamps).max()
    probe.until(
        lambda: abs(nanoseconds(robot.poses[-1].header.stamp) - time.time_ns()) < 0.5e9,
        "the time of the wall",
    )


def _speed(robot):
    """[m/s] over the last samples."""
    first, last = robot.poses[-6], robot.poses[-1]
    seconds = 1e-9 * (nanoseconds(last.header.stamp) - nanoseconds(first.header.stamp))
    return (last.pose.position.x - first.pose.position.x) / max(seconds, 1e-3)


def test_stop_is_heard(graph):
    """What the runner calls when arbitration has died."""
    robot = Robot(graph.probe)
    graph.start("sim", lockstep=True)
    graph.probe.until(lambda: robot.poses, "sim")
    stop = graph.start("stop")
    assert stop.wait() == 0


def test_stop_says_that_nobody_listens(graph):
    stop = graph.start("stop")
    assert stop.wait() == 2
    assert "nobody acknowledged a zero" in stop.log.read_text()


@pytest.mark.parametrize("bad", [[], [0.1, 0.2], [math.nan]])
def test_sim_drops_a_broken_command_and_takes_the_next(graph, bad):
    robot = Robot(graph.probe)
    health = graph.probe.gather("/diagnostics")

    def told(words):
        return any(words in status.message for m in health for status in m.status)

    graph.start("sim", lockstep=True)
    graph.probe.ready("sim")
    graph.probe.matched()
    graph.probe.until(lambda: robot.poses and robot.shown(robot.time), "the first frames")
    robot.gripper.publish(JointState(name=["gripper"] * len(bad), velocity=bad))
    graph.probe.until(lambda: told("wants one finite number"), "its word")
    twist = TwistStamped(header=header_of(robot.time, "base"))
    twist.twist.angular.z = math.nan
    robot.twist.publish(twist)
    graph.probe.until(lambda: told("a velocity is not finite"), "its word")
    start = robot.time
    robot.command(start, x=0.1)
    graph.probe.until(lambda: robot.time == start + PERIOD, "the next time")
    assert np.isfinite(robot.poses[-1].pose.position.x)

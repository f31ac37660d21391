# SPDX-License-Identifier: Apache-2.0
"""camera, proprio, teleop: from drivers' topics to ours."""

import time
from typing import Any

import numpy as np
import pytest
from expo_ft_ros.msg import EpisodeState
from geometry_msgs.msg import PoseStamped, Twist, TwistStamped
from sensor_msgs.msg import Image, JointState, Joy

from expo_ft_ros.data.crop import crop_image
from expo_ft_ros.recording.messages import image_to_array, nanoseconds
from expo_ft_ros.robots import load_robot
from expo_ft_ros.ros.messages import array_to_image, header_of, stamp_of, to_array


def test_crop():
    image = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    np.testing.assert_array_equal(crop_image(image, None), image[:, 1:5])
    np.testing.assert_array_equal(crop_image(image, (2, 1, 3, 2)), image[1:3, 2:5])
    with pytest.raises(ValueError, match="does not lie in the image of 6x4"):
        crop_image(image, (4, 0, 3, 2))


def test_camera_converts_what_a_driver_gives(graph):
    """A wide YUYV image of a driver that is best effort, and one that is right already."""
    probe = graph.probe
    side = probe.publisher("side_camera/image_raw", reliable=False)
    wrist = probe.publisher("wrist_camera/image_raw", reliable=False)
    sides = probe.gather("camera/side/image_raw")
    wrists = probe.gather("camera/wrist/image_raw")
    graph.start("camera")
    probe.ready("camera")
    probe.matched()
    red = np.tile(np.array([81, 90, 81, 240], np.uint8), (480, 320)).reshape(480, 1280)
    yuv = Image(
        header=header_of(3_000_000_000, "side"),
        encoding="yuv422_yuy2",
        height=480,
        width=640,
        step=1280,
        data=to_array(red, "B"),
    )
    picture = np.random.default_rng(0).integers(0, 256, (224, 224, 3), dtype=np.uint8)
    given = array_to_image(picture, header_of(4_000_000_000, "wrist"))
    both = lambda: (side.publish(yuv), wrist.publish(given))  # noqa: E731
    probe.repeat(both, lambda: sides and wrists, "both images")
    assert (sides[0].encoding, sides[0].height, sides[0].width) == ("rgb8", 224, 224)
    assert nanoseconds(sides[0].header.stamp) == 3_000_000_000
    assert (np.abs(image_to_array(sides[0]).astype(int) - [254, 0, 0]) < 6).all()
    np.testing.assert_array_equal(image_to_array(wrists[0]), picture)


def test_camera_says_what_is_wrong_with_an_image_and_stays(graph):
    probe = graph.probe
    side = probe.publisher("side_camera/image_raw")
    probe.publisher("wrist_camera/image_raw")
    sides = probe.gather("camera/side/image_raw")
    probe.gather("camera/wrist/image_raw")
    health = probe.gather("/diagnostics")
    graph.start("camera")
    probe.ready("camera")
    bad = Image(encoding="bayer_rggb8", height=2, width=2, step=2, data=[0] * 4)
    told = lambda: any("bayer_rggb8" in m.status[0].message for m in health)  # noqa: E731
    probe.repeat(lambda: side.publish(bad), told, "its cause")
    good = array_to_image(np.zeros((300, 300, 3), np.uint8), header_of(1))
    probe.repeat(lambda: side.publish(good), lambda: sides, "a good image")
    assert {nanoseconds(image.header.stamp) for image in sides} == {1}


def test_proprio_joins_what_has_one_stamp(graph):
    probe = graph.probe
    joints = probe.publisher("joint_states")
    pose = probe.publisher("robot/tcp_pose")
    twist = probe.publisher("robot/tcp_twist")
    got = probe.gather("proprio")
    graph.start("proprio", lockstep=True)
    probe.ready("proprio")
    probe.matched()

    def show(time_ns: int, *, with_pose: bool = True) -> None:
        header = header_of(time_ns, "base")
        arm = [f"fr3_joint{i}" for i in range(7, 0, -1)]
        names = ["fr3_finger_joint2", *arm, "head", "fr3_finger_joint1"]
        positions = [0.01, *np.arange(6.0, -1.0, -1.0), 9.0, 0.02]
        joints.publish(JointState(header=header, name=names, position=positions))
        message = TwistStamped(header=header)
        message.twist.angular.z = 0.5
        twist.publish(message)
        if with_pose:
            here = PoseStamped(header=header)
            here.pose.position.x = 1e-9 * time_ns
            pose.publish(here)

    show(1_000_000_000)
    probe.until(lambda: got, "the first sample")
    show(2_000_000_000, with_pose=False)
    show(3_000_000_000)
    probe.until(lambda: len(got) > 1, "the second sample")
    probe.spin(0.3)
    assert [nanoseconds(m.header.stamp) for m in got] == [1_000_000_000, 3_000_000_000]
    assert got[1].gripper_width == pytest.approx(0.03)
    assert list(got[1].joint_positions) == list(np.arange(7.0))
    assert got[1].pose.position.x == 3.0
    assert got[1].twist.angular.z == 0.5


def joints_of(header):
    robot = load_robot("sim")
    positions = [0.0] * len(robot.joints) + [0.01, 0.02]
    return JointState(header=header, name=[*robot.joints, *robot.fingers], position=positions)


@pytest.mark.parametrize("foreign", ["world", ""])
def test_a_pose_or_twist_of_another_frame_is_refused_by_name(graph, foreign):
    probe = graph.probe
    joints = probe.publisher("joint_states")
    pose = probe.publisher("robot/tcp_pose")
    twist = probe.publisher("robot/tcp_twist")
    got = probe.gather("proprio")
    health = probe.gather("/diagnostics")

    def told(topic):
        words = f"{topic}: frame_id {foreign!r}, but the robot's base frame is 'base'"
        return any(words in status.message for m in health for status in m.status)

    graph.start("proprio")
    probe.ready("proprio")
    probe.matched()
    header, wrong = header_of(time.time_ns(), "base"), header_of(time.time_ns(), foreign)

    def show(of_pose, of_twist):
        joints.publish(joints_of(header))
        twist.publish(TwistStamped(header=of_twist))
        pose.publish(PoseStamped(header=of_pose))

    probe.repeat(lambda: show(wrong, header), lambda: told("robot/tcp_pose"), "the pose's frame")
    twists = lambda: twist.publish(TwistStamped(header=wrong))  # noqa: E731
    probe.repeat(twists, lambda: told("robot/tcp_twist"), "the twist's frame")
    assert not got
    probe.repeat(lambda: show(header, header), lambda: got, "the state")


def test_a_joint_that_is_missing_is_named(graph):
    probe = graph.probe
    joints = probe.publisher("joint_states")
    pose = probe.publisher("robot/tcp_pose")
    twist = probe.publisher("robot/tcp_twist")
    probe.gather("proprio")
    health = probe.gather("/diagnostics")
    graph.start("proprio")
    probe.ready("proprio")
    probe.matched()
    header = header_of(time.time_ns(), "base")
    message = joints_of(header)
    message.name[2] = "other"

    def show():
        pose.publish(PoseStamped(header=header))
        twist.publish(TwistStamped(header=header))
        joints.publish(message)

    named = lambda: any("lacks fr3_joint3" in s.message for m in health for s in m.status)  # noqa: E731
    probe.repeat(show, named, "its name")


def test_a_driver_s_stamp_of_tomorrow_keeps_no_later_state_away(graph):
    """In real time: its clock may have been set."""
    probe = graph.probe
    joints = probe.publisher("joint_states")
    pose = probe.publisher("robot/tcp_pose")
    twist = probe.publisher("robot/tcp_twist")
    got = probe.gather("proprio")
    graph.start("proprio")
    probe.ready("proprio")
    probe.matched()
    now = time.time_ns()
    for _ in range(5):
        pose.publish(PoseStamped(header=header_of(now + 10**13, "base")))
        probe.spin(0.1)
    header = header_of(now, "base")

    def show():
        joints.publish(joints_of(header))
        twist.publish(TwistStamped(header=header))
        pose.publish(PoseStamped(header=header))

    probe.repeat(show, lambda: got, "the state")
    assert nanoseconds(got[-1].header.stamp) == now


def test_teleop_takes_over_and_lets_go(graph):
    """spacenav is silent when idle; a push engages, a zero releases after the hold."""
    probe = graph.probe
    twist = probe.publisher("spacenav/twist")
    joy = probe.publisher("spacenav/joy")
    episodes = probe.publisher("episode/state")
    got = probe.gather("teleop/command")
    graph.start("teleop")
    probe.matched()
    assert episodes.get_subscription_count() == 1
    probe.until(lambda: len(got) > 2, "a heartbeat")
    assert not got[-1].connected
    assert not got[-1].engaged
    assert all(nanoseconds(m.reading) == 0 for m in got), "nothing was read"
    push = Twist()
    push.linear.x = 1.0
    before = time.time_ns()
    twist.publish(push)
    probe.until(lambda: got[-1].engaged, "the takeover")
    # By its first word: it hangs soon after.
    assert any(before < nanoseconds(m.reading) < time.time_ns() for m in got)
    taken = next(m for m in got if m.engaged)
    assert taken.connected
    assert taken.action[0] == pytest.approx(1.0)
    probe.until(lambda: not got[-1].connected, "the hanging of a deflected device that is silent")
    probe.spin(0.5)
    assert got[-1].engaged, "silence is no release"
    assert not got[-1].connected
    mark = len(got)
    twist.publish(push)
    joy.publish(Joy(buttons=[1, 0]))
    probe.until(lambda: any(m.action[6] < 0 for m in got[mark:]), "the closing gripper")
    # A cap that is let go of gives readings on its way.
    push.linear.x = 0.1
    twist.publish(push)
    twist.publish(Twist())
    probe.until(lambda: not got[-1].engaged, "the release")


def test_a_device_that_was_pulled_out_holds_until_the_operator_acknowledges_it(graph):
    """spacenav_node says nothing of it but zeros."""
    probe = graph.probe
    twist = probe.publisher("spacenav/twist")
    probe.publisher("episode/state")
    got = probe.gather("teleop/command")
    health = probe.gather("/diagnostics")
    node = graph.start("teleop")
    probe.matched()
    assert not probe.call("teleop/acknowledge").success, "nothing to acknowledge"
    push = Twist()
    push.linear.x = 0.8

    def pulled_out():
        """Whether it was: where this process is halted between the two, a hand has let go."""
        twist.publish(push)
        probe.until(lambda: got and got[-1].engaged, "the takeover")
        twist.publish(push)
        for _ in range(30):
            twist.publish(Twist())
            probe.spin(0.03)
        return got[-1].engaged

    assert any(pulled_out() for _ in range(5))
    assert (got[-1].engaged, got[-1].connected) == (True, False)
    assert not np.any(got[-1].action)
    probe.until(
        lambda: any("teleop device lost" in s.message for m in health for s in m.status),
        "the cause",
    )
    assert probe.call("teleop/acknowledge").success
    probe.until(lambda: not got[-1].engaged, "the policy's turn")
    push.linear.x = 350.0
    twist.publish(push)
    probe.until(lambda: "set full_scale" in node.log.read_text(), "the remedy")
    assert not got[-1].engaged


def test_teleop_waits_for_a_device_that_is_needed(graph):
    probe = graph.probe
    probe.publisher("episode/state")
    ready = probe.gather("nodes/ready")
    got = probe.gather("teleop/command")
    graph.start("teleop", device_needed=True)
    probe.until(lambda: len(got) > 2, "a heartbeat")
    assert not ready
    twist = probe.publisher("spacenav/twist")
    probe.until(lambda: [message.data for message in ready] == ["teleop"], "the device")
    probe.node.destroy_publisher(twist)


def test_teleop_says_that_a_device_went_away_while_it_drove(graph):
    probe = graph.probe
    twist = probe.publisher("spacenav/twist")
    got = probe.gather("teleop/command")
    graph.start("teleop")
    probe.matched()
    push = Twist()
    push.linear.x = 1.0
    twist.publish(push)
    probe.until(lambda: got and got[-1].engaged, "the takeover")
    probe.node.destroy_publisher(twist)
    probe.until(lambda: not got[-1].connected, "the loss")
    assert got[-1].engaged, "the policy may not go on"
    assert not np.any(got[-1].action)


def test_a_gamepad_takes_over_and_a_broken_one_does_not(graph):
    probe = graph.probe
    joy = probe.publisher("joy")
    episodes = probe.publisher("episode/state")
    health = probe.gather("/diagnostics")
    got = probe.gather("teleop/command")
    graph.start("teleop", device="joy")
    probe.until(lambda: len(got) > 2, "a heartbeat")

    def read(condition, what, axes, buttons):
        """The gamepad gives such a reading, until then."""
        probe.repeat(lambda: joy.publish(Joy(axes=axes, buttons=buttons)), condition, what, 0.05)

    def told(words):
        return lambda: any(words in m.status[0].message for m in health)

    read(told("1 axes, axes of teleop_joy.yaml need 8"), "the complaint", [1.0], [])
    assert not got[-1].engaged
    words = "1 buttons, open_button 1 of teleop_joy.yaml needs 2"
    read(told(words), "the complaint about a gripper that couldn't be moved", [0.0] * 8, [0])
    read(lambda: got[-1].connected, "the rest", [0.0] * 8, [0, 0])
    pushed = [0.0, 0.9, 0, 0, 0, 0, 0, 0]
    read(lambda: got[-1].engaged and got[-1].action[0] > 0.8, "the takeover", pushed, [0, 0])
    episodes.publish(EpisodeState(state=EpisodeState.ENDED, episode=1))
    probe.until(lambda: not got[-1].engaged, "the end of the episode")


def test_a_spacemouse_without_the_buttons_that_are_named_is_told(graph):
    """Its gripper would be dead, and its state look well."""
    probe = graph.probe
    joy = probe.publisher("spacenav/joy")
    probe.publisher("episode/state")
    probe.publisher("spacenav/twist")
    health = probe.gather("/diagnostics")
    got = probe.gather("teleop/command")
    graph.start("teleop")
    probe.until(lambda: len(got) > 2, "a heartbeat")
    probe.matched()
    joy.publish(Joy(buttons=[1]))
    words = "spacenav/joy: 1 buttons, open_button 1 of teleop.yaml needs 2 (name"
    probe.until(lambda: any(words in s.message for m in health for s in m.status), "its cause")
    assert not any(m.engaged for m in got)


def test_a_new_episode_is_no_rest(graph):
    """An axis that rests at full deflection doesn't take over in any later episode either."""
    probe = graph.probe
    joy = probe.publisher("joy")
    episodes = probe.publisher("episode/state")
    got = probe.gather("teleop/command")
    graph.start("teleop", device="joy")
    probe.until(lambda: len(got) > 2, "a heartbeat")
    tilted = Joy(axes=[0, 0, 0, 0, 1.0, 0, 0, 0], buttons=[0, 0])
    probe.repeat(lambda: joy.publish(tilted), lambda: got[-1].connected, "the gamepad")
    episodes.publish(EpisodeState(state=EpisodeState.RESETTING, episode=1))
    probe.spin(0.2)
    mark = len(got)
    read = lambda: any(nanoseconds(m.reading) for m in got[mark:])  # noqa: E731
    probe.repeat(lambda: joy.publish(tilted), read, "its next reading")
    assert not any(m.engaged or np.any(m.action) for m in got)


def test_teleop_in_lockstep_gives_one_command_a_time(graph):
    probe = graph.probe
    from rosgraph_msgs.msg import Clock

    clock = probe.publisher("/clock")
    twist = probe.publisher("spacenav/twist")
    probe.publisher("episode/state")
    got = probe.gather("teleop/command")
    graph.start("teleop", lockstep=True)
    probe.ready("teleop")
    probe.matched()
    asked = 0

    def ask(time_ns: int) -> Any:
        """The newest answer to a time, which is published again where the machine is busy."""
        nonlocal asked
        before, end = len(got), time.monotonic() + 30.0
        while len(got) == before or nanoseconds(got[-1].header.stamp) != time_ns:
            assert time.monotonic() < end, f"no answer to {time_ns}"
            clock.publish(Clock(clock=stamp_of(time_ns)))
            asked += 1
            probe.spin(0.5)
        return got[-1]

    ask(10**9)
    push = Twist()
    push.linear.z = -1.0
    for _ in range(3):
        twist.publish(push)
    probe.spin(0.2)
    assert not ask(10**9).engaged, "the same time is answered by the same command"
    assert ask(1_100_000_000).engaged
    assert len(got) <= asked

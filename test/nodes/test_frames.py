# SPDX-License-Identifier: Apache-2.0
"""TF of the simulated robot, where tf2_msgs is installed."""

import pytest

from expo_ft_ros.robots import load_robot

TF = pytest.importorskip("tf2_msgs.msg", reason="tf2_msgs is not installed").TFMessage


def test_the_tool_and_the_cameras_hang_together(graph):
    probe, robot = graph.probe, load_robot("sim")
    moving, fixed = probe.gather("/tf"), probe.gather("/tf_static")
    poses = probe.gather("robot/tcp_pose", reliable=False)
    graph.start("sim")
    probe.until(lambda: moving and fixed and poses, "frames")
    (tool,) = moving[-1].transforms
    assert (tool.header.frame_id, tool.child_frame_id) == (robot.frames.base, robot.frames.tool)
    told = {message.header.stamp.nanosec: message.pose.position for message in poses}
    same = [m.transforms[0] for m in moving if m.transforms[0].header.stamp.nanosec in told]
    assert same
    for each in same:
        position = told[each.header.stamp.nanosec]
        moved = each.transform.translation
        assert (moved.x, moved.y, moved.z) == (position.x, position.y, position.z)
    cameras = {each.child_frame_id: each.header.frame_id for each in fixed[-1].transforms}
    side, wrist = robot.views
    assert cameras == {side.frame: robot.frames.base, wrist.frame: robot.frames.tool}

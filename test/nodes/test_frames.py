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

    def told():
        """Stamp -> place."""
        return {message.header.stamp.nanosec: message.pose.position for message in poses}

    def same():
        """Frames of poses that were heard; some of either are lost."""
        frames = [m.transforms[0] for m in moving]
        return [each for each in frames if each.header.stamp.nanosec in told()]

    probe.until(lambda: fixed and same(), "frames")
    (tool,) = moving[-1].transforms
    assert (tool.header.frame_id, tool.child_frame_id) == (robot.frames.base, robot.frames.tool)
    for each in same():
        position = told()[each.header.stamp.nanosec]
        moved = each.transform.translation
        assert (moved.x, moved.y, moved.z) == (position.x, position.y, position.z)
    cameras = {each.child_frame_id: each.header.frame_id for each in fixed[-1].transforms}
    side, wrist = robot.views
    assert cameras == {side.frame: robot.frames.base, wrist.frame: robot.frames.tool}

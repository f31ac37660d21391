# SPDX-License-Identifier: Apache-2.0
"""What messages tell of the cameras."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2's rclpy is not installed")

from geometry_msgs.msg import Quaternion, Transform, Vector3
from sensor_msgs.msg import CameraInfo

from expo_ft_ros.recording.messages import BadMessage
from expo_ft_ros.ros.calibration import lens_of, placed_of
from expo_ft_ros.ros.camera_info import pinhole_info
from expo_ft_ros.ros.messages import header_of


def test_a_lens_is_as_the_message_has_it():
    info = pinhole_info(header_of(0, "optical"), 224, 300.0)
    info.d = [0.1, -0.2, 0.01, 0.02, 0.05]
    lens = lens_of(info)
    np.testing.assert_array_equal(lens.matrix, [[300, 0, 111.5], [0, 300, 111.5], [0, 0, 1]])
    np.testing.assert_array_equal(lens.distortion, info.d)
    assert (lens.size, lens.model) == ((224, 224), "plumb_bob")


@pytest.mark.parametrize(
    "info",
    [
        CameraInfo(width=0, height=224),
        CameraInfo(width=224, height=0),
        CameraInfo(width=224, height=224, d=[0.1, 0.2]),
        CameraInfo(width=224, height=224, d=[float("nan")] * 5),
    ],
)
def test_what_is_no_lens_is_refused(info):
    with pytest.raises(BadMessage, match="camera_info"):
        lens_of(info)


def test_a_frame_is_where_the_transform_has_it():
    turn = Quaternion(x=0.5, y=-0.5, z=0.5, w=0.5)
    placed = placed_of(Transform(translation=Vector3(x=1.0, y=2.0, z=3.0), rotation=turn))
    np.testing.assert_array_equal(placed.position, [1, 2, 3])
    np.testing.assert_array_equal(placed.quaternion, [0.5, -0.5, 0.5, 0.5])

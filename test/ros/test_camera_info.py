# SPDX-License-Identifier: Apache-2.0
"""Calibration is that of the pixels that the graph sees."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header

from expo_ft_ros.data.crop import crop_of
from expo_ft_ros.ros.camera_info import fit_info, pinhole_info


def driver_info():
    info = CameraInfo(header=Header(frame_id="optical"), width=640, height=480)
    info.distortion_model = "plumb_bob"
    info.d = [0.1, -0.2, 0.0, 0.0, 0.05]
    info.k = [600.0, 0.0, 322.5, 0.0, 610.0, 238.0, 0.0, 0.0, 1.0]
    info.r = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
    info.p = [590.0, 0.0, 321.0, -35.0, 0.0, 592.0, 239.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    return info


def pixel(matrix, columns, point):
    """Where a point in the camera's axes is in the image [px]."""
    x, y, z = np.reshape(matrix, (3, columns)) @ [*point, 1.0][:columns]
    return np.array([x / z, y / z])


@given(
    st.sampled_from([None, (80, 0, 480, 480), (10, 20, 300, 200)]),
    st.tuples(st.floats(-0.5, 0.5), st.floats(-0.5, 0.5), st.floats(0.5, 3.0)),
)
def test_a_point_is_where_its_pixel_has_gone(crop, point):
    info, size = driver_info(), 224
    part = crop_of(crop, info.width, info.height)
    fitted = fit_info(info, part, size)
    x, y, width, height = part
    for name, columns in (("k", 3), ("p", 4)):
        # A pixel covers half a step to each side of its centre.
        before = pixel(getattr(info, name), columns, point) + 0.5 - [x, y]
        there = before * [size / width, size / height] - 0.5
        np.testing.assert_allclose(pixel(getattr(fitted, name), columns, point), there, atol=1e-9)
    assert (fitted.width, fitted.height) == (size, size)
    assert list(fitted.d) == list(info.d)
    assert fitted.header == info.header


def test_an_image_that_is_right_already_keeps_its_calibration():
    info = pinhole_info(Header(frame_id="optical"), 224, 300.0)
    fitted = fit_info(info, crop_of(None, 224, 224), 224)
    np.testing.assert_allclose(fitted.k, info.k)
    np.testing.assert_allclose(fitted.p, info.p)


def test_the_camera_node_passes_it_on(graph):
    probe = graph.probe
    graph.start("camera")
    infos = probe.gather("camera/side/camera_info")
    out = probe.publisher("side_camera/camera_info")
    for name in ("side_camera/image_raw", "wrist_camera/image_raw"):
        probe.publisher(name)
    for name in ("camera/side/image_raw", "camera/wrist/image_raw"):
        probe.gather(name)
    probe.ready("camera")
    probe.until(out.get_subscription_count, "the camera node")

    def there():
        out.publish(driver_info())
        return infos

    probe.until(there, "its calibration")
    assert infos[0].width == infos[0].height == 224
    assert infos[0].k[0] == pytest.approx(600.0 * 224 / 480)
    assert infos[0].header.frame_id == "optical"

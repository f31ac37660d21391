# SPDX-License-Identifier: Apache-2.0
"""camera_driver: from a device to what the graph expects of a camera, over real DDS.

The device is OpenCV's own V4L2 code before a kernel that is a stand-in.
"""

from __future__ import annotations

import time

import numpy as np
import pytest
import yaml

from expo_ft_ros.configuration import config_dir
from expo_ft_ros.data.crop import crop_image
from expo_ft_ros.data.images import resize_image
from expo_ft_ros.recording.messages import image_to_array, nanoseconds
from support.v4l2_camera import (
    EXPOSURE,
    HEIGHT,
    WHITE_BALANCE,
    WHITE_BALANCE_ID,
    WIDTH,
    V4l2Device,
)

SIZE = 96


@pytest.fixture
def device(tmp_path, monkeypatch):
    return V4l2Device(tmp_path, monkeypatch)


def robot_of(folder, **view):
    """The path of a robot with one view."""
    robot = yaml.safe_load((config_dir() / "robots" / "sim.yaml").read_text())
    side = {"name": "side", "topic": "cell/side/color", "frame": "side_optical", "rate": 30}
    robot |= {"name": "mine", "views": [side | view]}
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump(robot))
    return str(path)


def camera_of(folder, path, **changed):
    """The option's value, for a camera with settled controls."""
    file = {"driver": "v4l2", "device": str(path), "width": WIDTH, "height": HEIGHT}
    written = folder / "side.yaml"
    written.write_text(yaml.safe_dump(file | {"settle": 0.1} | changed))
    return f"side={written}"


def start(graph, plugged, view=None, **changed):
    """The driver; its robot."""
    robot = robot_of(graph.folder, **(view or {}))
    cameras = camera_of(graph.folder, plugged.path, **changed)
    return graph.start("camera_driver", robot=robot, cameras=cameras), robot


def told(health, words):
    return [s for m in health for s in m.status if s.name == "camera_driver" and words in s.message]


@pytest.mark.parametrize("crop", [None, (8, 4, 100, 90)])
def test_the_camera_node_gives_what_training_makes_of_the_picture(graph, device, crop):
    probe = graph.probe
    images = probe.gather("camera/side/image_raw")
    health = probe.gather("/diagnostics")
    _, robot = start(graph, device, {"crop": crop})
    graph.start("camera", robot=robot, size=SIZE)
    probe.ready("camera_driver", "camera")
    probe.until(lambda: len(images) > 5, "images")
    expected = resize_image(crop_image(device.picture, crop), SIZE)
    for image in images:
        np.testing.assert_array_equal(image_to_array(image), expected)
        assert image.header.frame_id == "side_optical"
    stamps = np.array([nanoseconds(image.header.stamp) for image in images])
    assert (np.diff(stamps) > 0).all()
    assert 0 < time.time_ns() - stamps[-1] < 30e9
    probe.until(lambda: told(health, "reads side"), "its word")
    values = {entry.key: float(entry.value) for entry in told(health, "reads side")[0].values}
    assert values["side exposure"] == EXPOSURE
    assert values["side wb_temperature"] == WHITE_BALANCE


def test_compressed_images_go_where_the_graph_listens(graph, device):
    probe = graph.probe
    images = probe.gather("camera/side/image_raw")
    _, robot = start(graph, device, {"transport": "compressed"})
    graph.start("camera", robot=robot, size=SIZE)
    probe.until(lambda: images, "an image")
    expected = resize_image(crop_image(device.picture, None), SIZE)
    assert np.abs(image_to_array(images[0]).astype(int) - expected).max() < 12
    assert images[0].header.frame_id == "side_optical"


def test_a_camera_that_was_pulled_out_is_named_and_comes_back(graph, device):
    probe = graph.probe
    images = probe.gather("camera/side/image_raw")
    health = probe.gather("/diagnostics")
    driver, robot = start(graph, device)
    graph.start("camera", robot=robot, size=SIZE)
    probe.ready("camera_driver", "camera")
    probe.until(lambda: images, "an image")
    device.unplug()
    probe.until(lambda: told(health, "was pulled out"), "the loss")
    assert f"camera side ({device.path})" in told(health, "was pulled out")[0].message
    probe.spin(0.3)  # What was on its way.
    seen = len(images)
    probe.spin(0.3)
    assert len(images) == seen, "the arm would not know"
    device.plug()
    probe.until(lambda: len(images) > seen + 5, "images again")
    health.clear()
    probe.until(lambda: told(health, "reads side"), "that all is well")
    assert driver.process.poll() is None


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({}, f"wb_temperature: the device refuses {WHITE_BALANCE} (v4l2-ctl -d"),
        ({"device": "/dev/v4l/by-id/none"}, "isn't there: pulled out, or another one (ls"),
    ],
)
def test_what_cannot_be_read_as_written_ends_the_node_with_name_and_remedy(
    graph, device, monkeypatch, changed, says
):
    monkeypatch.setenv("V4L2_REFUSED", str(WHITE_BALANCE_ID))
    driver, _ = start(graph, device, **changed)
    assert driver.wait() == 1
    camera = changed.get("device", device.path)
    assert f"camera side ({camera}): {says}" in driver.log.read_text()


def test_given_values_are_locked_and_nothing_settles(graph, device):
    probe = graph.probe
    health = probe.gather("/diagnostics")
    _, robot = start(
        graph, device, exposure=300, white_balance=5000, settle=60.0, controls={"gain": 9}
    )
    graph.start("camera", robot=robot, size=SIZE)
    probe.gather("camera/side/image_raw")
    probe.until(lambda: told(health, "reads side"), "images", timeout=30)
    assert not told(health, "reads side")[0].values

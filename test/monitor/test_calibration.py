# SPDX-License-Identifier: Apache-2.0
"""A camera is known once it is told how it sees and what leads to it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from expo_ft_ros.data.rotation import matrix_of, rotation_of
from expo_ft_ros.monitor.calibration import Calibrations, Lens, Placed
from expo_ft_ros.robots import Frames, ViewConfig

VIEWS = (
    ViewConfig(name="side", topic="side/image", frame="side_optical"),
    ViewConfig(name="wrist", topic="wrist/image", frame="wrist_optical"),
)
FRAMES = Frames(base="base", tool="tcp")
LENS = Lens(np.array([[200.0, 0, 112], [0, 210.0, 110], [0, 0, 1]]), (224, 224), np.zeros(5))

numbers = st.floats(-1.0, 1.0)
vectors = st.tuples(numbers, numbers, numbers).map(np.array)
placed = st.tuples(vectors, vectors).map(lambda it: Placed(it[0], rotation_of(2 * it[1])))


def calibrations() -> Calibrations:
    made = Calibrations(VIEWS, FRAMES)
    for view in ("side", "wrist"):
        made.take_lens(view, LENS)
    return made


def points_of(placed: Placed, points: np.ndarray) -> np.ndarray:
    """Points of the inner frame in the outer one."""
    return placed.position + points @ matrix_of(placed.quaternion).T


@given(placed, placed, placed)
def test_a_chain_of_fixed_frames_is_followed_in_both_directions(mount, optical, down):
    """base -> stand -> side_optical; and hand -> tcp, hand -> camera, camera -> wrist_optical."""
    made = calibrations()
    made.take_fixed("stand", "side_optical", optical)
    made.take_fixed("base", "stand", mount)
    made.take_fixed("hand", "camera", mount)
    made.take_fixed("hand", "tcp", down)
    made.take_fixed("camera", "wrist_optical", optical)
    cameras = made.cameras()
    assert not made.missing()
    assert (cameras["side"].on_tool, cameras["wrist"].on_tool) == (False, True)
    points = np.random.default_rng(0).normal(size=(5, 3))
    side = Placed(cameras["side"].position, cameras["side"].quaternion)
    there = points_of(mount, points_of(optical, points))
    np.testing.assert_allclose(points_of(side, points), there, atol=1e-9)
    wrist = Placed(cameras["wrist"].position, cameras["wrist"].quaternion)
    np.testing.assert_allclose(points_of(down, points_of(wrist, points)), there, atol=1e-9)


@given(placed)
def test_a_placed_frame_and_its_inverse_are_nothing(there):
    nothing = there @ there.inverse()
    np.testing.assert_allclose(nothing.position, 0, atol=1e-9)
    np.testing.assert_allclose(matrix_of(nothing.quaternion), np.eye(3), atol=1e-9)


def test_what_is_missing_is_said_of_each_view():
    made = Calibrations(VIEWS, FRAMES)
    here = Placed(np.zeros(3), np.array([0.0, 0.0, 0.0, 1.0]))
    assert not made.cameras()
    assert set(made.missing()) == {"side", "wrist"}
    made.take_fixed("base", "side_optical", here)
    made.take_lens("wrist", LENS)
    assert made.missing() == {
        "side": "no camera_info received",
        "wrist": "no fixed frame leads from wrist_optical to base or tcp",
    }
    made.take_lens("side", LENS)
    assert list(made.cameras()) == ["side"]


@pytest.mark.parametrize(
    ("lens", "words"),
    [
        (Lens(np.zeros((3, 3)), (224, 224), np.zeros(5)), "without calibration"),
        (Lens(np.full((3, 3), np.nan), (224, 224), np.zeros(5)), "without calibration"),
        (Lens(LENS.matrix, (224, 224), np.ones(4), "equidistant"), "kind equidistant"),
    ],
)
def test_a_camera_that_nothing_can_be_drawn_by_is_named(lens, words):
    made = calibrations()
    made.take_fixed("base", "side_optical", Placed(np.zeros(3), np.array([0.0, 0.0, 0.0, 1.0])))
    made.take_lens("side", lens)
    assert not made.cameras()
    assert words in made.missing()["side"]
    made.take_lens("side", Lens(LENS.matrix, (224, 224), np.full(5, 0.1), "plumb_bob"))
    assert list(made.cameras()) == ["side"]


def test_another_lens_or_mount_is_another_camera_the_same_one_is_not():
    made, here = calibrations(), Placed(np.zeros(3), np.array([0.0, 0.0, 0.0, 2.0]))
    made.take_fixed("base", "side_optical", here)
    first = made.cameras()
    made.take_lens("side", Lens(LENS.matrix.copy(), LENS.size, LENS.distortion.copy()))
    assert made.cameras()["side"] is first["side"]
    np.testing.assert_array_equal(first["side"].quaternion, [0, 0, 0, 1])
    made.take_fixed("base", "side_optical", Placed(np.ones(3), here.quaternion))
    np.testing.assert_array_equal(made.cameras()["side"].position, 1)
    made.take_lens("side", Lens(2 * LENS.matrix, LENS.size, LENS.distortion))
    assert made.cameras()["side"].matrix[0, 0] == 400


def test_what_is_no_pose_is_left_out():
    made = calibrations()
    for position, quaternion in (([np.nan, 0, 0], [0, 0, 0, 1]), ([0, 0, 0], [0, 0, 0, 0])):
        made.take_fixed("base", "side_optical", Placed(np.array(position), np.array(quaternion)))
    assert not made.cameras()


def test_a_frame_that_is_fixed_elsewhere_has_left_where_it_was():
    made, here = calibrations(), Placed(np.zeros(3), np.array([0.0, 0.0, 0.0, 1.0]))
    made.take_fixed("base", "side_optical", here)
    assert not made.cameras()["side"].on_tool
    made.take_fixed("tcp", "side_optical", here)
    assert made.cameras()["side"].on_tool
    made.take_fixed("nowhere", "side_optical", here)
    assert not made.cameras()


def test_of_strangers_frames_there_is_an_end():
    made, here = calibrations(), Placed(np.zeros(3), np.array([0.0, 0.0, 0.0, 1.0]))
    made.take_fixed("base", "side_optical", here)
    for number in range(2000):
        made.take_fixed("base", f"stranger {number}", here)
    made.take_fixed("tcp", "wrist_optical", here)
    assert list(made.cameras()) == ["side"]
    # Who was known before can still be told anew.
    made.take_fixed("base", "side_optical", Placed(np.ones(3), here.quaternion))
    np.testing.assert_array_equal(made.cameras()["side"].position, 1)


def test_frames_in_a_ring_have_an_end():
    made, here = calibrations(), Placed(np.zeros(3), np.array([0.0, 0.0, 0.0, 1.0]))
    for parent, child in (("side_optical", "a"), ("a", "b"), ("b", "side_optical")):
        made.take_fixed(parent, child, here)
    assert "side" in made.missing()

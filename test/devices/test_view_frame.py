# SPDX-License-Identifier: Apache-2.0
"""Left on the picture is left: against where the projection sees points move."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.data.rotation import matrix_of, rotation_of
from expo_ft_ros.devices.keyboard import key_map
from expo_ft_ros.devices.teleop import TeleopConfig, TeleopMapper
from expo_ft_ros.devices.view_frame import axes_of_picture, require_frame, turned
from expo_ft_ros.experiment.arguments import parse_arguments
from expo_ft_ros.experiment.options import TrainOptions
from expo_ft_ros.monitor.projection import Camera
from expo_ft_ros.robots import load_robot

MATRIX = np.array([[300.0, 0, 112.0], [0, 300.0, 112.0], [0, 0, 1]])
FORWARD, LEFT, UP = np.eye(3)
STEP = 0.01

numbers = st.floats(-1.0, 1.0)
vectors = st.tuples(numbers, numbers, numbers).map(np.array)
# Of a camera anywhere, but for one on its side.
cameras = vectors.map(lambda v: rotation_of(3.0 * v)).filter(
    lambda q: np.linalg.norm(matrix_of(q)[:2, 0]) > 0.55
)


def quaternion_of(matrix: np.ndarray) -> np.ndarray:
    """Unit quaternion of a rotation matrix, by OpenCV's rotation vector."""
    return rotation_of(cv2.Rodrigues(matrix)[0].ravel())


def seen(quaternion: np.ndarray, move: np.ndarray) -> np.ndarray:
    """How a point half a metre before the lens moves in the camera's axes, and its pixel [px]."""
    position = np.array([0.2, -0.1, 0.6])
    camera = Camera(False, position, quaternion, MATRIX, (224, 224))
    point = position + 0.5 * matrix_of(quaternion)[:, 2]
    none = np.zeros(3), np.array([0.0, 0.0, 0.0, 1.0])
    pixels = [camera.pixels(camera.see(place, *none)) for place in (point, point + move)]
    return np.asarray(pixels[1] - pixels[0])


@given(cameras)
def test_left_and_right_are_those_of_the_picture_whatever_the_camera(quaternion):
    axes = axes_of_picture(quaternion)
    assert seen(quaternion, STEP * (axes @ LEFT))[0] < 0
    assert seen(quaternion, -STEP * (axes @ LEFT))[0] > 0
    np.testing.assert_allclose(axes @ UP, UP, atol=1e-12)
    np.testing.assert_allclose(axes.T @ axes, np.eye(3), atol=1e-9)
    assert np.linalg.det(axes) == pytest.approx(1.0)
    assert abs((axes @ FORWARD)[2]) < 1e-12, "along the table"


@given(st.floats(-3.1, 3.1), st.floats(0.3, 1.5), st.floats(-0.4, 0.4))
def test_forward_leads_up_in_the_picture_of_a_camera_that_looks_down(yaw, down, roll):
    level = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])  # looks along x of the base
    turns = [rotation_of(np.array(turn)) for turn in ([0, 0, yaw], [0, down, 0], [roll, 0, 0])]
    matrix = np.linalg.multi_dot([*map(matrix_of, turns), level])
    axes = axes_of_picture(quaternion_of(matrix))
    assert seen(quaternion_of(matrix), STEP * (axes @ FORWARD))[1] < 0
    assert (axes @ FORWARD) @ matrix[:, 2] > 0, "away from the camera"


def test_a_camera_on_its_side_is_refused():
    quaternion = rotation_of(np.array([0.0, np.pi / 2, 0.0]))
    with pytest.raises(ValueError, match="rolled on its side"):
        axes_of_picture(quaternion)


@given(st.lists(numbers, min_size=6, max_size=6).map(np.array), cameras)
def test_a_push_keeps_its_direction_and_stays_in_its_range(twist, quaternion):
    axes = axes_of_picture(quaternion)
    moved = turned(twist, axes)
    assert np.abs(moved).max() <= 1 + 1e-9
    back = np.concatenate([axes.T @ moved[:3], axes.T @ moved[3:]])
    longest = max(1.0, np.abs(np.concatenate([axes @ twist[:3], axes @ twist[3:]])).max())
    np.testing.assert_allclose(back * longest, twist, atol=1e-9)


def test_until_the_camera_is_known_a_push_takes_nothing_over():
    mapper = TeleopMapper(TeleopConfig(frame="side", dead_zone=0.0))
    assert not mapper.update([0.5, 0, 0, 0, 0, 0], [0, 0], 0.0).engaged
    # Looks along the base's -x: the operator sits opposite.
    mapper.axes = np.array([[-1.0, 0, 0], [0, -1.0, 0], [0, 0, 1.0]])
    state = mapper.update([0.5, 0.25, 0.1, 0.2, 0, 0.4], [0, 0], 0.1)
    assert state.engaged
    np.testing.assert_allclose(state.action[:6], [-0.5, -0.25, 0.1, -0.2, 0, 0.4], atol=1e-6)
    mapper = mapper.fresh()
    state = mapper.update([0.5, 0, 0, 0, 0, 0], [0, 0], 0.2)
    np.testing.assert_allclose(state.action[:6], [-0.5, 0, 0, 0, 0, 0], atol=1e-6)


def test_in_the_base_nothing_is_turned():
    state = TeleopMapper(TeleopConfig(dead_zone=0.0)).update([0.5, 0.2, 0, 0, 0, 0], None, 0.0)
    np.testing.assert_allclose(state.action[:6], [0.5, 0.2, 0, 0, 0, 0], atol=1e-6)


@pytest.mark.parametrize(
    ("frame", "message"),
    [("sidee", "none of the robot's .did you mean side"), ("wrist", "moves with the tool")],
)
def test_a_frame_that_is_none_is_refused_before_anything_starts(frame, message, monkeypatch):
    robot = load_robot("sim")
    require_frame("base", robot, "teleop.yaml")
    require_frame("side", robot, "teleop.yaml")
    load = TeleopConfig.load

    def loaded(path=None, device="spacenav"):
        return load(path, device).model_copy(update={"frame": frame})

    monkeypatch.setattr(TeleopConfig, "load", loaded)
    with pytest.raises(ConfigError, match=rf"config/teleop_keyboard.yaml: frame: .*{message}"):
        parse_arguments(["operator:=keyboard"], TrainOptions)
    parse_arguments(["operator:=scripted"], TrainOptions)


def test_the_terminal_s_picture_says_whose_left_it_is():
    base, side = key_map(), key_map("side")
    assert "from above, the base at the bottom" in base
    assert "as the picture of side shows it" in side
    lines = [text.splitlines() for text in (base, side)]
    assert [len(text) for text in lines[0][:1]] == [len(text) for text in lines[1][:1]]
    assert lines[0][1:] == lines[1][1:]

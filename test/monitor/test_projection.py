# SPDX-License-Identifier: Apache-2.0
"""Pixels of points, against what MuJoCo draws of a ball there, and OpenCV's projection."""

from __future__ import annotations

import cv2
import mujoco
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from expo_ft_ros.data.rotation import matrix_of, rotation_of
from expo_ft_ros.monitor.projection import Camera, project, project_points
from expo_ft_ros.robots import load_robot
from expo_ft_ros.sim.scene import TOOL_DOWN_WXYZ, ObjectPose, Start, add_side_camera
from expo_ft_ros.sim.world import World

SIZE = 224
VIEWS = ("side", "wrist", "top")
RADIUS = 0.006  # [m]
MATRIX = np.array([[300.0, 0, 110.0], [0, 280.0, 120.0], [0, 0, 1]])
LENS = np.array([0.08, -0.15, 0.001, -0.002, 0.03])
UPRIGHT, ORIGIN = np.array([0.0, 0.0, 0.0, 1.0]), np.zeros(3)

numbers = st.floats(-1.0, 1.0)
vectors = st.tuples(numbers, numbers, numbers).map(np.array)
turns = vectors.map(lambda v: rotation_of(3.0 * v))


class OnlyABall:
    """A scene of which nothing else is seen, the arm neither."""

    def build(self, spec: mujoco.MjSpec) -> None:
        for geom in spec.geoms:
            geom.rgba = [0.0, 0.0, 0.0, 0.0]
        ball = spec.worldbody.add_body(name="ball", mocap=True)
        ball.add_geom(
            type=mujoco.mjtGeom.mjGEOM_SPHERE, size=[RADIUS, 0, 0], rgba=[0, 1, 0, 1],
            contype=0, conaffinity=0,
        )  # fmt: skip
        add_side_camera(spec, np.array([1.0, -0.4, 0.5]), np.array([0.5, 0.0, 0.1]), 45.0)

    def reset(self, model: mujoco.MjModel, data: mujoco.MjData, rng: np.random.Generator) -> Start:
        return Start(rng.uniform([0.4, -0.2, 0.2], [0.6, 0.2, 0.4]), TOOL_DOWN_WXYZ, 0.08)

    def success(self, model: mujoco.MjModel, data: mujoco.MjData) -> bool:
        return False

    def objects(self, model: mujoco.MjModel, data: mujoco.MjData) -> dict[str, ObjectPose]:
        return {}


@pytest.fixture(scope="module")
def world():
    made = World(load_robot("sim").limits, OnlyABall(), SIZE, 0, VIEWS)
    yield made
    made.close()


def camera_of(world: World, view: str) -> Camera:
    mount = world.camera_mount(view)
    focal, centre = mount.focal_length, (SIZE - 1) / 2
    matrix = np.array([[focal, 0, centre], [0, focal, centre], [0, 0, 1.0]])
    return Camera(mount.on_tool, mount.position, mount.quaternion, matrix, (SIZE, SIZE))


def plain(distortion: np.ndarray | tuple[float, ...] = ()) -> Camera:
    """At the base, looking along its z."""
    return Camera(False, ORIGIN, UPRIGHT, MATRIX, (SIZE, SIZE), np.array(distortion))


@pytest.mark.parametrize("view", VIEWS)
@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 1000),
    across=st.floats(-0.9, 0.9),
    down=st.floats(-0.9, 0.9),
    depth=st.floats(0.25, 0.8),
)
def test_a_ball_is_where_mujoco_draws_it(world, view, seed, across, down, depth):
    world.reset(seed)
    camera, proprio = camera_of(world, view), world.proprio()
    half = SIZE / 2 / camera.matrix[0, 0]
    place = np.array([across * half, down * half, 1.0]) * depth
    place = camera.position + matrix_of(camera.quaternion) @ place
    if camera.on_tool:
        place = proprio.position + matrix_of(proprio.quaternion) @ place
    world.data.mocap_pos[0] = place
    mujoco.mj_kinematics(world.model, world.data)
    image = world.images()[view].astype(int)
    green = image[..., 1] > image[..., [0, 2]].max(axis=-1) + 30
    middle = np.argwhere(green).mean(axis=0)[::-1]
    pixels, numbers = project_points(camera, [place], proprio.position, proprio.quaternion)
    assert numbers.tolist() == [0]
    np.testing.assert_allclose(pixels[0], middle, atol=1.0)


@given(vectors, turns, vectors, turns, st.booleans(), st.sampled_from([(), LENS]))
def test_a_point_has_the_pixel_that_opencv_gives_it(place, turn, tool, tool_turn, on_tool, lens):
    camera = Camera(on_tool, place, turn, MATRIX, (SIZE, SIZE), np.array(lens))
    seen = np.random.default_rng(0).uniform([-0.3, -0.3, 0.5], [0.3, 0.3, 2.0], (20, 3))
    points = place + seen @ matrix_of(turn).T
    if on_tool:
        points = tool + points @ matrix_of(tool_turn).T
    pixels, of = project_points(camera, points, tool, tool_turn)
    expected, _ = cv2.projectPoints(seen, ORIGIN, ORIGIN, MATRIX, np.array(lens))
    inside = ((expected[:, 0] > 0) & (expected[:, 0] < SIZE - 1)).all(axis=1)
    assert set(np.flatnonzero(inside)) <= set(of.tolist())
    np.testing.assert_allclose(pixels, expected[of, 0], atol=1e-6)


segments = st.lists(
    st.tuples(numbers, numbers, numbers, numbers, numbers, numbers), min_size=1, max_size=5
).map(lambda rows: np.array(rows).reshape(-1, 2, 3))


@given(segments)
def test_of_a_segment_exactly_what_is_in_the_picture_is_kept(segments):
    """Sampled densely: the samples in the picture lie on the kept part, and nothing else does."""
    camera = plain()
    pixels, of = project(camera, segments, ORIGIN, UPRIGHT)
    assert (np.diff(of) > 0).all()
    assert (pixels >= -0.5 - 1e-6).all()
    assert (pixels <= SIZE - 0.5 + 1e-6).all()
    along = np.linspace(0, 1, 200)[:, None]
    for number, (start, end) in enumerate(segments):
        samples = start + along * (end - start)
        samples = samples[samples[:, 2] > 0.0101]
        at = samples @ MATRIX.T
        at = at[:, :2] / at[:, 2:]
        seen = at[((at > -0.49) & (at < SIZE - 0.51)).all(axis=1)]
        if number not in of:
            assert len(seen) == 0
            continue
        first, last = pixels[of.tolist().index(number)]
        low, high = np.minimum(first, last) - 1e-6, np.maximum(first, last) + 1e-6
        assert ((seen >= low) & (seen <= high)).all()


@given(st.lists(st.tuples(numbers, numbers, st.floats(-5.0, 0.0)), min_size=1, max_size=5))
@pytest.mark.parametrize("lens", [(), LENS])
def test_what_is_behind_the_camera_is_dropped(lens, points):
    pixels, of = project_points(plain(lens), np.array(points), ORIGIN, UPRIGHT)
    assert len(pixels) == len(of) == 0


def test_a_segment_that_comes_from_behind_begins_at_the_border():
    behind = np.array([[[0.0, 0.0, -1.0], [0.1, 0.0, 1.0]]])
    pixels, of = project(plain(), behind, ORIGIN, UPRIGHT)
    assert of.tolist() == [0]
    np.testing.assert_allclose(pixels[0], [[SIZE - 0.5, 120.0], [140.0, 120.0]])


def test_of_nothing_nothing_is_seen():
    pixels, of = project(plain(LENS), np.zeros((0, 2, 3)), ORIGIN, UPRIGHT)
    assert pixels.shape == (0, 2, 2)
    assert len(of) == 0


def test_the_field_of_view_is_that_of_the_height(world):
    assert camera_of(world, "side").field_of_view == pytest.approx(np.radians(45.0))


@given(st.lists(st.floats(-1e30, 1e30), min_size=5, max_size=5))
def test_what_a_wrong_lens_makes_of_a_point_is_drawn_nowhere(distortion):
    camera = Camera(False, ORIGIN, UPRIGHT, MATRIX, (SIZE, SIZE), np.array(distortion))
    points = np.array([[0.0, 0.0, 0.5], [0.05, 0.1, 0.4], [-0.1, 0.02, 0.3]])
    pixels, of = project_points(camera, points, ORIGIN, UPRIGHT)
    assert len(pixels) == len(of)
    assert (np.abs(pixels) < 1e6).all()

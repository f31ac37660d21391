# SPDX-License-Identifier: Apache-2.0
"""The arm's frames against the simulation's own kinematics, and its shapes about them."""

import itertools

import mujoco
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from expo_ft_ros.data.rotation import matrix_of
from expo_ft_ros.monitor.arm import (
    arm_frames,
    finger_shapes,
    hand_shape,
    link_shapes,
)
from expo_ft_ros.sim import franka

MODEL = mujoco.MjModel.from_xml_string(franka.robot_xml())
DATA = mujoco.MjData(MODEL)


@given(st.lists(st.floats(-3, 3), min_size=7, max_size=7))
def test_joints_and_flange_are_where_the_simulation_has_them(joints):
    for name, angle in zip(franka.JOINTS, joints, strict=True):
        DATA.joint(name).qpos = angle
    mujoco.mj_kinematics(MODEL, DATA)
    places_of, turns = arm_frames(np.array(joints))
    names = [*(f"link{n}" for n in range(1, 8)), franka.HAND]
    places = [DATA.body(name).xpos for name in names]
    np.testing.assert_allclose(places_of, [np.zeros(3), *places], atol=1e-9)
    for name, turn in zip(names[:-1], turns[1:], strict=False):
        matrix = DATA.body(name).xmat.reshape(3, 3)
        np.testing.assert_allclose(matrix_of(turn), matrix, atol=1e-9)


def test_a_browser_without_a_gpu_can_draw_it():
    parts = (*link_shapes(), hand_shape(), *finger_shapes().values())
    assert sum(len(mesh.faces) for part in parts for mesh in part.values()) < 6000


def test_links_hang_together_and_stand_on_the_table():
    """Of each neighbour something is within a few centimetres, whatever the joints are."""
    clouds = []
    for place, turn, parts in zip(*arm_frames(np.array(franka.HOME)), link_shapes(), strict=False):
        vertices = np.concatenate([mesh.vertices for mesh in parts.values()])
        clouds.append(place + vertices @ matrix_of(turn).T)
    for one, next_ in itertools.pairwise(clouds):
        distances = np.linalg.norm(one[:, None] - next_[None], axis=-1)
        assert distances.min() < 0.03
    assert clouds[0][:, 2].min() >= -1e-9
    # The flange is where the last one ends.
    flange = arm_frames(np.array(franka.HOME))[0][-1]
    assert np.linalg.norm(clouds[-1] - flange, axis=1).min() < 1e-9


def test_fingers_meet_where_the_gripper_is_closed_and_end_at_the_tool():
    vertices = np.concatenate([mesh.vertices for mesh in finger_shapes()[1].values()])
    assert vertices[:, 1].min() == 0.0
    assert 0 <= vertices[:, 2].max() < 0.015

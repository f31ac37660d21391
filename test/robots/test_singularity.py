# SPDX-License-Identifier: Apache-2.0
"""How fast an arm comes near a singular posture, against finite differences of a real arm's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

pytest.importorskip("pinocchio", reason="Pinocchio is not installed (requirements/dev.lock)")

from expo_ft_ros.robots import load_robot
from expo_ft_ros.robots.arm_model import ArmModel
from expo_ft_ros.robots.singularity import jacobian_rate, share_before_singular
from support.arms import UR5E

STEP = 1e-6
LEAST, GAIN = 0.08, 2.0


@pytest.fixture(scope="module")
def model():
    return ArmModel(UR5E, load_robot("ur5e").joints, "base_link", "tool0")


angles = arrays(np.float64, 6, elements=st.floats(-3.0, 3.0))
speeds = arrays(np.float64, 6, elements=st.floats(-1.0, 1.0))


def least(model, joints):
    return np.linalg.svd(model.jacobian(joints), compute_uv=False)[-1]


@given(angles, speeds)
def test_the_jacobian_changes_as_the_arm_s_does(model, joints, speeds):
    ahead, before = (model.jacobian(joints + sign * STEP * speeds) for sign in (1, -1))
    expected = (ahead - before) / (2 * STEP)
    assert jacobian_rate(model.jacobian(joints), speeds) == pytest.approx(expected, abs=1e-6)


@given(angles, speeds)
def test_the_share_keeps_the_least_value_from_falling_faster_than_it_may(model, joints, speeds):
    now = least(model, joints)
    share = share_before_singular(model.jacobian(joints), speeds, least=LEAST, gain=GAIN)
    assert 0.0 <= share <= 1.0
    fallen = (now - least(model, joints + share * STEP * speeds)) / STEP
    assert fallen <= GAIN * max(0.0, now - LEAST) + 1e-3


@given(angles, speeds)
def test_of_two_opposite_motions_one_is_free(model, joints, speeds):
    jacobian = model.jacobian(joints)
    shares = [
        share_before_singular(jacobian, sign * speeds, least=LEAST, gain=GAIN) for sign in (1, -1)
    ]
    assert max(shares) == 1.0


def test_an_arm_that_stretches_comes_to_rest_in_time_and_comes_away(model):
    joints = np.array([0.0, -1.2, 1.6, -2.0, -1.57, 0.0])
    away = np.array([0.3, 0.0, 0.0, 0.0, 0.0, 0.0])
    start = model.pose(joints)[0]

    def go(twist, joints, seconds):
        for _ in range(round(seconds / 0.005)):
            jacobian = model.jacobian(joints)
            speeds = np.linalg.pinv(jacobian) @ twist
            speeds *= share_before_singular(jacobian, speeds, least=LEAST, gain=GAIN)
            joints = joints + 0.005 * speeds
        return joints

    sign = 1.0 if start[0] > 0 else -1.0
    stretched = go(sign * away, joints, 5.0)
    assert LEAST - 0.005 < least(model, stretched) < LEAST + 0.02
    assert np.linalg.norm(model.pose(stretched)[0]) > np.linalg.norm(start) + 0.05
    back = go(-sign * away, stretched, 1.0)
    assert least(model, back) > LEAST + 0.02

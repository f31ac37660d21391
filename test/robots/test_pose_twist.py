# SPDX-License-Identifier: Apache-2.0
"""The velocity that poses tell is the tool's, half a window late, and begins anew after a gap."""

from __future__ import annotations

import numpy as np
import pytest

from expo_ft_ros.data.rotation import TOOL_DOWN, compose, rotation_of
from expo_ft_ros.robots.pose_twist import TwistFromPoses

MS = 1_000_000


def fed(poses, window=0.05):
    """Velocities after each of (time [ms], position, quaternion)."""
    twists = TwistFromPoses(window)
    return [twists.update(at * MS, np.array(place), facing) for at, place, facing in poses]


def test_a_steady_motion_is_told_whole():
    velocity = np.array([0.1, -0.2, 0.05])
    turn = np.array([0.3, 0.0, -0.4])
    poses = [
        (ms, 1e-3 * ms * velocity, compose(rotation_of(1e-3 * ms * turn), TOOL_DOWN))
        for ms in range(0, 400, 10)
    ]
    found = fed(poses)[-1]
    assert found[:3] == pytest.approx(velocity)
    assert found[3:] == pytest.approx(turn, rel=1e-6)


def test_it_is_half_a_window_late():
    accelerated = [(ms, [0.5 * (1e-3 * ms) ** 2, 0, 0], TOOL_DOWN) for ms in range(0, 300, 10)]
    # At 0.29 s the speed is 0.29 m/s; a mean over 0.05 s is that of 0.265 s.
    assert fed(accelerated)[-1][0] == pytest.approx(0.265, abs=1e-3)


def test_noise_of_a_pose_is_damped():
    rng = np.random.default_rng(0)
    noisy = [(ms, rng.normal(0, 1e-5, 3), TOOL_DOWN) for ms in range(0, 3000, 10)]
    assert np.std([twist[0] for twist in fed(noisy)[10:]]) < 5e-4


def test_before_there_are_enough_it_is_zero():
    assert not fed([(0, [0, 0, 0], TOOL_DOWN), (10, [0.1, 0, 0], TOOL_DOWN)])[-1].any()


@pytest.mark.parametrize("jump", [500, -200])
def test_a_gap_and_a_clock_that_was_set_back_begin_anew(jump):
    twists = TwistFromPoses(0.05)
    for ms in range(0, 100, 10):
        twists.update(ms * MS, np.array([1e-4 * ms, 0, 0]), TOOL_DOWN)
    # Carried elsewhere meanwhile.
    assert not twists.update((100 + jump) * MS, np.array([1.0, 0, 0]), TOOL_DOWN).any()


def test_the_other_sign_of_a_quaternion_is_no_turn():
    poses = [(ms, [0, 0, 0], TOOL_DOWN * (-1) ** (ms // 10)) for ms in range(0, 200, 10)]
    assert np.allclose(fed(poses)[-1], 0.0)


def test_a_window_must_be_positive():
    with pytest.raises(ValueError, match=r"window: 0 s must be positive"):
        TwistFromPoses(0)

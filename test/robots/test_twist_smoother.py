# SPDX-License-Identifier: Apache-2.0
"""What a smoothed twist travels, and how smooth it is."""

import numpy as np
import pytest

from expo_ft_ros.robots.twist_smoother import TwistSmoother

W, U, DT = 15.0, np.array([0.2, -0.1, 0.05, 1.0, -0.5, 0.2]), 1e-3


def test_what_it_still_travels_is_what_it_then_travels():
    smoother = TwistSmoother(W)
    for _ in range(70):
        smoother.advance(U, DT)
    expected = smoother.stopping_travel
    travelled = sum(smoother.advance(np.zeros(6), DT) for _ in range(3000))
    assert travelled == pytest.approx(expected, abs=1e-9)


def test_it_keeps_its_bounds_in_reversals():
    smoother, random = TwistSmoother(W), np.random.default_rng(0)
    velocities = [np.zeros(6)]
    for _ in range(100):
        wanted = U * random.choice([-1, 0, 1])
        for _ in range(100):
            smoother.advance(wanted, DT)
            velocities.append(smoother.velocity)
    accelerations = np.diff(velocities, axis=0) / DT
    assert (np.abs(velocities) <= np.abs(U) + 1e-9).all()
    assert (np.abs(accelerations) <= 0.74 * W * np.abs(U) * 1.01).all()
    jerk = np.abs(np.diff(accelerations, axis=0)) / DT
    assert (jerk <= 2.28 * W**2 * np.abs(U) * 1.01).all()

# SPDX-License-Identifier: Apache-2.0
"""An arm that follows velocities stays in its workspace, and can always leave a face."""

from __future__ import annotations

import numpy as np
import pytest

from expo_ft_ros.robots import Workspace
from expo_ft_ros.robots.braking import brake_at_faces

BOX = Workspace(low=(0, 0, 0), high=(1, 1, 1))


def test_far_from_the_faces_nothing_changes():
    velocity = np.array([0.2, -0.1, 0.05])
    assert np.allclose(brake_at_faces(velocity, np.full(3, 0.5), BOX, 0.2), velocity)


def test_towards_a_face_it_falls_to_zero():
    at = [brake_at_faces(np.array([0.2, 0, 0]), np.array([x, 0.5, 0.5]), BOX, 0.2)[0] for x in
          (0.9, 0.98, 0.99, 1.0, 1.1)]  # fmt: skip
    assert at == pytest.approx([0.2, 0.1, 0.05, 0.0, 0.0])


@pytest.mark.parametrize("x", [0.0, 1.0, -0.2, 1.2])
def test_away_from_a_face_it_is_free(x):
    away = -0.2 if x > 0.5 else 0.2
    assert brake_at_faces(np.array([away, 0, 0]), np.array([x, 0.5, 0.5]), BOX, 0.2)[0] == away


def test_an_arm_that_is_driven_at_a_face_does_not_pass_it():
    place = np.full(3, 0.5)
    for _ in range(500):
        place = place + 0.02 * brake_at_faces(np.array([0.3, -0.3, 0.3]), place, BOX, 0.2)
    assert BOX.low[1] <= place[1] < 0.01
    assert 0.99 < place[0] <= BOX.high[0]

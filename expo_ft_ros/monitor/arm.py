# SPDX-License-Identifier: Apache-2.0
"""An FR3's arm as a line through its joints."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

# Of each joint's frame in the one before: x, y, z [m] and the turn about x in quarters of a circle
# (the published kinematics of Franka's arms).
_JOINTS = (
    ((0.0, 0.0, 0.333), 0),
    ((0.0, 0.0, 0.0), -1),
    ((0.0, -0.316, 0.0), 1),
    ((0.0825, 0.0, 0.0), 1),
    ((-0.0825, 0.384, 0.0), -1),
    ((0.0, 0.0, 0.0), 1),
    ((0.088, 0.0, 0.0), 1),
)
_FLANGE = (0.0, 0.0, 0.107)

ARM_JOINTS = len(_JOINTS)


def arm_points(joints: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """(9, 3) from the base to the flange [m], base frame; joints: (7,) [rad]."""
    place, turn = np.zeros(3), np.eye(3)
    points = [place]
    for (offset, quarters), angle in zip(_JOINTS, joints, strict=True):
        place = place + turn @ np.array(offset)
        about_x = np.array([[1, 0, 0], [0, 0, -quarters], [0, quarters, 0]], np.float64)
        about_x[1, 1] = about_x[2, 2] = 1.0 if quarters == 0 else 0.0
        cos, sin = np.cos(angle), np.sin(angle)
        turn = turn @ about_x @ np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
        points.append(place)
    points.append(place + turn @ np.array(_FLANGE))
    return np.stack(points)

# SPDX-License-Identifier: Apache-2.0
"""How near an arm is to a singular posture, and how fast it comes nearer, by its Jacobian alone.

The measure is the Jacobian's least singular value (metres and radians as they are): speed of the
tool for a unit speed of the joints, in the direction in which the arm moves worst.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

_NEXT, _LAST = np.array([1, 2, 0]), np.array([2, 0, 1])  # of the axes x, y, z


def jacobian_rate(jacobian: Vector, speeds: Vector) -> Vector:
    """(6, n) how fast a Jacobian changes.

    Each column of a serial arm's Jacobian is turned by the joints before it, and its lever changes
    by what the joints after it do.

    Args:
        jacobian: (6, n) of a chain of joints that turn, from its base on: linear, then angular
            velocity of the tip, in base axes [m, rad].
        speeds: (n,) of the joints [rad/s].
    """
    linear, angular = jacobian[:3].T, jacobian[3:].T
    turned = np.cumsum(angular * speeds[:, None], axis=0)
    moved = np.cumsum(linear * speeds[:, None], axis=0)
    rate = _cross(turned, linear) + _cross(angular, moved[-1] - moved)
    return np.hstack([rate, _cross(turned, angular)]).T


def _cross(one: Vector, other: Vector) -> Vector:
    """Row by row; NumPy's own takes too much of a control cycle for so few rows."""
    return one[:, _NEXT] * other[:, _LAST] - one[:, _LAST] * other[:, _NEXT]


def share_before_singular(jacobian: Vector, speeds: Vector, *, least: float, gain: float) -> float:
    """Of the speeds, 1 at most: so much that the least singular value falls no faster than its
    distance to `least` allows, and not at all below that. What leads away is free.

    Args:
        jacobian: (6, n), as in `jacobian_rate`.
        speeds: (n,) [rad/s].
        least: The value below which it doesn't fall.
        gain: Share of the distance that may be gone a second [1/s].
    """
    out, values, into = np.linalg.svd(jacobian, full_matrices=False)
    rate = float(out[:, -1] @ jacobian_rate(jacobian, speeds) @ into[-1])
    allowed = gain * max(0.0, float(values[-1]) - least)
    return 1.0 if rate >= -allowed else allowed / -rate

# SPDX-License-Identifier: Apache-2.0
"""Joint speeds within limits: all are scaled together, so that the tool keeps its direction."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

GAIN = 2.0
"""Share of the way to a limit that may be gone a second; below 4/27 of the smoothing's bandwidth it
isn't overrun [1/s]."""


@dataclass(frozen=True)
class JointLimits:
    """Between which a joint stays, and how fast it is; for n joints.

    Attributes:
        low: (n,) least angle [rad].
        high: (n,) greatest angle [rad].
        velocity: (n,) greatest speed [rad/s].
    """

    low: Vector
    high: Vector
    velocity: Vector

    def allowed(self, speeds: Vector, joints: Vector) -> Vector:
        """(n,) size of each speed at most: less the nearer the limit is that it leads to, and 0 at
        or beyond it [rad/s].

        Args:
            speeds: (n,) [rad/s].
            joints: (n,) measured [rad].
        """
        left = np.where(speeds > 0.0, self.high - joints, joints - self.low)
        return np.asarray(np.minimum(self.velocity, np.maximum(GAIN * left, 0.0)))


def share_within(speeds: Vector, allowed: Vector) -> float:
    """Of the speeds (n,), 1 at most, by which the size of none is above what is allowed (n,)."""
    faster = np.abs(speeds) > allowed
    if not faster.any():
        return 1.0
    return float((allowed[faster] / np.abs(speeds[faster])).min())

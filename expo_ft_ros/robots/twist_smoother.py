# SPDX-License-Identifier: Apache-2.0
"""A commanded twist without its steps: a critically damped second order."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]


class TwistSmoother:
    """Follows a commanded twist; exact for a command that is held, whatever the step of time.

    With all commands within +-u, speed stays within +-u, acceleration within 0.74 w u and jerk
    within 2.28 w^2 u for a bandwidth w [rad/s]. What is commanded is also travelled: smoothing
    delays a motion by 2 / w and doesn't shorten it.

    Attributes:
        velocity: (6,) [m/s, rad/s].
        acceleration: (6,) [m/s^2, rad/s^2].
    """

    def __init__(self, bandwidth: float) -> None:
        """At rest. bandwidth: [rad/s]."""
        self._bandwidth = bandwidth
        self.stop()

    def stop(self) -> None:
        """At rest, at once."""
        self.velocity, self.acceleration = np.zeros(6), np.zeros(6)

    @property
    def stopping_travel(self) -> Vector:
        """(6,) what would still be travelled if zero were commanded from now on [m, rad]."""
        w = self._bandwidth
        return np.asarray(2.0 * self.velocity / w + self.acceleration / w**2)

    def advance(self, wanted: Vector, dt: float) -> Vector:
        """Goes on for a time.

        Args:
            wanted: (6,) commanded twist [m/s, rad/s].
            dt: [s].

        Returns:
            (6,) what is travelled meanwhile [m, rad].
        """
        w = self._bandwidth
        decay, error = np.exp(-w * dt), self.velocity - wanted
        slope = self.acceleration + w * error
        self.velocity = wanted + (error + slope * dt) * decay
        self.acceleration = (self.acceleration - w * slope * dt) * decay
        moving = error * (1.0 - decay) / w + slope * (1.0 - decay * (1.0 + w * dt)) / w**2
        return np.asarray(wanted * dt + moving)

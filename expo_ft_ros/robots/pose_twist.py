# SPDX-License-Identifier: Apache-2.0
"""From measured poses to the tool's velocity, for drivers that tell no measured one."""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from expo_ft_ros.data.rotation import compose, inverse, rotation_vector

Vector = NDArray[np.float64]

_GAP = 0.15
"""Poses that are further apart belong to different motions [s]."""


class TwistFromPoses:
    """The mean velocity over the newest poses, which is that of half a window ago.

    A window of 0.05 s delays by 0.025 s, and noise of 0.01 mm in a pose gives 0.3 mm/s.
    """

    def __init__(self, window: float) -> None:
        """Begins without poses.

        Args:
            window: Length of time that the velocity is the mean of [s].

        Raises:
            ValueError: unless it is positive.
        """
        if not window > 0:
            raise ValueError(f"window: {window} s must be positive")
        self._window_ns = round(1e9 * window)
        self._poses: deque[tuple[int, Vector, Vector]] = deque()

    def update(self, stamp_ns: int, position: Vector, quaternion: Vector) -> Vector:
        """The velocity, given a pose that was measured later than the ones before.

        Args:
            stamp_ns: When it was measured [ns]. One that is older than the newest, or 0.15 s later,
                begins anew.
            position: (3,) in the base frame [m].
            quaternion: (4,) x, y, z, w, of length 1.

        Returns:
            (6,) linear then angular, base axes [m/s, rad/s]; zeros until the poses span half a
            window.
        """
        if self._poses:
            since = stamp_ns - self._poses[-1][0]
            if since == 0:
                self._poses.pop()
            elif not 0 < 1e-9 * since <= _GAP:
                self._poses.clear()
        self._poses.append((stamp_ns, position.copy(), quaternion.copy()))
        while len(self._poses) > 2 and stamp_ns - self._poses[1][0] >= self._window_ns:
            self._poses.popleft()
        began, start, facing = self._poses[0]
        span = stamp_ns - began
        if 2 * span < self._window_ns:
            return np.zeros(6)
        turn = rotation_vector(compose(quaternion, inverse(facing)))
        return np.asarray(np.concatenate([position - start, turn]) / (1e-9 * span))

# SPDX-License-Identifier: Apache-2.0
"""Whether an arm stands that nobody has commanded yet."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from expo_ft_ros.data.rotation import turn_to

Vector = NDArray[np.float64]


class Stillness:
    """An arm stands once it has stayed near one pose for a while.

    What moves an arm before its adapter has commanded it is a hand, another program, or its own
    controller: franka_ros2's example controllers play a motion of their own.
    """

    def __init__(self, time: float = 1.0, distance: float = 0.002, turn: float = 0.02) -> None:
        """Begins without a pose.

        Args:
            time: How long it must stay [s].
            distance: How far it may go meanwhile [m].
            turn: How far it may turn [rad].
        """
        self._time, self._distance, self._turn = time, distance, turn
        self._pose: tuple[Vector, Vector] | None = None
        self._since = 0.0

    def update(self, now: float, position: Vector, quaternion: Vector) -> bool:
        """Whether it stands.

        Args:
            now: Of a steady clock [s].
            position: (3,) measured [m].
            quaternion: (4,) measured, x, y, z, w, of length 1.
        """
        if self._pose is None or self._has_left(*self._pose, position, quaternion):
            self._pose, self._since = (position.copy(), quaternion.copy()), now
        return now - self._since >= self._time

    def _has_left(
        self, start: Vector, facing: Vector, position: Vector, quaternion: Vector
    ) -> bool:
        turn = float(np.linalg.norm(turn_to(facing, quaternion)))
        return float(np.linalg.norm(position - start)) > self._distance or turn > self._turn

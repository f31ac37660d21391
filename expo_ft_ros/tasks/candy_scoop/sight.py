# SPDX-License-Identifier: Apache-2.0
"""What Candy Scoop's expert makes of a view."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from expo_ft_ros.data.rotation import matrix_of
from expo_ft_ros.tasks.candy_scoop.scene import (
    BIN,
    BIN_HALF,
    BIN_HEIGHT,
    CANDY,
    ENOUGH,
    FLOOR,
    LEFT_OVER,
    LIP,
    SCOOP,
    TARGET,
    TARGET_HALF,
    TARGET_HEIGHT,
    in_bowl,
    in_container,
)
from expo_ft_ros.tasks.expert import Vector
from expo_ft_ros.tasks.sight import Sight

LEVEL = 0.25  # of the tilt, from here on candies slide out [rad]
_ABOVE = 0.02  # the lip this far above a wall's edge passes over it [m]
_DEEP = 0.001  # the lip nearer to the floor than this scrapes it [m]


class CandySight(Sight):
    """See Sight; the tool is where the scoop is held."""

    @cached_property
    def tool(self) -> Vector:
        """Origin of the scoop (3,) [m]."""
        return self.position(SCOOP)

    @cached_property
    def axes(self) -> Vector:
        """Axes of the scoop (3, 3), in the base frame."""
        return matrix_of(self.quaternion(SCOOP))

    @cached_property
    def lip(self) -> Vector:
        """Where candies go in and out of the scoop (3,) [m]."""
        lip: Vector = self.tool + self.axes @ LIP
        return lip

    @cached_property
    def bin(self) -> Vector:
        """Middle of its floor (3,) [m]."""
        return self.position(BIN)

    @cached_property
    def target(self) -> Vector:
        """Middle of its floor (3,) [m]."""
        return self.position(TARGET)

    @cached_property
    def held(self) -> int:
        """Candies in the scoop."""
        return int(in_bowl(self._candies, self.tool, self.axes).sum())

    @cached_property
    def poured(self) -> int:
        """Candies in the target."""
        inside = in_container(self._candies, self.target, TARGET_HALF, TARGET_HEIGHT)
        return int((inside & ~in_bowl(self._candies, self.tool, self.axes)).sum())

    @property
    def tilt(self) -> float:
        """Of the bowl about the base's -x [rad]: 0 level, positive with its lip down."""
        return float(np.arctan2(-self.axes[2, 1], self.axes[1, 1]))

    def turn_to(self, tilt: float) -> Vector:
        """Rotation vector (3,) in base axes [rad] from the scoop as it is to one at that tilt."""
        cos, sin = np.cos(tilt), np.sin(tilt)
        wanted = np.array([[1.0, 0.0, 0.0], [0.0, cos, sin], [0.0, -sin, cos]])
        difference = wanted @ self.axes.T
        skew = difference - difference.T
        axis = 0.5 * np.array([skew[2, 1], skew[0, 2], skew[1, 0]])
        size = float(np.linalg.norm(axis))
        angle = float(np.arctan2(size, (np.trace(difference) - 1.0) / 2.0))
        turn: Vector = axis * (angle / size if size > 1e-9 else 1.0)
        return turn

    @property
    def loaded(self) -> bool:
        """Pouring what is in the scoop would do."""
        return self.held > LEFT_OVER and self.held + self.poured >= ENOUGH

    @property
    def in_bin(self) -> bool:
        """The lip is between the bin's walls and below their edges."""
        within = np.abs(self.lip - self.bin)[:2] < BIN_HALF
        return bool(within.all() and self.lip[2] < self.bin[2] + BIN_HEIGHT)

    @property
    def raised(self) -> bool:
        """The scoop can pass over the walls."""
        return bool(self.lip[2] > self.bin[2] + BIN_HEIGHT + _ABOVE)

    @property
    def over_target(self) -> bool:
        """What leaves the lip falls into the target."""
        return bool((np.abs(self.lip - self.target)[:2] < TARGET_HALF).all())

    @property
    def scrapes(self) -> bool:
        """The lip is at the bin's floor."""
        return bool(self.lip[2] < self.bin[2] + FLOOR + _DEEP)

    @property
    def about_to_hit(self) -> bool:
        """The lip is below the walls' edges, and in neither container."""
        low = self.lip[2] < self.bin[2] + min(BIN_HEIGHT, TARGET_HEIGHT)
        return bool(low and not self.in_bin and not self.over_target)

    @property
    def ready(self) -> bool:
        """The lip is among the candies."""
        return self.in_bin and not self.held

    @property
    def secured(self) -> bool:
        """Enough candies are in the raised scoop."""
        return self.loaded and self.raised and abs(self.tilt) < LEVEL

    def remaining(self) -> float:
        """See Sight. A radian counts as 5 cm."""
        if self.poured >= ENOUGH:
            return -1.0 - 0.01 * self.poured + 0.01 * self.held
        if not self.loaded:
            depth = max(float(self.lip[2] - self.bin[2]) - 0.01, 0.0)
            beside = np.maximum(np.abs(self.lip - self.bin)[:2] - BIN_HALF, 0.0)
            return 1.0 + float(np.linalg.norm(beside)) + depth - 0.01 * self.held
        if self.over_target:
            return -0.05 * self.tilt
        beside = np.maximum(np.abs(self.lip - self.target)[:2] - TARGET_HALF, 0.0)
        return float(np.linalg.norm(beside)) + max(BIN_HEIGHT + _ABOVE - float(self.lip[2]), 0.0)

    @cached_property
    def _candies(self) -> Vector:
        """Their centres (n, 3) [m]."""
        self.position(f"{CANDY}_0")
        objects = self.view.objects
        return np.array([np.asarray(objects[k][0], float) for k in objects if k.startswith(CANDY)])

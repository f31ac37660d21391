# SPDX-License-Identifier: Apache-2.0
"""The expert of both routing tasks: hangs a bulb on a nail, or watches and mends."""

from __future__ import annotations

from functools import cached_property
from typing import ClassVar

import numpy as np

from expo_ft_ros.data.rotation import matrix_of
from expo_ft_ros.tasks.expert import Vector
from expo_ft_ros.tasks.string_light.board import EYELET, NAIL_RADIUS, NAIL_SLOPE, TAB, TAB_AT
from expo_ft_ros.tasks.string_light.placing import PlacingExpert
from expo_ft_ros.tasks.string_light.sight import PlacingSight

_UNDER = np.array([0.0, 0.0, -0.002])  # the eyelet's middle passes the nail's tip so far below [m]
_LOOSE = 0.0015  # of the nail under the eyelet's upper edge while it hangs [m]


class BulbSight(PlacingSight):
    """See Sight: the part is a bulb, its feature the eyelet's middle, the goal the nail's tip."""

    HELD = (2 * TAB[1] - 0.004, 2 * TAB[1] + 0.008)
    DEPTH, RISE = 0.024, float(TAB_AT[2])
    BULB: ClassVar[str]
    NAIL: ClassVar[str]

    @cached_property
    def grip(self) -> Vector:
        """See PlacingSight."""
        grip: Vector = self.feature + matrix_of(self.quaternion(self.BULB)) @ TAB_AT
        return grip

    @cached_property
    def feature(self) -> Vector:
        """See PlacingSight."""
        return self.position(self.BULB)

    @cached_property
    def goal(self) -> Vector:
        """See PlacingSight."""
        tip: Vector = self.position(self.NAIL) + _UNDER
        return tip

    @property
    def lowered(self) -> bool:
        """See PlacingSight: the nail is under the eyelet's upper edge."""
        nail = float(self.goal[2] - _UNDER[2]) - NAIL_SLOPE * max(self.entered, 0.0)
        return nail - float(self.feature[2]) > EYELET - NAIL_RADIUS - _LOOSE


class HangingExpert(PlacingExpert[BulbSight]):
    """See the module."""

    LETS_GO = True

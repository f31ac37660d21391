# SPDX-License-Identifier: Apache-2.0
"""Cube Pick's expert: picks the cube, or watches and mends what goes wrong."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from functools import cached_property

import numpy as np

from expo_ft_ros.tasks.expert import Vector
from expo_ft_ros.tasks.failure_detector import Help, Signs, beside, too_high
from expo_ft_ros.tasks.habits import Habits, normal, uniform
from expo_ft_ros.tasks.scripted_expert import ScriptedExpert
from expo_ft_ros.tasks.sight import Sight

_HELD_LOW, _HELD_HIGH = 0.034, 0.056  # opening over a 4 cm cube, also one held askew [m]
_OPEN = 0.065  # opening that passes over the cube [m]
_NEAR = 0.025  # cube's centre to the tool while held [m]
_LOW = 0.05  # tool this little above the cube is at it [m]
_CLEAR = 0.035  # height above the cube's centre at which the open fingers pass over it [m]
_ALIGNED, _MISALIGNED = 0.010, 0.026  # horizontally [m]
_FUNNEL = 0.012  # misplacement that allows going down [m]
_FUNNEL_LOST = 0.022  # misplacement that sends the tool up again [m]
_AT_CUBE = 0.006  # height error that allows closing [m]
_LIFTED, _LIFT_TO = 0.04, 0.20  # of the cube's centre, and of the tool [m]
_FACE = 0.015  # this near a side of the workspace is leaving it [m]
Phase = Enum("Phase", ["REACH", "DESCEND", "CLOSE", "LIFT"])


class CubeSight(Sight):
    """See Sight."""

    @cached_property
    def cube(self) -> Vector:
        """Its centre (3,) [m]."""
        return self.position("cube")

    @property
    def above(self) -> float:
        """Tool height above the cube's centre [m]."""
        return float(self.tool[2] - self.cube[2])

    def misplaced(self, offset: Vector | float = 0.0) -> float:
        """Horizontal distance of the tool from the cube plus offset [m]."""
        return float(np.linalg.norm(self.tool[:2] - self.cube[:2] - offset))

    @cached_property
    def held(self) -> bool:
        """The cube is between closed fingers, by eye."""
        near = np.linalg.norm(self.tool - self.cube) < _NEAR
        return bool(near and _HELD_LOW < self.width < _HELD_HIGH)

    @property
    def ready(self) -> bool:
        """Open, over the cube, on the way down."""
        return self.width > _OPEN and self.misplaced() < _ALIGNED and self.above < _LOW

    @property
    def secured(self) -> bool:
        """The cube is between the fingers and off the table."""
        return bool(self.held and self.cube[2] > _LIFTED)

    def remaining(self) -> float:
        """See Sight."""
        if self.held:
            return -float(self.cube[2])
        closing = 0.5 * max(self.width - 0.04, 0.0) if self.above < _LOW else 0.0
        return float(np.linalg.norm(self.tool - self.cube)) + closing


@dataclass(frozen=True)
class CubeHabits(Habits):
    """hover: height above the cube of aligning [m]; offset: error in where the cube is [m];
    detour: how far beside it the first heading goes [m]."""

    speed: float = uniform(0.35, 0.5)
    gain: float = uniform(1.6, 2.2)
    hover: float = uniform(0.06, 0.09)
    offset: Vector = normal(0.002, most=0.004)
    detour: Vector = normal(0.03, most=0.06)
    tremor: float = uniform(0.02, 0.06)

    def brisk(self) -> CubeHabits:
        """See Habits."""
        return replace(self, speed=1.5 * self.speed, gain=1.3 * self.gain, detour=np.zeros(2))


class Expert(ScriptedExpert[CubeSight, CubeHabits, Phase]):
    """See the module."""

    SIGHT, HABITS, FIRST, SALT = CubeSight, CubeHabits, Phase.REACH, 0x0BE7
    CLOSED, SLOW = (Phase.CLOSE, Phase.LIFT), (Phase.CLOSE,)

    def _forget(self) -> None:
        self._was_secured = False

    def _signs(self, sight: CubeSight) -> Signs:
        low, held = sight.above < _LOW, sight.held
        dropped = self._was_secured and not held
        self._was_secured = self._was_secured or sight.secured
        outside = beside(self._workspace, sight.tool, _FACE) and sight.misplaced() > 0.03
        rising = too_high(self._workspace, sight.tool, _FACE) and not held
        return {
            "dropped": (dropped, 2),
            "empty": (not held and sight.width < _HELD_HIGH and not low, 3),
            "missed": (sight.width < _HELD_LOW, 3),
            "misaligned": (low and not held and sight.misplaced() > _MISALIGNED, 5),
            "leaving": (outside or rising, 3),
        }

    def _needed(self, sight: CubeSight, sign: str) -> Help:
        if sign == "dropped":
            return Help.FINISHED
        at_cube = sight.misplaced() < _ALIGNED and sight.above < _LOW
        return Help.SECURED if at_cube or sight.held else Help.READY

    def _entry(self, sight: CubeSight) -> Phase:
        return Phase.LIFT if sight.held else Phase.REACH

    def _target(self, sight: CubeSight, habits: CubeHabits) -> Vector:
        if self._phase is Phase.LIFT:
            return np.array([*sight.tool[:2], _LIFT_TO])
        target = np.array([*(sight.cube[:2] + habits.offset), sight.cube[2]])
        if self._phase is Phase.REACH:
            target[2] = max(sight.cube[2], 0.02) + habits.hover
            target[:2] += habits.detour * np.exp(-self._ticks / 10.0)
            if sight.above < _CLEAR and sight.misplaced() > _FUNNEL_LOST:
                target[:2] = sight.tool[:2]  # up first: sideways would sweep the cube along
        return target

    def _next(self, sight: CubeSight, habits: CubeHabits) -> Phase | None:
        off = sight.misplaced(habits.offset)
        low_enough = sight.above < habits.hover + 0.03
        match self._phase:
            case Phase.REACH if off < _FUNNEL and low_enough and sight.width > _OPEN:
                return Phase.DESCEND
            case Phase.DESCEND if off > _FUNNEL_LOST:
                return Phase.REACH
            case Phase.DESCEND if abs(sight.above) < _AT_CUBE:
                return Phase.CLOSE
            case Phase.CLOSE if sight.held and self._ticks >= 4:
                return Phase.LIFT
            case Phase.CLOSE if self._ticks > 8:
                return Phase.REACH
            case Phase.LIFT if not sight.held and self._ticks > 2:
                return Phase.REACH
        return None

# SPDX-License-Identifier: Apache-2.0
"""What the experts of the string of lights share: pick a part of it up, put it forwards in place.

A part is gripped from above at its `grip`. Its `feature` (the tip of a prong, the middle of an
eyelet) then goes to the `goal` (the mouth of a socket, the tip of a nail) and on along the base's
x. What is blocked there is taken back and tried again a little beside, as people do.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import ClassVar, TypeVar

import numpy as np

from expo_ft_ros.tasks.expert import Vector
from expo_ft_ros.tasks.failure_detector import Help, Signs, leaving
from expo_ft_ros.tasks.habits import Habits, normal, uniform
from expo_ft_ros.tasks.scripted_expert import ScriptedExpert
from expo_ft_ros.tasks.string_light.sight import (
    ALIGNED,
    BEFORE,
    LOW,
    NEAR_LINE,
    ON_LINE,
    OPEN,
    PlacingSight,
)

_MISALIGNED = 0.024  # the tool over the grip, horizontally [m]
_FUNNEL, _FUNNEL_LOST = 0.010, 0.020  # misplacement that allows going down, that sends it up [m]
_AT_GRIP = 0.006  # height error that allows closing [m]
_FACE = 0.012  # this near a side of the workspace is leaving it [m]
_AT_GOAL = 0.004  # before the goal, where the aim must be right [m]
_SLIPPED = 0.009  # of a part that is in: it is gripped anew where it should be [m]
_BLOCKED = 11  # ticks of pushing without getting in after which it is tried anew
_LOWERING, _AWAY = 10, 0.05  # ticks of lowering at most, way up after letting go [m]
_QUIET = 0.3  # what is left of a pull in the phases with a quiet hand
_CREEP = 0.05  # speed while aiming, of full scale: less would let the device go
_SEARCH, _TURN = 0.0012, 2.4  # the next try is so far beside [m], and so far round [rad]

Phase = Enum(
    "Phase",
    ["REACH", "DESCEND", "CLOSE", "LIFT", "CARRY", "AIM", "ADVANCE", "LOWER", "OPEN", "LEAVE"],
)


@dataclass(frozen=True)
class PlacingHabits(Habits):
    """hover: height above the grip of aligning [m]; offset: error in where it is [m]; aim: error
    across the goal's line (y, z) [m]; detour: how far beside it the first heading goes [m]; lift:
    way up before the goal is headed for, above the least [m]; push: speed of it, of full scale."""

    speed: float = uniform(0.45, 0.6)
    gain: float = uniform(2.0, 2.6)
    hover: float = uniform(0.045, 0.065)
    offset: Vector = normal(0.0015, most=0.003)
    aim: Vector = normal(0.0004, most=0.0008)
    detour: Vector = normal(0.02, most=0.04)
    lift: float = uniform(0.0, 0.02)
    push: float = uniform(0.10, 0.16)
    tremor: float = uniform(0.008, 0.02)

    def brisk(self) -> PlacingHabits:
        """See Habits."""
        return replace(self, speed=1.3 * self.speed, detour=np.zeros(2), lift=0.0)


S = TypeVar("S", bound=PlacingSight)


class PlacingExpert(ScriptedExpert[S, PlacingHabits, Phase]):
    """See the module. LETS_GO: whether the part is lowered and let go at the end."""

    HABITS, FIRST = PlacingHabits, Phase.REACH
    CLOSED = (Phase.CLOSE, Phase.LIFT, Phase.CARRY, Phase.AIM, Phase.ADVANCE, Phase.LOWER)
    SLOW = (Phase.CLOSE, Phase.AIM, Phase.ADVANCE, Phase.LOWER, Phase.OPEN)
    LATE, STUCK = 0.5, 14
    LETS_GO: ClassVar[bool] = False

    def _forget(self) -> None:
        self._was_held = False
        self._tries = 0

    def _signs(self, sight: S) -> Signs:
        low, held, inside = sight.above < LOW, sight.held, sight.inside
        dropped = self._was_held and not held and not inside
        self._was_held = self._was_held or sight.secured
        leaves = leaving(self._workspace, sight.tool, _FACE)
        astray = held and sight.entered > -0.004 and sight.aside > 2 * ON_LINE
        return {
            "dropped": (dropped, 2),
            "missed": (not held and not inside and sight.width < sight.HELD[0], 3),
            "empty": (not held and not inside and sight.width < sight.HELD[1] and not low, 3),
            "misaligned": (low and not held and sight.misplaced() > _MISALIGNED, 6),
            "beside": (astray, 6),
            "leaving": (leaves and not inside, 3),
        }

    def _needed(self, sight: S, sign: str) -> Help:
        if sign in ("dropped", "beside"):
            return Help.FINISHED
        at_grip = sight.misplaced() < ALIGNED and sight.above < LOW
        return Help.SECURED if at_grip or sight.held else Help.READY

    def _entry(self, sight: S) -> Phase:
        if not sight.held:
            return Phase.LEAVE if sight.inside and self.LETS_GO else Phase.REACH
        return Phase.ADVANCE if sight.inside else Phase.LIFT

    def _target(self, sight: S, habits: PlacingHabits) -> Vector:
        tool, grip, to_goal = sight.tool, sight.grip, sight.goal - sight.feature
        on_line: Vector = tool + to_goal + self._aim(habits)
        if sight.inside:  # a part that is in turns about its place: the hand's height counts
            on_line[2] = sight.goal[2] + sight.RISE
        match self._phase:
            case Phase.REACH:
                target = np.array([*(grip[:2] + habits.offset), grip[2] + habits.hover])
                target[:2] += habits.detour * np.exp(-self._ticks / 8.0)
                if sight.above < 0.03 and sight.misplaced() > _FUNNEL_LOST:
                    target[:2] = tool[:2]  # up first: sideways would sweep the part along
                return target
            case Phase.DESCEND | Phase.CLOSE:
                return np.array([*(grip[:2] + habits.offset), grip[2]])
            case Phase.LIFT:
                back = min(0.0, to_goal[0] - BEFORE)  # out of where it may be stuck
                lift = max(float(to_goal[2]), 0.0) + habits.lift
                return np.array([tool[0] + back, tool[1], tool[2] + lift])
            case Phase.CARRY:
                return np.array([on_line[0] - BEFORE, *on_line[1:]])
            case Phase.AIM | Phase.ADVANCE:
                speed = _CREEP if self._phase is Phase.AIM else habits.push
                ahead = speed * self._limits.linear_velocity / habits.gain
                pull = np.array([ahead, *(on_line - tool)[1:]])
                return np.asarray(tool + pull / _QUIET)
            case Phase.LOWER:
                down = habits.push * self._limits.linear_velocity / habits.gain
                return np.array([*tool[:2], tool[2] - down / _QUIET])
            case Phase.LEAVE:
                return np.array([*tool[:2], tool[2] + _AWAY])
        return tool

    def _aim(self, habits: PlacingHabits) -> Vector:
        """Where the feature is taken, from the goal's line (3,) [m]."""
        turn, beside_it = _TURN * self._tries, _SEARCH * min(self._tries, 2)
        search = beside_it * np.array([np.cos(turn), np.sin(turn)])
        return np.array([0.0, *(habits.aim + search)])

    def _next(self, sight: S, habits: PlacingHabits) -> Phase | None:
        off, ticks = sight.misplaced(habits.offset), self._ticks
        low_enough = sight.above < habits.hover + 0.02
        to_goal = sight.goal - sight.feature
        off_line = float(np.linalg.norm((to_goal + self._aim(habits))[1:]))
        carries = self._phase in (Phase.LIFT, Phase.CARRY, Phase.AIM)
        if carries and not sight.held and ticks > 2:
            return Phase.REACH
        match self._phase:
            case Phase.REACH if off < _FUNNEL and low_enough and sight.width > OPEN:
                return Phase.DESCEND
            case Phase.DESCEND if off > _FUNNEL_LOST:
                return Phase.REACH
            case Phase.DESCEND if abs(sight.above) < _AT_GRIP:
                return Phase.CLOSE
            case Phase.CLOSE if sight.held and ticks >= 6:
                return Phase.ADVANCE if sight.inside else Phase.LIFT
            case Phase.CLOSE if ticks > 12:
                return Phase.REACH
            case Phase.LIFT if to_goal[2] < 0.01 and sight.entered < -0.5 * BEFORE:
                return Phase.CARRY
            case Phase.CARRY if sight.aside < NEAR_LINE and abs(to_goal[0] - BEFORE) < 0.012:
                return Phase.AIM
            case Phase.AIM if off_line < ON_LINE:
                return Phase.ADVANCE
            case Phase.AIM if sight.entered > -_AT_GOAL:
                return Phase.CARRY
            case Phase.ADVANCE if not sight.held and not sight.inside:
                return Phase.REACH
            case Phase.ADVANCE if sight.inside and sight.misplaced() > _SLIPPED:
                return Phase.REACH
            case Phase.ADVANCE if ticks > _BLOCKED and not sight.inside:
                self._tries += 1
                return Phase.CARRY
            case Phase.ADVANCE if self.LETS_GO and sight.entered > sight.DEPTH:
                return Phase.LOWER
            case Phase.LOWER if sight.lowered or ticks > _LOWERING:
                return Phase.OPEN
            case Phase.OPEN if sight.width > OPEN:
                return Phase.LEAVE
            case Phase.LEAVE if not sight.inside and ticks > 4:
                return Phase.REACH
        return None

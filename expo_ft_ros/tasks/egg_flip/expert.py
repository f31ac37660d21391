# SPDX-License-Identifier: Apache-2.0
"""Egg Flip's expert: slides the blade under the egg, turns it over at the wall, or mends that."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

import numpy as np

from expo_ft_ros.data.rotation import turn_to
from expo_ft_ros.tasks.egg_flip.scene import BEND, RADIUS, tool_quaternion
from expo_ft_ros.tasks.egg_flip.sight import EggSight, along, far_wall, level_tilt, on_course
from expo_ft_ros.tasks.expert import OperatorCommand, Vector
from expo_ft_ros.tasks.failure_detector import Help, Signs, leaving
from expo_ft_ros.tasks.habits import Habits, normal, uniform
from expo_ft_ros.tasks.scripted_expert import ScriptedExpert, limited

_OVER = 0.05  # of the tip above the floor on the way to the egg [m]
_NEAREST = 0.045  # behind the pan's middle: the blade goes down there at least [m]
_NARROW = 0.035  # it goes down this far beside the pan's middle at most, to fit in [m]
_CLEAR = (-0.02, 0.0, 0.10)  # the tip once the egg has been turned: ahead, across, up [m]
_CLEAR_TICKS = 22  # after which it tries again, since the episode isn't over
_FACE = 0.012  # this near a side of the workspace is leaving it [m]

Phase = Enum("Phase", ["REACH", "LOWER", "SLIDE", "TURN", "BACK", "CLEAR"])


@dataclass(frozen=True)
class EggHabits(Habits):
    """slide, turn: speeds under the egg and of turning it, of full scale; dip: of the blade as it
    slides [rad]; over: how far it turns [rad]; short: it begins to turn so far before the wall [m];
    press: how far below the floor it holds the blade, which bends [m]; off, detour: how far on and
    aside from behind the egg it goes in, and heads for at first [m]."""

    speed: float = uniform(0.5, 0.75)
    slide: float = uniform(0.32, 0.5)
    turn: float = uniform(0.75, 1.0)
    gain: float = uniform(2.3, 3.0)
    dip: float = uniform(0.06, 0.14)
    over: float = uniform(1.7, 1.9)
    short: float = uniform(0.004, 0.014)
    press: float = uniform(0.002, 0.006)
    off: Vector = normal(0.005, most=0.01)
    detour: Vector = normal(0.015, most=0.03)
    tremor: float = uniform(0.01, 0.03)

    def brisk(self) -> EggHabits:
        """See Habits."""
        return replace(self, speed=1.4 * self.speed, detour=np.zeros(2), off=np.zeros(2))


class Expert(ScriptedExpert[EggSight, EggHabits, Phase]):
    """See the module. It thinks of the blade's tip; the tool goes where that has to be."""

    SIGHT, HABITS, FIRST, SALT = EggSight, EggHabits, Phase.REACH, 0xE66F
    LATE, STUCK, SLOW = 0.3, 12, (Phase.SLIDE, Phase.BACK)

    def _forget(self) -> None:
        self._was_flipped, self._heading = False, 0.0

    def _signs(self, sight: EggSight) -> Signs:
        back = self._was_flipped and not sight.flipped
        self._was_flipped = self._was_flipped or (sight.flipped and sight.lies)
        return {
            "turned back": (back, 2),
            "beside": (sight.beside and not sight.flipped, 4),
            "too deep": (sight.tip[2] < -0.015, 8),
            "leaving": (leaving(self._workspace, sight.tool, _FACE), 3),
        }

    def _needed(self, sight: EggSight, sign: str) -> Help:
        least = Help.SECURED if sight.loaded else Help.READY
        return Help.FINISHED if sight.flipped or sign == "turned back" else least

    def _entry(self, sight: EggSight) -> Phase:
        self._heading = sight.heading
        if sight.flipped or not sight.in_pan:
            return Phase.BACK
        lifted = sight.secured or sight.up < 0.5
        return Phase.TURN if lifted else Phase.SLIDE if sight.loaded else Phase.REACH

    def _drive(self, sight: EggSight, habits: EggHabits) -> OperatorCommand:
        speed = habits.slide if self._phase in self.SLOW else habits.speed
        most = speed * self._limits.linear_velocity
        pull = habits.gain * (self._target(sight, habits) - sight.tip)
        velocity = np.array([*limited(pull[:2], most), np.clip(pull[2], -most, most)])
        angular = self._turning(self._turn(sight, habits), 2.5, dead_zone=0.02, most=habits.turn)
        velocity -= np.cross(angular * self._limits.angular_velocity, sight.lever)
        velocity /= self._limits.linear_velocity
        slower = max(1.0, float(np.abs(velocity).max()))
        return self._command(velocity / slower + self._tremor(), angular / slower)

    def _turn(self, sight: EggSight, habits: EggHabits) -> Vector:
        """(3,) of the tool, to where it should point in this phase [rad]."""
        wanted = tool_quaternion(self._heading, self._tilt(sight, habits))
        return turn_to(sight.view.proprio.quaternion, wanted)

    def _tilt(self, sight: EggSight, habits: EggHabits) -> float:
        """Of the tool in this phase [rad]."""
        if self._phase is Phase.TURN or (self._phase is Phase.BACK and not sight.flipped):
            return BEND - habits.over
        if self._phase in (Phase.BACK, Phase.CLEAR):
            return BEND - 0.6
        return level_tilt(self._target(sight, habits), self._heading, habits.dip)

    def _target(self, sight: EggSight, habits: EggHabits) -> Vector:
        """Where the tip (3,) should be, from the middle of the pan's floor [m]."""
        if self._phase is Phase.REACH:
            self._heading = sight.aim
        at, height = (sight.tip, 0.0) if self._phase is Phase.TURN else (sight.egg, -habits.press)
        on, aside = along(self._heading, at)
        if self._phase in (Phase.REACH, Phase.LOWER):
            way_in = [min(-_NEAREST, on - RADIUS - 0.015), np.clip(aside, -_NARROW, _NARROW)]
            on, aside = np.array(way_in) + habits.off
            if self._phase is Phase.REACH:
                height, fading = _OVER, np.exp(-self._ticks / 6.0)
                on, aside = on + fading * habits.detour[0], aside + fading * habits.detour[1]
                if sight.tip[2] < _OVER / 2 and np.hypot(*(sight.tip - sight.egg)[:2]) < 0.05:
                    return np.array([*sight.tip[:2], _OVER])  # up first: it would drag the egg
        elif self._phase in (Phase.SLIDE, Phase.TURN):
            on = far_wall(aside) - habits.short
        else:
            on, aside, height = (0.04, 0.0, 0.07) if self._phase is Phase.BACK else _CLEAR
        return on_course(self._heading, on, aside, height)

    def _next(self, sight: EggSight, habits: EggHabits) -> Phase | None:
        off = sight.tip - self._target(sight, habits)
        near, level = np.hypot(*off[:2]) < 0.012, abs(off[2]) < 0.015
        turned = bool(np.linalg.norm(self._turn(sight, habits)) < 0.12)
        match self._phase:
            case Phase.SLIDE | Phase.TURN if sight.flipped and sight.lies:
                return Phase.BACK
            case Phase.REACH if near and level and turned:
                return Phase.LOWER
            case Phase.LOWER if off[2] < 0.006 or self._ticks > 8:
                return Phase.SLIDE
            case Phase.SLIDE if near or sight.passed or self._ticks > 35:
                return Phase.REACH if sight.passed else Phase.TURN
            case Phase.TURN if turned or self._ticks > 28:
                return Phase.BACK
            case Phase.BACK if near or self._ticks > 14:
                return Phase.CLEAR
            case Phase.CLEAR if sight.in_pan and self._ticks > (
                _CLEAR_TICKS if sight.flipped else 5
            ):
                return Phase.REACH
        return None

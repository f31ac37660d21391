# SPDX-License-Identifier: Apache-2.0
"""Candy Scoop's expert: scoops and pours, or watches and mends what goes wrong."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

import numpy as np

from expo_ft_ros.tasks.candy_scoop.scene import BIN_HALF, BIN_HEIGHT, ENOUGH, TARGET_HEIGHT
from expo_ft_ros.tasks.candy_scoop.sight import LEVEL, CandySight
from expo_ft_ros.tasks.expert import OperatorCommand, Vector
from expo_ft_ros.tasks.failure_detector import Help, Signs, leaving
from expo_ft_ros.tasks.habits import Habits, normal, uniform
from expo_ft_ros.tasks.scripted_expert import ScriptedExpert, limited

_CARRY_TILT = -0.18  # of the scoop with candies in it, lip up [rad]
_PASS = 0.045  # the lip goes over walls this far above them [m]
_BEHIND = 0.035  # behind the middle of the bin, where the lip goes in [m]
_FUNNEL = 0.012  # misplacement of the lip that allows going down [m]
_BOTTOM = 0.008  # of the lip above the bin's floor while it digs [m]
_POUR_SHORT = 0.025  # the lip stops this far before the middle of the target [m]
_POUR_HEIGHT = 0.045  # of the lip above the target's walls [m]
_POUR_TICKS = 26  # after which it goes for more, since the episode isn't over
_FACE = 0.012  # this near a side of the workspace is leaving it [m]


Phase = Enum("Phase", ["REACH", "DIP", "DRAG", "LEVEL", "LIFT", "CARRY", "POUR"])


@dataclass(frozen=True)
class CandyHabits(Habits):
    """turn: of full scale; dip, dig, pour: tilt of the scoop as it goes in, digs and pours [rad];
    aside: where across the bin it digs, from its middle [m]; detour: how far beside it the first
    heading goes [m]; height: of the way over the walls above the least [m]."""

    speed: float = uniform(0.5, 0.7)
    turn: float = uniform(0.7, 0.95)
    gain: float = uniform(2.2, 2.8)
    dip: float = uniform(0.55, 0.65)
    dig: float = uniform(0.38, 0.5)
    pour: float = uniform(1.05, 1.25)
    aside: float = uniform(-0.008, 0.008)
    detour: Vector = normal(0.02, most=0.04)
    height: float = uniform(0.0, 0.03)
    tremor: float = uniform(0.01, 0.03)

    def brisk(self) -> CandyHabits:
        """See Habits."""
        return replace(self, speed=1.3 * self.speed, turn=0.95, detour=np.zeros(2), height=0.0)


class Expert(ScriptedExpert[CandySight, CandyHabits, Phase]):
    """See the module. The tool turns about its centre point; the lip has to be somewhere."""

    SIGHT, HABITS, FIRST, SALT = CandySight, CandyHabits, Phase.REACH, 0xCA2D
    LATE, STUCK = 0.4, 15

    def _forget(self) -> None:
        self._dug = self._carried = False

    def _signs(self, sight: CandySight) -> Signs:
        self._dug = self._dug or sight.in_bin
        loaded, unpoured = sight.loaded, sight.poured < ENOUGH
        astray = loaded and unpoured and not sight.over_target
        sinks = self._carried and astray and not sight.raised
        self._carried = loaded and (self._carried or sight.raised)
        leaves = leaving(self._workspace, sight.tool, _FACE)
        return {
            "pours beside": (astray and sight.raised and sight.tilt > LEVEL, 2),
            "sinks": (sinks, 3),
            "empty": (self._dug and not loaded and unpoured and sight.raised, 3),
            "too deep": (sight.scrapes, 8),
            "too low": (sight.about_to_hit, 4),
            "leaving": (leaves and unpoured, 3),
        }

    def _needed(self, sight: CandySight, sign: str) -> Help:
        if sight.loaded:
            return Help.FINISHED
        return Help.SECURED if sight.in_bin else Help.READY

    def _entry(self, sight: CandySight) -> Phase:
        if not sight.loaded:
            return Phase.REACH
        return Phase.LEVEL if sight.in_bin else Phase.CARRY

    def _drive(self, sight: CandySight, habits: CandyHabits) -> OperatorCommand:
        pull = habits.gain * (self._target(sight, habits) - sight.lip)
        velocity = limited(pull, habits.speed * self._limits.linear_velocity)
        turn = sight.turn_to(self._tilt(habits))
        angular = self._turning(turn, gain=2.5, dead_zone=0.02, most=habits.turn)
        velocity -= np.cross(angular * self._limits.angular_velocity, sight.lip - sight.tool)
        return self._command(velocity / self._limits.linear_velocity + self._tremor(), angular)

    def _tilt(self, habits: CandyHabits) -> float:
        """Of the scoop in this phase [rad]."""
        tilts = {Phase.REACH: habits.dip, Phase.DIP: habits.dip, Phase.DRAG: habits.dig}
        return {**tilts, Phase.POUR: habits.pour}.get(self._phase, _CARRY_TILT)

    def _target(self, sight: CandySight, habits: CandyHabits) -> Vector:
        """Where the lip (3,) should be [m]."""
        phase, bin_at, target = self._phase, sight.bin, sight.target
        over_bin = bin_at[2] + BIN_HEIGHT + _PASS + habits.height
        across, behind = bin_at[0] + habits.aside, bin_at[1] - _BEHIND
        far_wall, bottom = bin_at[1] + BIN_HALF[1], bin_at[2] + _BOTTOM
        if phase is Phase.REACH:
            detour = np.array([*habits.detour, 0.0]) * np.exp(-self._ticks / 6.0)
            lip: Vector = np.array([across, behind, over_bin]) + detour
            if sight.lip[2] < over_bin - 0.03 and np.linalg.norm((sight.lip - lip)[:2]) > 0.03:
                lip[:2] = sight.lip[:2]  # up first: sideways would hit the walls
            return lip
        if phase is Phase.DIP:
            return np.array([across, behind, bottom])
        if phase is Phase.DRAG:
            return np.array([across, far_wall - 0.006, bottom])
        if phase is Phase.LEVEL:
            return np.array([across, far_wall - 0.012, bin_at[2] + 0.030])
        if phase is Phase.LIFT:
            return np.array([*sight.lip[:2], over_bin + 0.02])
        pour = np.array([target[0], target[1] - _POUR_SHORT, 0.0])
        pour[2] = target[2] + TARGET_HEIGHT + _POUR_HEIGHT
        if phase is Phase.CARRY:
            pour[2] = max(over_bin, target[2] + TARGET_HEIGHT + _POUR_HEIGHT + 0.03)
            if sight.lip[2] < over_bin - 0.02:
                pour[:2] = sight.lip[:2]
        return pour

    def _next(self, sight: CandySight, habits: CandyHabits) -> Phase | None:
        lip = self._target(sight, habits)
        off = float(np.linalg.norm((sight.lip - lip)[:2]))
        near = abs(float(sight.lip[2] - lip[2])) < 0.02
        turned = abs(sight.tilt - self._tilt(habits)) < 0.12
        match self._phase:
            case Phase.REACH if off < _FUNNEL and near and turned:
                return Phase.DIP
            case Phase.DIP if sight.lip[2] < lip[2] + 0.006 or self._ticks > 7:
                return Phase.DRAG
            case Phase.DRAG if off < 0.010 or self._ticks > 20:
                return Phase.LEVEL
            case Phase.LEVEL if turned or self._ticks > 15:
                return Phase.LIFT
            case Phase.LIFT if near and turned:
                return Phase.CARRY if sight.loaded else Phase.REACH
            case Phase.CARRY if not sight.loaded:
                return Phase.REACH
            case Phase.CARRY if off < 0.02 and near:
                return Phase.POUR
            case Phase.POUR if self._ticks > _POUR_TICKS:
                return Phase.REACH
        return None

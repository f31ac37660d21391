# SPDX-License-Identifier: Apache-2.0
"""Flower Insert's expert: puts the stem into the mouth, or watches and mends what goes wrong."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

import numpy as np

from expo_ft_ros.tasks.expert import OperatorCommand, Vector
from expo_ft_ros.tasks.failure_detector import Help, Signs, leaving
from expo_ft_ros.tasks.flower_insert.scene import DEPTH, STEM_LENGTH
from expo_ft_ros.tasks.flower_insert.sight import ALIGNED, CLEAR, FlowerSight
from expo_ft_ros.tasks.habits import Habits, normal, uniform
from expo_ft_ros.tasks.scripted_expert import ScriptedExpert, nudged

_LOST = 0.012  # of the stem's end beside where it is wanted [m]
_BENT = 0.010  # the stem's end this far from under the tool [m]
_PUSH_TO = DEPTH + 0.012  # of the stem's end below the mouth [m]
_FACE = 0.012  # this near a side of the workspace is leaving it [m]
Phase = Enum("Phase", ["REACH", "LOWER", "PUSH"])


@dataclass(frozen=True)
class FlowerHabits(Habits):
    """hover: of the stem's end above the mouth while it is aligned [m]; offset: error in where the
    mouth is [m]; detour: how far beside it the first heading goes [m]; push: of full scale, on the
    way down; care: how near to where it is wanted the stem's end is before that [m]."""

    speed: float = uniform(0.35, 0.55)
    gain: float = uniform(1.8, 2.6)
    hover: float = uniform(0.014, 0.030)
    offset: Vector = normal(0.0016, most=0.0035)
    detour: Vector = normal(0.025, most=0.05)
    push: float = uniform(0.22, 0.38)
    care: float = uniform(0.003, 0.005)
    tremor: float = uniform(0.01, 0.04)

    def brisk(self) -> FlowerHabits:
        """See Habits."""
        return replace(self, speed=1.4 * self.speed, gain=1.2 * self.gain, detour=np.zeros(2))


class Expert(ScriptedExpert[FlowerSight, FlowerHabits, Phase]):
    """See the module. The tool moves; the stem's end has to be somewhere."""

    SIGHT, HABITS, FIRST, SALT = FlowerSight, FlowerHabits, Phase.REACH, 0xF10E
    CLOSED, SLOW = tuple(Phase), (Phase.LOWER, Phase.PUSH)

    def _forget(self) -> None:
        self._was_secured = False

    def _signs(self, sight: FlowerSight) -> Signs:
        pulled_out = self._was_secured and not sight.secured
        self._was_secured = self._was_secured or sight.secured
        at_mouth = abs(sight.depth) < 0.03
        leaves = leaving(self._workspace, sight.tool, _FACE)
        return {
            "beside": (sight.missed, 3),
            "bent": (sight.bent > (2.0 if sight.secured else 1.0) * _BENT, 3),
            "pulled out": (pulled_out, 2),
            "misaligned": (at_mouth and sight.misplaced() > _LOST and sight.depth > -0.01, 6),
            "leaving": (leaves and not sight.secured, 3),
        }

    def _needed(self, sight: FlowerSight, sign: str) -> Help:
        if sight.secured or sign == "pulled out":
            return Help.FINISHED
        return Help.READY if sign == "misaligned" else Help.SECURED

    def _entry(self, sight: FlowerSight) -> Phase:
        return Phase.PUSH if sight.secured and sight.bent < _BENT else Phase.REACH

    def _target(self, sight: FlowerSight, habits: FlowerHabits) -> Vector:
        """Where the tool (3,) should be so that the stem's straight end is where it is wanted."""
        target = np.array([*(sight.mouth[:2] + habits.offset), sight.mouth[2] + STEM_LENGTH])
        if self._phase is Phase.REACH:
            target[2] += habits.hover
            target[:2] += habits.detour * np.exp(-self._ticks / 8.0)
            if sight.depth > -CLEAR and sight.misplaced(habits.offset) > ALIGNED:
                target[:2] = sight.tool[:2]  # up first: sideways would bend the stem at the neck
        else:
            target[2] -= _PUSH_TO
        return target

    def _drive(self, sight: FlowerSight, habits: FlowerHabits) -> OperatorCommand:
        command = super()._drive(sight, habits)
        linear = command.twist[:3]
        if self._phase is Phase.REACH:
            linear = nudged(linear)
        else:
            linear = np.array([*linear[:2], 0.0 if sight.depth > _PUSH_TO else -habits.push])
        return replace(command, twist=np.r_[linear, command.twist[3:]])

    def _next(self, sight: FlowerSight, habits: FlowerHabits) -> Phase | None:
        off = sight.misplaced(habits.offset)
        match self._phase:
            case Phase.REACH if off < habits.care and abs(sight.depth) < habits.hover + 0.012:
                return Phase.LOWER
            case Phase.LOWER if sight.secured:
                return Phase.PUSH
            case Phase.LOWER if off > _LOST or sight.missed or sight.bent > _BENT:
                return Phase.REACH
            case Phase.PUSH if not sight.secured:
                return Phase.REACH
        return None

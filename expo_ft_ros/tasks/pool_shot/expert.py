# SPDX-License-Identifier: Apache-2.0
"""Pool Shot's expert: aims and strikes, or watches and mends what goes wrong before the strike."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

import numpy as np

from expo_ft_ros.tasks.expert import IDLE, OperatorCommand, Vector
from expo_ft_ros.tasks.failure_detector import Help, Signs, beside
from expo_ft_ros.tasks.habits import Habits, normal, uniform
from expo_ft_ros.tasks.pool_shot.sight import READY, TOUCH, PoolSight
from expo_ft_ros.tasks.scripted_expert import ScriptedExpert, limited, nudged

_WRONG = 0.007  # the same, this near to the ball: the shot would miss [m]
_NEAR = 0.018  # of the tip from touching the ball [m]
_FACE = 0.008  # this near a side of the workspace is leaving it [m]
Phase = Enum("Phase", ["ADDRESS", "STRIKE", "WATCH"])


@dataclass(frozen=True)
class PoolHabits(Habits):
    """back: of the tip from the white ball while it aims [m]; error: in where the black ball is
    [m]; care: how near to the line of aim is near enough [m]; power: of the strike, of full scale;
    detour: how far beside it the first heading goes [m]."""

    speed: float = uniform(0.3, 0.45)
    gain: float = uniform(1.8, 2.6)
    back: float = uniform(0.022, 0.036)
    error: Vector = normal(0.0005, most=0.001)
    care: float = uniform(0.0012, 0.0022)
    power: float = uniform(0.42, 0.54)
    detour: Vector = normal(0.008, most=0.015)
    tremor: float = uniform(0.005, 0.02)

    def brisk(self) -> PoolHabits:
        """See Habits."""
        return replace(self, speed=1.4 * self.speed, gain=1.2 * self.gain, detour=np.zeros(2))


class Expert(ScriptedExpert[PoolSight, PoolHabits, Phase]):
    """See the module. The tool moves; the cue's tip has to be somewhere."""

    SIGHT, HABITS, FIRST, SALT = PoolSight, PoolHabits, Phase.ADDRESS, 0x9001

    def _signs(self, sight: PoolSight) -> Signs:
        gap, beside_it = sight.off_line(sight.aim())
        wrong = gap < _NEAR and np.linalg.norm(beside_it) > _WRONG
        leaves = beside(self._workspace, sight.tool, _FACE)
        return {
            "misaligned": (bool(wrong) and not sight.struck, 2),
            "leaving": (leaves and not sight.struck, 3),
        }

    def _needed(self, sight: PoolSight, sign: str) -> Help:
        return Help.SECURED if sign == "no progress" else Help.READY

    def _entry(self, sight: PoolSight) -> Phase:
        return Phase.WATCH if sight.struck else Phase.ADDRESS

    def _target(self, sight: PoolSight, habits: PoolHabits) -> Vector:
        """Where the tool (3,) should be while it aims."""
        behind = sight.white[:2] - (TOUCH + habits.back) * sight.aim(habits.error)
        gap, beside_it = sight.off_line(sight.aim(habits.error))
        if gap < 0.5 * habits.back and np.linalg.norm(beside_it) > READY:
            behind[1] = sight.tip[1]  # back first: sideways would touch the ball
        behind = behind + habits.detour * np.exp(-self._ticks / 4.0)
        tip = np.array([*behind, sight.white[2]])
        target: Vector = sight.tool + tip - sight.tip
        return target

    def _drive(self, sight: PoolSight, habits: PoolHabits) -> OperatorCommand:
        if self._phase is Phase.WATCH:
            return IDLE
        command = super()._drive(sight, habits)
        if self._phase is Phase.ADDRESS:
            linear = nudged(command.twist[:3])
        else:
            aim = sight.aim(habits.error)
            _, beside_it = sight.off_line(aim)
            back_on = limited(-habits.gain * beside_it / self._limits.linear_velocity, 0.1)
            up = habits.gain * (sight.white[2] - sight.tip[2]) / self._limits.linear_velocity
            linear = np.array([*(habits.power * aim + back_on), np.clip(up, -0.1, 0.1)])
            linear = linear + self._tremor()
        return self._command(linear, command.twist[3:], "close")

    def _next(self, sight: PoolSight, habits: PoolHabits) -> Phase | None:
        gap, beside_it = sight.off_line(sight.aim(habits.error))
        off = float(np.linalg.norm(beside_it))
        level = abs(float(sight.tip[2] - sight.white[2])) < 0.005
        match self._phase:
            case Phase.ADDRESS | Phase.STRIKE if sight.struck:
                return Phase.WATCH
            case Phase.ADDRESS if off < habits.care and level and gap > 0.6 * habits.back:
                return Phase.STRIKE
            case Phase.STRIKE if gap < -0.02 or off > _WRONG:
                return Phase.ADDRESS
        return None

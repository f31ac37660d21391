"""The person of Candy Scoop: scoops and pours himself, or watches and mends what goes wrong."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import TYPE_CHECKING

import numpy as np

from expo_ft_ros.robots import RobotLimits
from expo_ft_ros.tasks.candy_scoop.failure_detector import CandyScoopFailureDetector, Goal, Scene
from expo_ft_ros.tasks.candy_scoop.scene import BIN_HALF, BIN_HEIGHT, TARGET_HEIGHT
from expo_ft_ros.tasks.expert import OperatorCommand, OperatorView, Vector
from expo_ft_ros.tasks.scripted_expert import ScriptedOperator

if TYPE_CHECKING:
    from expo_ft_ros.tasks import TaskConfig

_CARRY_TILT = -0.18  # of the scoop with candies in it, lip up [rad]
_PASS = 0.045  # the lip goes over walls this far above them [m]
_BEHIND = 0.035  # behind the middle of the bin, where the lip goes in [m]
_FUNNEL = 0.012  # misplacement of the lip that allows going down [m]
_BOTTOM = 0.008  # of the lip above the bin's floor while it digs [m]
_POUR_SHORT = 0.025  # the lip stops this far before the middle of the target [m]
_POUR_HEIGHT = 0.045  # of the lip above the target's walls [m]
_POUR_TICKS = 26  # after which he goes for more, since the episode isn't over
_ANGULAR_GAIN, _ANGULAR_DEAD_ZONE = 2.5, 0.02  # [1/s], [rad]


class Phase(Enum):
    """Where the scooping is."""

    REACH = auto()
    DIP = auto()
    DRAG = auto()
    LEVEL = auto()
    LIFT = auto()
    CARRY = auto()
    POUR = auto()


@dataclass(frozen=True)
class Style:
    """How this person does it today. speed, turn, tremor: of full scale; gain [1/s]; dip, dig,
    pour: tilt of the scoop as it goes in, digs and pours [rad]; aside: where across the bin he
    digs, from its middle [m]; detour: how far beside it he first heads (2,) [m]; height: of his
    way over the walls above the least [m]."""

    speed: float
    turn: float
    gain: float
    dip: float
    dig: float
    pour: float
    aside: float
    detour: Vector
    height: float
    tremor: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Style:
        """Returns a person at random."""
        return cls(
            speed=rng.uniform(0.5, 0.7),
            turn=rng.uniform(0.7, 0.95),
            gain=rng.uniform(2.2, 2.8),
            dip=rng.uniform(0.55, 0.65),
            dig=rng.uniform(0.38, 0.5),
            pour=rng.uniform(1.05, 1.25),
            aside=rng.uniform(-0.008, 0.008),
            detour=rng.normal(0.0, 0.02, 2).clip(-0.04, 0.04),
            height=rng.uniform(0.0, 0.03),
            tremor=rng.uniform(0.01, 0.03),
        )

    def brisk(self) -> Style:
        """The same person when he steps in: straight there, and faster."""
        return replace(self, speed=1.3 * self.speed, turn=0.95, detour=np.zeros(2), height=0.0)


class CandyScoopOperator(ScriptedOperator[Scene, Goal, Style, Phase]):
    """See the module."""

    def __init__(
        self, task: TaskConfig, limits: RobotLimits, rng: np.random.Generator, rate: float = 1.0
    ) -> None:
        super().__init__(
            task,
            limits,
            rng,
            rate,
            failure_detector=CandyScoopFailureDetector,
            scene=Scene.of,
            style=Style.draw,
            first=Phase.REACH,
            salt=0xCA2D,
        )

    def _entry(self, scene: Scene) -> Phase:
        if not scene.loaded:
            return Phase.REACH
        return Phase.LEVEL if scene.in_bin else Phase.CARRY

    def _drive(self, scene: Scene, view: OperatorView, style: Style) -> OperatorCommand:
        self._advance(scene, style)
        lip, tilt = self._wanted(scene, style)
        # The tool turns about its centre point; the lip is what has to be somewhere.
        velocity = style.gain * (lip - scene.lip)
        size = float(np.linalg.norm(velocity))
        greatest = style.speed * self._limits.linear_velocity
        velocity *= min(1.0, greatest / size) if size > 0 else 1.0
        turn = scene.turn_to(tilt)
        turn[np.abs(turn) < _ANGULAR_DEAD_ZONE] = 0.0
        angular = (_ANGULAR_GAIN * turn / self._limits.angular_velocity).clip(
            -style.turn, style.turn
        )
        velocity -= np.cross(angular * self._limits.angular_velocity, scene.lip - scene.tool)
        linear = velocity / self._limits.linear_velocity + self._tremor()
        return OperatorCommand(np.clip(np.concatenate([linear, angular]), -1.0, 1.0), None, True)

    def _wanted(self, scene: Scene, style: Style) -> tuple[Vector, float]:
        """Where the lip (3,) [m] and the tilt [rad] should be."""
        phase, bin_at, target = self._phase, scene.bin, scene.target
        over_bin = bin_at[2] + BIN_HEIGHT + _PASS + style.height
        across, behind = bin_at[0] + style.aside, bin_at[1] - _BEHIND
        far_wall, bottom = bin_at[1] + BIN_HALF[1], bin_at[2] + _BOTTOM
        if phase is Phase.REACH:
            detour = np.array([*style.detour, 0.0]) * np.exp(-self._ticks / 6.0)
            lip = np.array([across, behind, over_bin]) + detour
            if scene.lip[2] < over_bin - 0.03 and np.linalg.norm((scene.lip - lip)[:2]) > 0.03:
                lip[:2] = scene.lip[:2]  # up first: sideways would hit the walls
            return lip, style.dip
        if phase is Phase.DIP:
            return np.array([across, behind, bottom]), style.dip
        if phase is Phase.DRAG:
            return np.array([across, far_wall - 0.006, bottom]), style.dig
        if phase is Phase.LEVEL:
            lip = np.array([across, far_wall - 0.012, bin_at[2] + 0.030])
            return lip, _CARRY_TILT
        if phase is Phase.LIFT:
            return np.array([*scene.lip[:2], over_bin + 0.02]), _CARRY_TILT
        pour = np.array([target[0], target[1] - _POUR_SHORT, 0.0])
        if phase is Phase.CARRY:
            pour[2] = max(over_bin, target[2] + TARGET_HEIGHT + _POUR_HEIGHT + 0.03)
            if scene.lip[2] < over_bin - 0.02:
                pour[:2] = scene.lip[:2]
            return pour, _CARRY_TILT
        pour[2] = target[2] + TARGET_HEIGHT + _POUR_HEIGHT
        return pour, style.pour

    def _advance(self, scene: Scene, style: Style) -> None:
        """The transitions; one at most a tick."""
        self._ticks += 1
        phase = self._phase
        lip, tilt = self._wanted(scene, style)
        off = float(np.linalg.norm((scene.lip - lip)[:2]))
        near = abs(float(scene.lip[2] - lip[2])) < 0.02
        turned = abs(scene.tilt - tilt) < 0.12
        if phase is Phase.REACH and off < _FUNNEL and near and turned:
            self._enter(Phase.DIP)
        elif phase is Phase.DIP and (scene.lip[2] < lip[2] + 0.006 or self._ticks > 7):
            self._enter(Phase.DRAG)
        elif phase is Phase.DRAG and (off < 0.010 or self._ticks > 20):
            self._enter(Phase.LEVEL)
        elif phase is Phase.LEVEL and (turned or self._ticks > 15):
            self._enter(Phase.LIFT)
        elif phase is Phase.LIFT and near and turned:
            self._enter(Phase.CARRY if scene.loaded else Phase.REACH)
        elif phase is Phase.CARRY:
            if not scene.loaded:
                self._enter(Phase.REACH)
            elif off < 0.02 and near:
                self._enter(Phase.POUR)
        elif phase is Phase.POUR and self._ticks > _POUR_TICKS:
            self._enter(Phase.REACH)

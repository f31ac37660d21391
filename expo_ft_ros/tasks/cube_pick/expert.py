"""The person of Cube Pick: picks the cube himself, or watches and mends what goes wrong."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import TYPE_CHECKING

import numpy as np

from expo_ft_ros.data.rotation import TOOL_DOWN, turn_to
from expo_ft_ros.robots import RobotLimits
from expo_ft_ros.tasks.cube_pick.failure_detector import CubePickFailureDetector, Goal, Scene
from expo_ft_ros.tasks.expert import Gripper, OperatorCommand, OperatorView, Vector
from expo_ft_ros.tasks.scripted_expert import ScriptedOperator

if TYPE_CHECKING:
    from expo_ft_ros.tasks import TaskConfig

_FUNNEL = 0.012  # misplacement that allows going down [m]
_FUNNEL_LOST = 0.022  # misplacement that sends the tool up again [m]
_CLEAR = 0.035  # height above the cube's centre at which the open fingers pass over it [m]
_AT_CUBE = 0.006  # height error that allows closing [m]
_CLOSE_TICKS = 8
_DETOUR_TICKS = 10.0  # in which he turns from his first heading to the cube
_LIFT_TO = 0.20
_ANGULAR_GAIN, _ANGULAR_DEAD_ZONE = 2.0, 0.03  # [1/s], [rad]


class Phase(Enum):
    """Where the pick is."""

    REACH = auto()
    DESCEND = auto()
    CLOSE = auto()
    LIFT = auto()


@dataclass(frozen=True)
class Style:
    """How this person does it today. speed: of full scale; gain [1/s]; hover: height above the
    cube at which he aligns [m]; offset: where he thinks the cube is (2,) [m]; detour: how far
    beside it he first heads (2,) [m]; tremor: of full scale."""

    speed: float
    gain: float
    hover: float
    offset: Vector
    detour: Vector
    tremor: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Style:
        """Returns a person at random."""
        return cls(
            speed=rng.uniform(0.35, 0.5),
            gain=rng.uniform(1.6, 2.2),
            hover=rng.uniform(0.06, 0.09),
            offset=rng.normal(0.0, 0.002, 2).clip(-0.004, 0.004),
            detour=rng.normal(0.0, 0.03, 2).clip(-0.06, 0.06),
            tremor=rng.uniform(0.02, 0.06),
        )

    def brisk(self) -> Style:
        """The same person when he steps in: straight to the cube, and faster."""
        return replace(self, speed=1.5 * self.speed, gain=1.3 * self.gain, detour=np.zeros(2))


class CubePickOperator(ScriptedOperator[Scene, Goal, Style, Phase]):
    """See the module."""

    def __init__(
        self, task: TaskConfig, limits: RobotLimits, rng: np.random.Generator, rate: float = 1.0
    ) -> None:
        super().__init__(
            task,
            limits,
            rng,
            rate,
            failure_detector=CubePickFailureDetector,
            scene=Scene.of,
            style=Style.draw,
            first=Phase.REACH,
            salt=0x0BE7,
        )

    def _entry(self, scene: Scene) -> Phase:
        return Phase.LIFT if scene.held else Phase.REACH

    def _drive(self, scene: Scene, view: OperatorView, style: Style) -> OperatorCommand:
        self._advance(scene, style)
        cube = scene.cube
        target = np.array([*(cube[:2] + style.offset), cube[2]])
        if self._phase is Phase.REACH:
            target[2] = max(cube[2], 0.02) + style.hover
            target[:2] += style.detour * np.exp(-self._ticks / _DETOUR_TICKS)
            if scene.above < _CLEAR and scene.misplaced() > _FUNNEL_LOST:
                target[:2] = scene.tool[:2]  # up first: sideways would sweep the cube along
        elif self._phase is Phase.LIFT:
            target = np.array([*scene.tool[:2], _LIFT_TO])
        velocity = style.gain * (target - scene.tool) / self._limits.linear_velocity
        if self._phase is Phase.CLOSE:
            velocity *= 0.3
        size = float(np.linalg.norm(velocity))
        if size > style.speed:
            velocity *= style.speed / size
        quiet = self._phase is Phase.CLOSE
        linear = velocity + self._tremor() * (0.3 if quiet else 1.0)
        twist = np.concatenate([linear, self._upright(view.proprio.quaternion)])
        return OperatorCommand(np.clip(twist, -1.0, 1.0), self._gripper(), True)

    def _advance(self, scene: Scene, style: Style) -> None:
        """The transitions of the pick; one at most a tick."""
        self._ticks += 1
        off = scene.misplaced(style.offset)
        if self._phase is Phase.REACH:
            low_enough = scene.above < style.hover + 0.03
            if off < _FUNNEL and low_enough and scene.width > 0.065:
                self._enter(Phase.DESCEND)
        elif self._phase is Phase.DESCEND:
            if off > _FUNNEL_LOST:
                self._enter(Phase.REACH)
            elif abs(scene.above) < _AT_CUBE:
                self._enter(Phase.CLOSE)
        elif self._phase is Phase.CLOSE:
            if scene.held and self._ticks >= 4:
                self._enter(Phase.LIFT)
            elif self._ticks > _CLOSE_TICKS:
                self._enter(Phase.REACH)
        elif not scene.held and self._ticks > 2:
            self._enter(Phase.REACH)

    def _gripper(self) -> Gripper:
        return "close" if self._phase in (Phase.CLOSE, Phase.LIFT) else "open"

    def _upright(self, quaternion: Vector) -> Vector:
        """Angular part (3,) of full scale that turns the tool back to straight down."""
        turn = turn_to(quaternion, TOOL_DOWN)
        turn[np.abs(turn) < _ANGULAR_DEAD_ZONE] = 0.0
        wanted: Vector = _ANGULAR_GAIN * turn / self._limits.angular_velocity
        return wanted.clip(-0.5, 0.5)

"""When the person of Cube Pick takes over, and when he lets go again."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING

import numpy as np

from expo_ft_ros.tasks.expert import OperatorView, Vector
from expo_ft_ros.tasks.failure_detector import FailureDetector

if TYPE_CHECKING:
    from expo_ft_ros.tasks import TaskConfig

# Opening over a 4 cm cube, also one held askew [m].
_HELD_LOW, _HELD_HIGH = 0.034, 0.056
_NEAR = 0.025  # cube's centre to the tool while held [m]
_LOW = 0.05  # tool this little above the cube is at it [m]
_ALIGNED = 0.010
_MISALIGNED = 0.026
_LIFTED = 0.04
_FACE = 0.015  # this near a side of the workspace is leaving it [m]


class Goal(Enum):
    """What must be right before he lets go."""

    ALIGNED = auto()  # open, over the cube, on the way down
    HELD = auto()  # cube between the fingers and off the table
    DONE = auto()  # the episode's end: he no longer trusts the robot with it


@dataclass(frozen=True)
class Scene:
    """What the person makes of a view. tool, cube: (3,) [m]; width: opening [m]; step: of the
    episode."""

    tool: Vector
    cube: Vector
    width: float
    step: int

    @classmethod
    def of(cls, view: OperatorView) -> Scene:
        """Reads a view; raises ValueError if it has no cube."""
        if "cube" not in view.objects:
            raise ValueError(
                f"the cube_pick operator sees no object 'cube' (objects: {sorted(view.objects)}); "
                "run it with scene cube_pick"
            )
        cube = np.asarray(view.objects["cube"][0], dtype=np.float64)
        return cls(view.proprio.position, cube, view.proprio.gripper_width, view.step)

    @property
    def above(self) -> float:
        """Tool height above the cube's centre [m]."""
        return float(self.tool[2] - self.cube[2])

    def misplaced(self, offset: Vector | float = 0.0) -> float:
        """Horizontal distance of the tool from the cube plus offset [m]."""
        return float(np.linalg.norm(self.tool[:2] - self.cube[:2] - offset))

    @property
    def held(self) -> bool:
        """The cube is between closed fingers, by eye."""
        near = np.linalg.norm(self.tool - self.cube) < _NEAR
        return bool(near and _HELD_LOW < self.width < _HELD_HIGH)

    def remaining(self) -> float:
        """How far the episode still has to go [m]: less is progress."""
        if self.held:
            return -float(self.cube[2])
        closing = 0.5 * max(self.width - 0.04, 0.0) if self.above < _LOW else 0.0
        return float(np.linalg.norm(self.tool - self.cube)) + closing


class CubePickFailureDetector(FailureDetector[Scene, Goal]):
    """See FailureDetector."""

    def __init__(self, task: TaskConfig, rate: float) -> None:
        super().__init__(task, rate, late=0.5)

    def reset(self) -> None:
        """See FailureDetector."""
        super().reset()
        self._was_held = False

    def _goal(self, scene: Scene, urgency: int) -> Goal:
        self._was_held = False
        if self.sign == "dropped" or urgency > 2:
            return Goal.DONE
        at_cube = scene.misplaced() < _ALIGNED and scene.above < _LOW
        return Goal.HELD if urgency > 1 or at_cube or scene.held else Goal.ALIGNED

    def _reached(self, scene: Scene, goal: Goal) -> bool:
        held = scene.held and scene.cube[2] > _LIFTED
        aligned = (
            goal is Goal.ALIGNED
            and scene.width > 0.065
            and scene.misplaced() < _ALIGNED
            and scene.above < _LOW
        )
        return goal is not Goal.DONE and (held or aligned)

    def _signs(self, scene: Scene) -> dict[str, tuple[bool, int]]:
        """name -> (seen now, ticks that it may last at rate 1)."""
        low = scene.above < _LOW
        dropped = self._was_held and not scene.held
        self._was_held = self._was_held or (scene.held and scene.cube[2] > _LIFTED)
        return {
            "dropped": (dropped, 2),
            "empty": (not scene.held and scene.width < _HELD_HIGH and not low, 3),
            "missed": (scene.width < _HELD_LOW, 3),
            "misaligned": (low and not scene.held and scene.misplaced() > _MISALIGNED, 5),
            "leaving": (self._leaving(scene), 3),
            "no progress": (self._no_progress(scene), 10),
        }

    def _leaving(self, scene: Scene) -> bool:
        outside = self._beside(scene, _FACE) and scene.misplaced() > 0.03
        return outside or (self._too_high(scene, _FACE) and not scene.held)

"""When the person of Candy Scoop takes over, and when he lets go again."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING

import numpy as np

from expo_ft_ros.tasks.candy_scoop.scene import (
    BIN,
    BIN_HALF,
    BIN_HEIGHT,
    CANDY,
    ENOUGH,
    FLOOR,
    LEFT_OVER,
    LIP,
    SCOOP,
    TARGET,
    TARGET_HALF,
    TARGET_HEIGHT,
    in_bowl,
    in_container,
)
from expo_ft_ros.tasks.expert import OperatorView, Vector
from expo_ft_ros.tasks.failure_detector import FailureDetector

if TYPE_CHECKING:
    from expo_ft_ros.tasks import TaskConfig

_ABOVE = 0.02  # the lip this far above a wall's edge passes over it [m]
_LEVEL = 0.25  # of the tilt, from here on candies slide out [rad]
_DEEP = 0.001  # the lip nearer to the floor than this scrapes it [m]
_FACE = 0.012  # this near a side of the workspace is leaving it [m]


class Goal(Enum):
    """What must be right before he lets go."""

    IN_BIN = auto()  # the lip among the candies
    LOADED = auto()  # enough candies in the raised scoop
    DONE = auto()  # the episode's end: he no longer trusts the robot with it


@dataclass(frozen=True)
class Scene:
    """What the person makes of a view, in the base frame [m].

    tool, lip, bin, target: (3,); axes: (3, 3) of the scoop; held, poured: candies in the scoop and
    in the target; step: of the episode.
    """

    tool: Vector
    lip: Vector
    axes: Vector
    bin: Vector
    target: Vector
    held: int
    poured: int
    step: int

    @classmethod
    def of(cls, view: OperatorView) -> Scene:
        """Reads a view; raises ValueError if it lacks the scoop, a container or the candies."""
        missing = {SCOOP, BIN, TARGET, f"{CANDY}_0"} - set(view.objects)
        if missing:
            raise ValueError(
                f"the candy_scoop operator sees no {', '.join(sorted(missing))} (objects: "
                f"{sorted(view.objects)}); run it with scene candy_scoop"
            )
        places = {name: np.asarray(pose[0], float) for name, pose in view.objects.items()}
        candies = np.array([at for name, at in places.items() if name.startswith(CANDY)])
        axes = _rotation(np.asarray(view.objects[SCOOP][1], float))
        held = in_bowl(candies, places[SCOOP], axes)
        poured = in_container(candies, places[TARGET], TARGET_HALF, TARGET_HEIGHT) & ~held
        return cls(
            tool=places[SCOOP],
            lip=places[SCOOP] + axes @ LIP,
            axes=axes,
            bin=places[BIN],
            target=places[TARGET],
            held=int(held.sum()),
            poured=int(poured.sum()),
            step=view.step,
        )

    @property
    def tilt(self) -> float:
        """Of the bowl about the base's -x [rad]: 0 level, positive with its lip down."""
        return float(np.arctan2(-self.axes[2, 1], self.axes[1, 1]))

    def turn_to(self, tilt: float) -> Vector:
        """Rotation vector (3,) in base axes [rad] from the scoop as it is to one at that tilt."""
        cos, sin = np.cos(tilt), np.sin(tilt)
        wanted = np.array([[1.0, 0.0, 0.0], [0.0, cos, sin], [0.0, -sin, cos]])
        difference = wanted @ self.axes.T
        skew = difference - difference.T
        axis = 0.5 * np.array([skew[2, 1], skew[0, 2], skew[1, 0]])
        size = float(np.linalg.norm(axis))
        angle = float(np.arctan2(size, (np.trace(difference) - 1.0) / 2.0))
        turn: Vector = axis * (angle / size if size > 1e-9 else 1.0)
        return turn

    @property
    def loaded(self) -> bool:
        """Pouring what is in the scoop would do."""
        return self.held > LEFT_OVER and self.held + self.poured >= ENOUGH

    @property
    def in_bin(self) -> bool:
        """The lip is between the bin's walls and below their edges."""
        within = np.abs(self.lip - self.bin)[:2] < BIN_HALF
        return bool(within.all() and self.lip[2] < self.bin[2] + BIN_HEIGHT)

    @property
    def raised(self) -> bool:
        """The scoop can pass over the walls."""
        return bool(self.lip[2] > self.bin[2] + BIN_HEIGHT + _ABOVE)

    @property
    def over_target(self) -> bool:
        """What leaves the lip falls into the target."""
        return bool((np.abs(self.lip - self.target)[:2] < TARGET_HALF).all())

    def remaining(self) -> float:
        """How far the episode still has to go [m]: less is progress. A radian counts as 5 cm."""
        if self.poured >= ENOUGH:
            return -1.0 - 0.01 * self.poured + 0.01 * self.held
        if not self.loaded:
            depth = max(float(self.lip[2] - self.bin[2]) - 0.01, 0.0)
            beside = np.maximum(np.abs(self.lip - self.bin)[:2] - BIN_HALF, 0.0)
            return 1.0 + float(np.linalg.norm(beside)) + depth - 0.01 * self.held
        if self.over_target:
            return -0.05 * self.tilt
        beside = np.maximum(np.abs(self.lip - self.target)[:2] - TARGET_HALF, 0.0)
        return float(np.linalg.norm(beside)) + max(BIN_HEIGHT + _ABOVE - float(self.lip[2]), 0.0)


class CandyScoopFailureDetector(FailureDetector[Scene, Goal]):
    """See FailureDetector."""

    def __init__(self, task: TaskConfig, rate: float) -> None:
        super().__init__(task, rate, late=0.4)

    def reset(self) -> None:
        """See FailureDetector."""
        super().reset()
        self._dug = False

    def _goal(self, scene: Scene, urgency: int) -> Goal:
        self._dug = False
        if scene.loaded or urgency > 2:
            return Goal.DONE
        return Goal.LOADED if urgency > 1 or scene.in_bin else Goal.IN_BIN

    def _reached(self, scene: Scene, goal: Goal) -> bool:
        loaded = scene.loaded and scene.raised and abs(scene.tilt) < _LEVEL
        ready = goal is Goal.IN_BIN and scene.in_bin and not scene.held
        return goal is not Goal.DONE and (loaded or ready)

    def _forget(self) -> None:
        super()._forget()
        self._carried = False

    def _signs(self, scene: Scene) -> dict[str, tuple[bool, int]]:
        """name -> (seen now, ticks that it may last at rate 1)."""
        self._dug = self._dug or scene.in_bin
        loaded = scene.loaded
        unpoured = scene.poured < ENOUGH
        beside = loaded and unpoured and not scene.over_target
        sinks = self._carried and beside and not scene.raised
        self._carried = loaded and (self._carried or scene.raised)
        return {
            "pours beside": (beside and scene.raised and scene.tilt > _LEVEL, 2),
            "sinks": (sinks, 3),
            "empty": (self._dug and not loaded and unpoured and scene.raised, 3),
            "too deep": (scene.lip[2] < scene.bin[2] + FLOOR + _DEEP, 8),
            "too low": (self._about_to_hit(scene), 4),
            "leaving": (
                (self._beside(scene, _FACE) or self._too_high(scene, _FACE)) and unpoured,
                3,
            ),
            "no progress": (self._no_progress(scene), 15),
        }

    def _about_to_hit(self, scene: Scene) -> bool:
        """Below the walls' edges, and in neither container."""
        low = scene.lip[2] < scene.bin[2] + min(BIN_HEIGHT, TARGET_HEIGHT)
        return bool(low and not scene.in_bin and not scene.over_target)


def _rotation(quaternion: Vector) -> Vector:
    """(3, 3) matrix of a quaternion x, y, z, w."""
    x, y, z, w = quaternion
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )

"""How a scripted person watches: when he takes over, and when he lets go again.

A task's watch says what the signs of failure are and what must be right before he lets go.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from enum import Enum
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

import numpy as np

from expo_ft_ros.tasks.expert import Vector

if TYPE_CHECKING:
    from expo_ft_ros.tasks import TaskConfig

_PROGRESS = 0.01  # that counts as some [m]
_MIN_TAKEOVER = 4
_MAX_PATIENCE = 1e9


class Scene(Protocol):
    """What he makes of a view."""

    @property
    def step(self) -> int:
        """Of the episode."""

    @property
    def tool(self) -> Vector:
        """(3,) [m]"""

    def remaining(self) -> float:
        """How far the episode still has to go [m]: less is progress."""


S = TypeVar("S", bound=Scene)
G = TypeVar("G", bound=Enum)


class FailureDetector(ABC, Generic[S, G]):
    """Counts how long each sign of failure has lasted; patience shrinks as rate grows.

    late: share of the episode after which help goes further than it would before.
    """

    def __init__(self, task: TaskConfig, rate: float, late: float) -> None:
        self._low, self._high = np.array(task.workspace.low), np.array(task.workspace.high)
        self._late = late * task.max_steps
        self._patience = 1.0 / rate if rate > 0 else _MAX_PATIENCE
        self.reset()

    def reset(self) -> None:
        """Starts an episode."""
        self.sign = ""
        self._takeovers = 0
        self._forget()

    def look(self, scene: S) -> G | None:
        """Returns the goal of a takeover that is due now, or None; sign then names why."""
        for name, (seen, ticks) in self._signs(scene).items():
            self._counts[name] = self._counts.get(name, 0) + 1 if seen else 0
            if self._counts[name] >= ticks * self._patience:
                self.sign = name
                self._takeovers += 1
                self._ticks = 0
                # Help that wasn't enough is given once more, and further; so is late help.
                return self._goal(scene, self._takeovers + (scene.step > self._late))
        return None

    def mended(self, scene: S, goal: G) -> bool:
        """True when he lets go: the goal is reached and he has held on for a moment."""
        self._ticks += 1
        if self._ticks < _MIN_TAKEOVER or not self._reached(scene, goal):
            return False
        self._forget()
        return True

    @abstractmethod
    def _signs(self, scene: S) -> dict[str, tuple[bool, int]]:
        """name -> (seen now, ticks that it may last at rate 1); asked once a tick."""

    @abstractmethod
    def _goal(self, scene: S, urgency: int) -> G:
        """What he takes over for; urgency from 1."""

    @abstractmethod
    def _reached(self, scene: S, goal: G) -> bool:
        """Whether all that he took over for is right."""

    def _forget(self) -> None:
        """What was seen before he took over says nothing any more."""
        self._counts: dict[str, int] = {}
        self._ticks = 0
        self._best = np.inf

    def _no_progress(self, scene: S) -> bool:
        remaining = scene.remaining()
        if remaining < self._best - _PROGRESS:
            self._best = remaining
            return False
        return True

    def _beside(self, scene: S, margin: float) -> bool:
        """The tool is at a side of the workspace, or this near one [m]."""
        at, low, high = scene.tool[:2], self._low[:2] + margin, self._high[:2] - margin
        return bool(np.any(at < low) or np.any(at > high))

    def _too_high(self, scene: S, margin: float) -> bool:
        return bool(scene.tool[2] > self._high[2] - margin)

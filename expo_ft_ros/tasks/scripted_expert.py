"""What scripted people share: they demonstrate, or watch and mend what goes wrong."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

import numpy as np

from expo_ft_ros.robots import RobotLimits
from expo_ft_ros.tasks.expert import (
    IDLE,
    Mode,
    OperatorCommand,
    OperatorView,
    SmoothNoise,
)
from expo_ft_ros.tasks.failure_detector import FailureDetector, G, S

if TYPE_CHECKING:
    from expo_ft_ros.tasks import TaskConfig


class Style(Protocol):
    """How a person does it today."""

    @property
    def tremor(self) -> float:
        """Of his hand, of full scale."""

    def brisk(self: T) -> T:
        """The same person when he steps in."""


T = TypeVar("T", bound=Style)
P = TypeVar("P", bound=Enum)


class ScriptedOperator(ABC, Generic[S, G, T, P]):
    """Satisfies Operator. rate in [0, 1] scales how readily he takes over: 0 never does, 1 as soon
    as he is sure.

    A task's expert drives; the phase says where it is, and `_ticks` for how long.
    failure_detector: says when it takes over; scene: what it makes of a view; style: draws an
    operator's habits; first: phase in which an episode begins; salt: tells two tasks' experts of
    one seed apart. Raises ValueError for another rate.
    """

    def __init__(
        self,
        task: TaskConfig,
        limits: RobotLimits,
        rng: np.random.Generator,
        rate: float,
        *,
        failure_detector: Callable[[TaskConfig, float], FailureDetector[S, G]],
        scene: Callable[[OperatorView], S],
        style: Callable[[np.random.Generator], T],
        first: P,
        salt: int,
    ) -> None:
        if not 0.0 <= rate <= 1.0:
            raise ValueError(f"operator rate must lie in [0, 1], got {rate}")
        self._limits, self._rng = limits, rng
        self._failure_detector = failure_detector(task, rate)
        self._scene, self._draw_style = scene, style
        self._first, self._salt = first, salt
        self.reset()

    def reset(self, seed: int | None = None) -> None:
        """See Operator."""
        rng = self._rng if seed is None else np.random.default_rng([seed, self._salt])
        self._style = self._draw_style(rng)
        self._tremor = SmoothNoise(rng, self._style.tremor)
        self._enter(self._first)
        self._goal: G | None = None
        self._failure_detector.reset()

    def act(self, view: OperatorView) -> OperatorCommand:
        """See Operator."""
        scene = self._scene(view)
        if view.mode is Mode.DEMONSTRATE:
            return self._drive(scene, view, self._style)
        if self._goal is None:
            self._goal = self._failure_detector.look(scene)
            if self._goal is None:
                return IDLE
            self._enter(self._entry(scene))
        elif self._failure_detector.mended(scene, self._goal):
            self._goal = None
            return IDLE
        return self._drive(scene, view, self._style.brisk())

    def _enter(self, phase: P) -> None:
        self._phase, self._ticks = phase, 0

    @abstractmethod
    def _entry(self, scene: S) -> P:
        """Phase from which he goes on with what the robot has done so far."""

    @abstractmethod
    def _drive(self, scene: S, view: OperatorView, style: T) -> OperatorCommand:
        """One tick of his hand."""

"""What a scripted operator is: a stand-in for the person with the SpaceMouse."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from expo_ft_ros.data.types import ACTION_DIM, FloatArray, Proprio

Vector = NDArray[np.float64]
Gripper = Literal["open", "close"]


class Mode(StrEnum):
    """demonstrate: drives the whole episode; correct: only while it goes wrong."""

    DEMONSTRATE = "demonstrate"
    CORRECT = "correct"


@dataclass(frozen=True)
class OperatorView:
    """What the person sees. objects: name -> position (3,) [m], quaternion x, y, z, w (4,);
    step: control steps since the episode's start."""

    proprio: Proprio
    objects: Mapping[str, tuple[Vector, Vector]]
    step: int
    mode: Mode


@dataclass(frozen=True)
class OperatorCommand:
    """What the person's hand does. twist: (6,) linear then angular in base axes, each in [-1, 1]
    of the robot's limits; gripper: the latch he wants, None if he leaves it alone; active: hand
    on the device. An inactive command has a zero twist and no gripper."""

    twist: Vector = field(default_factory=lambda: np.zeros(6))
    gripper: Gripper | None = None
    active: bool = False

    def action(self) -> FloatArray:
        """(7,) float32 normalised action that this command means."""
        opening = {"open": 1.0, "close": -1.0, None: 0.0}[self.gripper]
        action = np.zeros(ACTION_DIM, dtype=np.float32)
        action[:6], action[6] = self.twist, opening
        return action


IDLE = OperatorCommand()


class Operator(Protocol):
    """Acts one tick late at best: his command reaches the robot on the tick after the view."""

    def reset(self, seed: int | None = None) -> None:
        """Starts an episode; the same seed gives the same person on the same day, None draws."""

    def act(self, view: OperatorView) -> OperatorCommand:
        """Returns what the hand does on seeing view."""


class RandomIntervention:
    """A person who corrects in a share of the episodes only, and else looks away; satisfies
    Operator.

    Where every failure is mended, nothing that is learned from shows one (docs/experiments.md).
    """

    def __init__(self, operator: Operator, rng: np.random.Generator, share: float) -> None:
        if not 0.0 <= share <= 1.0:
            raise ValueError(f"operator share must lie in [0, 1], got {share}")
        self._operator, self._rng, self._share = operator, rng, share
        self._helps = True

    def reset(self, seed: int | None = None) -> None:
        """See Operator."""
        self._operator.reset(seed)
        rng = self._rng if seed is None else np.random.default_rng([seed, 0x10FF])
        self._helps = bool(rng.random() < self._share)

    def act(self, view: OperatorView) -> OperatorCommand:
        """See Operator; a demonstration is always given."""
        if view.mode is Mode.CORRECT and not self._helps:
            return IDLE
        return self._operator.act(view)


class SmoothNoise:
    """First-order (Ornstein-Uhlenbeck) noise: a hand trembles slowly, not white."""

    def __init__(self, rng: np.random.Generator, sigma: float, keep: float = 0.8) -> None:
        self._rng, self._sigma, self._keep = rng, sigma, keep
        self._value = np.zeros(3)

    def __call__(self) -> Vector:
        """Returns the next value (3,), of standard deviation sigma in the long run."""
        fresh = self._rng.normal(0.0, self._sigma * np.sqrt(1 - self._keep**2), 3)
        self._value = self._keep * self._value + fresh
        return self._value

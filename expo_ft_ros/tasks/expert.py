# SPDX-License-Identifier: Apache-2.0
"""What an expert is: the scripted stand-in for the operator with the SpaceMouse."""

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
    """What the operator sees.

    Attributes:
        proprio: The robot.
        objects: Name -> position (3,) [m] and quaternion x, y, z, w (4,), base frame.
        step: Control steps since the episode's start.
        mode: What the operator is there for.
    """

    proprio: Proprio
    objects: Mapping[str, tuple[Vector, Vector]]
    step: int
    mode: Mode


@dataclass(frozen=True)
class OperatorCommand:
    """What the operator does with the device. An inactive command has no twist and no gripper.

    Attributes:
        twist: (6,) linear then angular in base axes, each in [-1, 1] of the robot's limits.
        gripper: Where the gripper should go; None leaves it alone.
        active: Whether a hand is on the device.
    """

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


class Expert(Protocol):
    """Acts one tick late at best: a command reaches the robot on the tick after the view."""

    def reset(self, seed: int | None = None) -> None:
        """Starts an episode; the same seed gives the same habits, None draws new ones."""

    def act(self, view: OperatorView) -> OperatorCommand:
        """The command on seeing the view."""


class RandomIntervention:
    """An expert that corrects in a share of the episodes only; satisfies Expert.

    Where every failure is mended, nothing that is learned from shows one (docs/experiments.md).

    Args:
        expert: The one that corrects.
        rng: Draws the episodes where none is seeded.
        share: Of the episodes that are corrected, in [0, 1].

    Raises:
        ValueError: for another share.
    """

    def __init__(self, expert: Expert, rng: np.random.Generator, share: float) -> None:
        if not 0.0 <= share <= 1.0:
            raise ValueError(f"operator share must lie in [0, 1], got {share}")
        self._expert, self._rng, self._share = expert, rng, share
        self._helps = True

    def reset(self, seed: int | None = None) -> None:
        """See Expert."""
        self._expert.reset(seed)
        rng = self._rng if seed is None else np.random.default_rng([seed, 0x10FF])
        self._helps = bool(rng.random() < self._share)

    def act(self, view: OperatorView) -> OperatorCommand:
        """See Expert; a demonstration is always given."""
        if view.mode is Mode.CORRECT and not self._helps:
            return IDLE
        return self._expert.act(view)

# SPDX-License-Identifier: Apache-2.0
"""How operators differ: habits that an expert draws for an episode, and the tremor of a hand."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from expo_ft_ros.tasks.expert import Vector


@dataclass(frozen=True)
class Habits(ABC):
    """The habits of one operator on one day.

    A task's are fields made by `uniform` and `normal`; each has speed and tremor, of full scale,
    and gain, velocity for each deviation [1/s].
    """

    if TYPE_CHECKING:
        speed: float
        gain: float
        tremor: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Self:
        """Habits at random, in the order of the fields."""
        return cls(**{each.name: each.metadata["draw"](rng) for each in fields(cls)})

    @abstractmethod
    def brisk(self) -> Self:
        """The same operator while correcting: faster, and straight there."""


def uniform(low: float, high: float) -> Any:
    """A habit between two numbers."""
    return field(metadata={"draw": lambda rng: rng.uniform(low, high)})


def normal(sigma: float, most: float) -> Any:
    """A habit (2,) about zero, of standard deviation sigma and not beyond `most`."""
    return field(metadata={"draw": lambda rng: rng.normal(0.0, sigma, 2).clip(-most, most)})


class SmoothNoise:
    """First-order (Ornstein-Uhlenbeck) noise (3,): a hand trembles slowly, not white."""

    def __init__(self, rng: np.random.Generator, sigma: float, keep: float = 0.8) -> None:
        self._rng, self._sigma, self._keep = rng, sigma, keep
        self._value = np.zeros(3)

    def __call__(self) -> Vector:
        """The next value (3,), of standard deviation sigma in the long run."""
        fresh = self._rng.normal(0.0, self._sigma * np.sqrt(1 - self._keep**2), 3)
        self._value = self._keep * self._value + fresh
        return self._value

# SPDX-License-Identifier: Apache-2.0
"""What came of trials, and two policies on the same scenes, pair by pair (McNemar's exact test)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Trials:
    """What came of trials, in the order of their scenes.

    success: by the classifier; truth: by the simulation's ground truth; steps: until the end.
    """

    success: tuple[bool, ...]
    truth: tuple[bool, ...]
    steps: tuple[int, ...]

    def returns(self, gamma: float) -> np.ndarray[Any, np.dtype[np.float64]]:
        """(n,) discounted to the start; 0 where there was no success."""
        discounted = np.power(gamma, np.array(self.steps) - 1.0)
        return np.where(self.success, discounted, 0.0)

    def first(self, count: int) -> Trials:
        """Those of the first scenes."""
        return Trials(self.success[:count], self.truth[:count], self.steps[:count])

    def then(self, more: Trials) -> Trials:
        """These, and those of the scenes after them."""
        return Trials(self.success + more.success, self.truth + more.truth, self.steps + more.steps)

    def as_json(self) -> dict[str, Any]:
        """Short: a digit a trial."""
        return {
            "success": "".join(str(int(good)) for good in self.success),
            "truth": "".join(str(int(good)) for good in self.truth),
            "steps": list(self.steps),
        }

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> Trials:
        """What `as_json` gave."""
        return cls(
            tuple(digit == "1" for digit in saved["success"]),
            tuple(digit == "1" for digit in saved["truth"]),
            tuple(int(count) for count in saved["steps"]),
        )


@dataclass(frozen=True)
class Pair:
    """Two policies on the same scenes. better, worse: scenes that only the first, only the second
    succeeded on; p: two-sided, of no difference; gain: mean difference of discounted return."""

    better: int
    worse: int
    p: float
    gain: float


def mcnemar(better: int, worse: int) -> float:
    """The exact two-sided p of so many discordant pairs under no difference (McNemar 1947): a
    binomial of one half.

    Raises:
        ValueError: for negative numbers.
    """
    if better < 0 or worse < 0:
        raise ValueError(f"{better} and {worse} are no numbers of pairs")
    pairs = better + worse
    tail = sum(math.comb(pairs, count) for count in range(min(better, worse) + 1))
    return min(1.0, float(2 * tail / 2**pairs))


def compare(first: Trials, second: Trials, gamma: float) -> Pair:
    """Pair by pair.

    Raises:
        ValueError: for other numbers of trials.
    """
    if len(first.success) != len(second.success):
        raise ValueError(f"{len(first.success)} and {len(second.success)} trials are no pairs")
    pairs = list(zip(first.success, second.success, strict=True))
    better = sum(one and not other for one, other in pairs)
    worse = sum(other and not one for one, other in pairs)
    gain = float(np.mean(first.returns(gamma) - second.returns(gamma)))
    return Pair(better, worse, mcnemar(better, worse), gain)

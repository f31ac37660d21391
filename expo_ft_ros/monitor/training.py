# SPDX-License-Identifier: Apache-2.0
"""How a training goes, over robot time, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def _none() -> Floats:
    return np.zeros(0)


@dataclass(frozen=True)
class Training:
    """The n online episodes that were counted so far. Each mean is of the last 20.

    Attributes:
        minutes: (n,) online robot time at the end of each [min].
        success: (n,) mean success, with help or without.
        alone: (n,) as success, where an episode that was helped in counts as none.
        human: (n,) share of the steps that a human drove.
        seconds: (n,) how long each was [s].
        mean_seconds: (n,) mean of that [s].
        evaluations: Stage, eval_before or eval_after -> (successes, trials) so far.
    """

    minutes: Floats = field(default_factory=_none)
    success: Floats = field(default_factory=_none)
    alone: Floats = field(default_factory=_none)
    human: Floats = field(default_factory=_none)
    seconds: Floats = field(default_factory=_none)
    mean_seconds: Floats = field(default_factory=_none)
    evaluations: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def shares(self) -> Floats:
        """(m, 5) minutes, success, alone, human and success of an evaluation, NaN where there is
        none: before the first episode, and after the last."""
        count = len(self.minutes)
        table = np.full((count + 1, 5), np.nan)
        table[0, 0] = 0.0
        for column, values in enumerate((self.minutes, self.success, self.alone, self.human)):
            table[1:, column] = values
        for place, stage in ((0, "eval_before"), (-1, "eval_after")):
            if stage in self.evaluations:
                won, trials = self.evaluations[stage]
                table[place, 4] = won / trials
        known: Floats = table[np.isfinite(table[:, 1:]).any(axis=1)]
        return known

    @property
    def times(self) -> Floats:
        """(n, 3) minutes, mean time of an episode, time of each [s]."""
        return np.stack([self.minutes, self.mean_seconds, self.seconds], axis=1)

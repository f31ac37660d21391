# SPDX-License-Identifier: Apache-2.0
"""Moving windows over a stage's episodes, as in the paper's figures 4 and 5."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from expo_ft_ros.experiment.progress import wilson
from expo_ft_ros.report.run_data import EpisodeLine, RunData

WINDOW = 20
"""Episodes in a window; fewer at a stage's start."""

Episodes = Sequence[EpisodeLine]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Curve:
    """A value after each of n episodes, and the band it lies in: (n,) each."""

    value: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True)
class Span:
    """The episodes of one stage that follow on each other. begin: robot time before them [min];
    minutes: (n,) robot time at the end of each [min]."""

    stage: str
    episodes: tuple[EpisodeLine, ...]
    begin: float
    minutes: Floats

    @property
    def end(self) -> float:
        """Robot time after them [min]."""
        return float(self.minutes[-1])


def spans(run: RunData) -> list[Span]:
    """The stages of a run in which the robot moved, in order; discarded episodes take no time."""
    found: list[Span] = []
    groups: list[list[EpisodeLine]] = []
    for line in run.counted:
        if not groups or groups[-1][0].stage != line.stage:
            groups.append([])
        groups[-1].append(line)
    begin = 0.0
    for group in groups:
        steps = np.array([line.steps for line in group], dtype=np.float64)
        minutes = begin + np.cumsum(steps) / run.control_hz / 60
        found.append(Span(group[0].stage, tuple(group), begin, minutes))
        begin = float(minutes[-1])
    return found


def succeeded(line: EpisodeLine) -> bool:
    """With or without help."""
    return line.success


def succeeded_alone(line: EpisodeLine) -> bool:
    """Without any step by a human."""
    return line.success and line.human_steps == 0


def success(
    episodes: Episodes, counts: Callable[[EpisodeLine], bool] = succeeded, size: int = WINDOW
) -> Curve:
    """Share of the window's episodes that count as successes, with its 95% Wilson interval."""
    rows = []
    for window in _windows(episodes, size):
        won = sum(counts(line) for line in window)
        rows.append((won / len(window), *wilson(won, len(window))))
    return _curve(rows)


def intervention(episodes: Episodes, size: int = WINDOW) -> Curve:
    """Share of the window's steps that a human drove; the band: quartiles of its episodes."""
    rows = []
    for window in _windows(episodes, size):
        steps = max(1, sum(line.steps for line in window))
        shares = [line.human_steps / max(1, line.steps) for line in window]
        share = sum(line.human_steps for line in window) / steps
        rows.append((share, *np.percentile(shares, (25, 75))))
    return _curve(rows)


def duration(episodes: Episodes, control_hz: float, size: int = WINDOW) -> Curve:
    """Mean robot time of the window's episodes [s]; the band: their quartiles."""
    rows = []
    for window in _windows(episodes, size):
        seconds = [line.steps / control_hz for line in window]
        rows.append((float(np.mean(seconds)), *np.percentile(seconds, (25, 75))))
    return _curve(rows)


def moving_mean(values: Sequence[float], size: int = WINDOW) -> Floats:
    """(n,) mean of the last `size` values at each place."""
    ends = range(1, len(values) + 1)
    return np.array([np.mean(values[max(0, end - size) : end]) for end in ends], dtype=np.float64)


def _windows(episodes: Episodes, size: int) -> list[Episodes]:
    return [episodes[max(0, end - size) : end] for end in range(1, len(episodes) + 1)]


def _curve(rows: Sequence[Sequence[float]]) -> Curve:
    table = np.array(rows, dtype=np.float64).reshape(-1, 3)
    return Curve(table[:, 0], table[:, 1], table[:, 2])

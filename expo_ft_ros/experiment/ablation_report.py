# SPDX-License-Identifier: Apache-2.0
"""What an ablation says: success and discounted return, and paired tests of them.

Trials of one scene are pairs, within a seed (McNemar's exact test). Between algorithms the seed is
the unit: how many seeds one is above the other on, and the mean over seeds.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from expo_ft_ros.experiment.ablation import Cell, Study, read_cell, trials_of
from expo_ft_ros.experiment.trials import Trials

Row = tuple[str, int, int, Trials]
"""Arm and way, mark, seed, trials."""


@dataclass(frozen=True)
class Pair:
    """Two ways on the same scenes. better, worse: scenes that only the first, only the second
    succeeded on; p: two-sided, of no difference; gain: mean difference of discounted return."""

    better: int
    worse: int
    p: float
    gain: float


def mcnemar(better: int, worse: int) -> float:
    """The exact two-sided p of so many discordant pairs under no difference (McNemar 1947):
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


def as_text(study: Study) -> str:
    """The tables of what there is by now."""
    parts = [_table(study, share) for share in study.options.shares]
    return "\n\n".join(parts)


def _table(study: Study, share: float) -> str:
    seeds, last, gamma = study.options.seed_numbers, study.last, study.config("full").gamma
    rows = list(_rows(study, share))
    head = "nobody helps" if share == 0 else f"the operator helps in {share:.0%} of the episodes"
    lines = [
        f"{study.task.name}, {head}: successes of {len(study.scenes)} (discounted return)",
        "| arm, way | steps | " + " | ".join(f"seed {seed}" for seed in seeds) + " | mean |",
        "|---" * (len(seeds) + 3) + "|",
    ]
    found = {(name, mark, seed): trials for name, mark, seed, trials in rows}
    for name, mark in dict.fromkeys((name, mark) for name, mark, _, _ in rows):
        of_seeds = [found.get((name, mark, seed)) for seed in seeds]
        cells = [_cell(trials, gamma) for trials in of_seeds]
        whole = [trials for trials in of_seeds if trials is not None]
        rate = np.mean([np.mean(trials.success) for trials in whole])
        gained = np.mean([np.mean(trials.returns(gamma)) for trials in whole])
        mean = f"{rate:.1%} ({gained:.3f}), {len(whole)} seeds"
        lines.append(f"| {name} | {mark} | " + " | ".join([*cells, mean]) + " |")
    pairs = [("full, agent", name, last) for name in ("imitation, agent", "choice, agent")]
    pairs += [("random, agent", "imitation, agent", last)]
    for mark in study.marks:
        pairs += [("full, agent", f"full, {way}", mark) for way in ("vla", "choice", "random")]
    lines += ["", "First against second, by scene: only first : only second (p; gain of return)"]
    for one, other, mark in pairs:
        compared = {
            seed: compare(found[one, mark, seed], found[other, mark, seed], gamma)
            for seed in seeds
            if (one, mark, seed) in found and (other, mark, seed) in found
        }
        if compared:
            above = sum(pair.gain > 0 for pair in compared.values())
            told = "; ".join(
                f"seed {seed} {pair.better}:{pair.worse} (p {pair.p:.2g}; {pair.gain:+.3f})"
                for seed, pair in compared.items()
            )
            lines.append(f"{one} against {other} at {mark}: {told}; above on {above}")
    return "\n".join(lines)


def _rows(study: Study, share: float) -> Iterator[Row]:
    for seed in study.options.seed_numbers:
        yield from _of(study, Cell("start", 0.0, seed), [0])
    for cell in study.cells:
        if cell.share == share:
            yield from _of(study, cell, study.marks)


def _of(study: Study, cell: Cell, marks: list[int]) -> Iterator[Row]:
    content: Mapping[str, Any] = read_cell(study, cell)
    for mark in marks:
        for way in cell.ways:
            trials = trials_of(content, mark, way)
            if trials is not None:
                yield f"{cell.arm}, {way}", mark, cell.seed, trials


def _cell(trials: Trials | None, gamma: float) -> str:
    if trials is None:
        return "-"
    return f"{sum(trials.success)} ({float(np.mean(trials.returns(gamma))):.3f})"

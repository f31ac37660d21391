# SPDX-License-Identifier: Apache-2.0
"""Does the critic's choice help? Statistics of branches; docs/diagnostics.md says how to read them.

Everything is computed within a state first and then averaged over states, whose standard error is
given: candidates of one state are no independent samples. Nor are states of one episode, so errors
are clustered by episode.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from expo_ft_ros.experiment.branches import Branches, Flags, Integers

Values = NDArray[np.float64]

AGENT, ALL = "agent", "all"
_BASE = "base"
_RESAMPLES = 400
_BAR = "-"


@dataclass(frozen=True)
class Estimate:
    """A mean over states. error: its standard error, clustered by episode; states: how many it is
    of."""

    mean: float
    error: float
    states: int

    def __str__(self) -> str:
        if np.isnan(self.mean):
            return _BAR
        shown = f"{self.mean:.2f}"
        return shown if np.isnan(self.error) else f"{shown}±{self.error:.2f}"


@dataclass(frozen=True)
class Outcomes:
    """What would come of choosing in one way or another, of success or of discounted return.

    random: any candidate; best: the one that did best in one half of the continuations, by the
    other half; by_q: the one that the critic values most; gain: by_q minus random, state by state;
    room: best minus random; over_base: by_q minus the mean of the state's base chunks, for sets
    that hold some; variance: of what a state's candidates are worth, see `variance_between`.
    """

    random: Estimate
    best: Estimate
    by_q: Estimate
    gain: Estimate
    room: Estimate
    over_base: Estimate
    variance: Estimate

    @property
    def deviation(self) -> str:
        """The standard deviation among a state's candidates, and between which two it lies, two
        standard errors of the variance away."""
        variance, error = self.variance.mean, self.variance.error
        if np.isnan(variance):
            return _BAR
        shown = f"{_root(variance):.2f}"
        if np.isnan(error):
            return shown
        return f"{shown} ({_root(variance - 2 * error):.2f}-{_root(variance + 2 * error):.2f})"


@dataclass(frozen=True)
class SetReport:
    """One set of candidates.

    within: rank correlation of Q with return among a state's candidates, mean over the states
    where both differ; between: of the greatest Q with the mean return, over states; spread:
    standard deviation of Q among a state's candidates.
    """

    candidates: float
    success: Outcomes
    returns: Outcomes
    within: Estimate
    between: Estimate
    spread: Estimate


def sets_of(branches: Branches) -> dict[str, Flags]:
    """Name -> which chunks (R,) belong to a set: each kind, the base chunks with each other kind,
    what the agent chooses from where it is another set than these, and all."""
    kinds = list(dict.fromkeys(map(str, branches.kind)))
    sets = {kind: branches.kind == kind for kind in kinds}
    if _BASE in kinds:
        others = [kind for kind in kinds if kind != _BASE]
        sets |= {f"{_BASE}+{kind}": sets[_BASE] | sets[kind] for kind in others}
    sets |= {AGENT: branches.proposed, ALL: np.ones(len(branches.at), dtype=np.bool_)}
    found: dict[str, Flags] = {}
    for name, rows in sets.items():
        if rows.any() and not any(np.array_equal(rows, known) for known in found.values()):
            found[name] = rows
    return found


def phases_of(branches: Branches) -> dict[str, Flags]:
    """Name -> which states (S,) lie in a part of their episode."""
    third = np.minimum(3 * branches.step // np.maximum(branches.length, 1), 2)
    return {
        "overall": np.ones(len(branches), dtype=np.bool_),
        "first third": third == 0,
        "second third": third == 1,
        "last third": third == 2,
        "before the gripper first closes": ~branches.closed,
        "after it": branches.closed,
    }


def report(branches: Branches, gamma: float) -> dict[str, dict[str, SetReport]]:
    """Phase -> set of candidates -> what is found; phases without states are left out."""
    found: dict[str, dict[str, SetReport]] = {}
    for phase, states in phases_of(branches).items():
        of_phase = {
            name: report_of(branches, rows & states[branches.at], gamma)
            for name, rows in sets_of(branches).items()
            if (rows & states[branches.at]).any()
        }
        if of_phase:
            found[phase] = of_phase
    return found


def report_of(branches: Branches, rows: Flags, gamma: float) -> SetReport:
    """What is found of some of the chunks (R,)."""
    returns, success = branches.returns(gamma), branches.success.astype(np.float64)
    groups = _of_states(branches, rows)
    q, base = branches.q.astype(np.float64), branches.kind == _BASE
    highest = np.array([q[group].max() for group in groups])
    mean = np.array([returns[group].mean() for group in groups])
    scenes = branches.scene[[branches.at[group[0]] for group in groups]]
    within = [rank_correlation(q[g], returns[g].mean(axis=1)) for g in groups]
    return SetReport(
        candidates=float(np.mean([len(group) for group in groups])),
        success=_outcomes([_State(q[g], success[g], returns[g], base[g]) for g in groups], scenes),
        returns=_outcomes([_State(q[g], returns[g], returns[g], base[g]) for g in groups], scenes),
        within=estimate(within, scenes),
        between=_resampled(rank_correlation, highest, mean, scenes),
        spread=estimate([float(np.std(q[group])) for group in groups], scenes),
    )


def _of_states(branches: Branches, rows: Flags) -> list[NDArray[np.intp]]:
    """The places of those rows, state by state."""
    places = np.flatnonzero(rows)
    places = places[np.argsort(branches.at[places], kind="stable")]
    return np.split(places, np.flatnonzero(np.diff(branches.at[places])) + 1)


def chosen_by_agent(branches: Branches, gamma: float) -> dict[str, Estimate]:
    """Success and return of what the agent chose itself, by the rule that it acts by."""
    rows = branches.chosen
    scenes = branches.scene[branches.at[rows]]
    returns = branches.returns(gamma)[rows].mean(axis=1)
    return {
        "success": estimate(branches.success[rows].mean(axis=1), scenes),
        "return": estimate(returns, scenes),
    }


@dataclass(frozen=True)
class _State:
    """Candidates of a state: (K,) Q, (K, N) values to be reported, (K, N) to choose the best by,
    and (K,) which are base chunks."""

    q: Values
    values: Values
    judged: Values
    base: Flags


def _outcomes(states: Sequence[_State], scenes: Integers) -> Outcomes:
    random = np.array([state.values.mean() for state in states])
    best = np.array([best_by_halves(state.values, state.judged) for state in states])
    by_q = np.array([of_greatest(state.q, state.values.mean(axis=1)) for state in states])
    base = np.array(
        [state.values[state.base].mean() if state.base.any() else np.nan for state in states]
    )
    variance = [variance_between(state.values) for state in states]
    found = (random, best, by_q, by_q - random, best - random, by_q - base, variance)
    return Outcomes(*(estimate(values, scenes) for values in found))


def variance_between(values: Values) -> float:
    """Variance of what K candidates are worth, without that of their continuations: the covariance
    over candidates of the means of two halves of (K, N), whose noises are independent. Unbiased,
    so also below 0 by chance. NaN for a single candidate or continuation.
    """
    count, continuations = values.shape
    if count < 2 or continuations < 2:
        return float("nan")
    first, second = (values[:, half].mean(axis=1) for half in _halves(continuations))
    return float((first - first.mean()) @ (second - second.mean()) / (count - 1))


def _halves(continuations: int) -> tuple[slice, slice]:
    """Of an odd number the second has one more."""
    half = continuations // 2
    return slice(0, half), slice(half, continuations)


def _root(variance: float) -> float:
    return float(np.sqrt(max(variance, 0.0)))


def best_by_halves(values: Values, judged: Values) -> float:
    """What the best of K candidates is worth without a winner's curse: chosen by half of the
    continuations, valued by the others, both ways, averaged. NaN for a single continuation.

    Args:
        values: (K, N) to be averaged.
        judged: (K, N) to choose by.
    """
    if values.shape[1] < 2:
        return float("nan")
    first, second = _halves(values.shape[1])
    return 0.5 * sum(
        of_greatest(judged[:, chosen].mean(axis=1), values[:, scored].mean(axis=1))
        for chosen, scored in ((first, second), (second, first))
    )


def of_greatest(scores: Values, values: Values) -> float:
    """The value of the candidate with the greatest score, the mean over those that share it; NaN
    where scores are."""
    if np.isnan(scores).any():
        return float("nan")
    return float(values[scores == scores.max()].mean())


def rank_correlation(a: Values, b: Values) -> float:
    """Spearman's: Pearson's of ranks, of which ties have the mean. NaN where one doesn't vary."""
    if len(a) < 2 or np.isnan(a).any() or np.isnan(b).any():
        return float("nan")
    x, y = ranks(a), ranks(b)
    x, y = x - x.mean(), y - y.mean()
    size = float(np.sqrt((x @ x) * (y @ y)))
    return float(x @ y) / size if size > 0 else float("nan")


def ranks(values: Values) -> Values:
    """(n,) ranks from 0, of equal values their mean."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(count) - 1
    of_value: Values = last - (count - 1) / 2
    return of_value[place]


def estimate(values: Sequence[float] | Values, scenes: Integers) -> Estimate:
    """Mean and standard error of one number a state; NaN ones are left out.

    Args:
        values: (S,).
        scenes: (S,) which episode each is of: errors within one may go together (clustered, with
            the usual factor for few clusters; where each has its own it is that of a mean).
    """
    every = np.asarray(values, dtype=np.float64)
    there = ~np.isnan(every)
    known, of = every[there], np.unique(scenes[there], return_inverse=True)[1]
    if len(known) == 0:
        return Estimate(float("nan"), float("nan"), 0)
    mean = float(known.mean())
    together = np.bincount(of, weights=known - mean)
    count = len(together)
    if count == 1:
        return Estimate(mean, float("nan"), len(known))
    error = np.sqrt(count / (count - 1) * (together @ together)) / len(known)
    return Estimate(mean, float(error), len(known))


def _resampled(
    statistic: Callable[[Values, Values], float], a: Values, b: Values, scenes: Integers
) -> Estimate:
    """A statistic of pairs, with its standard error by bootstrap over their episodes."""
    value = statistic(a, b)
    if np.isnan(value):
        return Estimate(value, float("nan"), 0)
    episodes = [np.flatnonzero(scenes == scene) for scene in np.unique(scenes)]
    if len(episodes) == 1:
        return Estimate(value, float("nan"), len(a))
    rng, found = np.random.default_rng(0), []
    for _ in range(_RESAMPLES):
        drawn = rng.integers(len(episodes), size=len(episodes))
        places = np.concatenate([episodes[place] for place in drawn])
        found.append(statistic(a[places], b[places]))
    return Estimate(value, float(np.nanstd(found)), len(a))


def as_json(found: Any) -> Any:
    """Reports and estimates as JSON has them; what isn't known is null."""
    if isinstance(found, SetReport | Estimate):
        return as_json(asdict(found))
    if isinstance(found, Mapping):
        return {name: as_json(part) for name, part in found.items()}
    if isinstance(found, float):
        return None if np.isnan(found) else round(found, 4)
    return found


_COLUMNS: tuple[tuple[str, Callable[[SetReport], object]], ...] = (
    ("states", lambda r: r.success.random.states),
    ("chunks", lambda r: f"{r.candidates:.0f}"),
    ("random", lambda r: r.success.random),
    ("best", lambda r: r.success.best),
    ("by Q", lambda r: r.success.by_q),
    ("over base", lambda r: r.success.over_base),
    ("differ", lambda r: r.success.deviation),
    ("return: random", lambda r: r.returns.random),
    ("best", lambda r: r.returns.best),
    ("by Q", lambda r: r.returns.by_q),
    ("over base", lambda r: r.returns.over_base),
    ("gain by Q", lambda r: r.returns.gain),
    ("rank within", lambda r: r.within),
    ("between", lambda r: r.between),
    ("spread", lambda r: r.spread if np.isnan(r.spread.mean) else f"{r.spread.mean:.3f}"),
)


def as_text(reports: Mapping[str, Mapping[str, SetReport]]) -> str:
    """A table for each phase; success first, then return, then what Q knows."""
    lines = []
    for phase, sets in reports.items():
        rows = [["set", *(title for title, _ in _COLUMNS)]]
        rows += [
            [name, *(str(show(found)) for _, show in _COLUMNS)] for name, found in sets.items()
        ]
        widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
        lines += ["", phase]
        for row in rows:
            lines.append(
                "  ".join(
                    cell.ljust(width) for cell, width in zip(row, widths, strict=True)
                ).rstrip()
            )
    return "\n".join(lines[1:])

# SPDX-License-Identifier: Apache-2.0
"""Success, intervention and episode time over robot time, as in the paper's figures 4 and 5."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from expo_ft_ros.experiment.progress import wilson
from expo_ft_ros.report import windows
from expo_ft_ros.report.drawing import (
    BLUE,
    DASHES,
    GREEN,
    GREY,
    HUMAN,
    PALETTE,
    PURPLE,
    new_figure,
    share_axis,
    styled,
)
from expo_ft_ros.report.run_data import EVALUATIONS, RunData
from expo_ft_ros.report.windows import WINDOW, Curve, Floats, Span

TITLES = {
    "collect": "demonstrations",
    "rl": "RL online",
    **dict.fromkeys(EVALUATIONS, "evaluation"),
}
_LETTER = 0.0115  # width of one, as a part of the panel's


@styled
def training_curves(run: RunData) -> Figure:
    """Three panels over the robot time of all stages. The run has a counted episode."""
    figure = new_figure(6.6)
    success, human, time = figure.subplots(3, 1, sharex=True, height_ratios=(1.35, 1, 1))
    parts = windows.spans(run)
    for span in parts:
        _success(success, run, span)
        _band(human, span.minutes, windows.intervention(span.episodes), HUMAN)
        shares = [line.human_steps / max(1, line.steps) for line in span.episodes]
        human.scatter(span.minutes, shares, s=7, color=HUMAN, alpha=0.45, linewidths=0)
        _band(time, span.minutes, windows.duration(span.episodes, run.control_hz), PURPLE)
        seconds = [line.steps / run.control_hz for line in span.episodes]
        time.scatter(span.minutes, seconds, s=7, color=PURPLE, alpha=0.45, linewidths=0)
    share_axis(success, "success")
    share_axis(human, "steps by a human")
    time.set(ylabel="episode time [s]", xlabel="robot time [min]", ylim=(0, None))
    time.set_xlim(-0.01 * parts[-1].end, 1.01 * parts[-1].end)
    for axes in (success, human, time):
        _stages(axes, parts)
    _name_stages(success, parts)
    _online_steps(success, run, parts)
    _success_legend(success)
    return figure


@styled
def compared_curves(runs: Sequence[RunData], names: Sequence[str]) -> Figure:
    """Three panels over online robot time, a line a run; evaluations at their ends."""
    figure = new_figure(7.0)
    success, human, time = figure.subplots(3, 1, sharex=True, height_ratios=(1.35, 1, 1))
    longest = max((online_minutes(run)[-1] for run in runs if run.online), default=1.0)
    handles = []
    for number, (run, name) in enumerate(zip(runs, names, strict=True)):
        colour = PALETTE[number % len(PALETTE)]
        dashes = DASHES[number // len(PALETTE) % len(DASHES)]
        handles.append(Line2D([], [], color=colour, linestyle=dashes, label=name))
        minutes = online_minutes(run)
        if run.online:
            _band(success, minutes, windows.success(run.online), colour, dashes)
            _band(human, minutes, windows.intervention(run.online), colour, dashes, alpha=0.08)
            seconds = windows.duration(run.online, run.control_hz)
            _band(time, minutes, seconds, colour, dashes, alpha=0.08)
        # Beside each other, where intervals would cover one another.
        aside = 0.012 * longest * (number + 1)
        ends = {"eval_before": -aside, "eval_after": (minutes[-1] if run.online else 0) + aside}
        for stage, place in ends.items():
            if stage in run.evaluations:
                _evaluation(success, place, *run.evaluations[stage], colour)
    share_axis(success, f"success, last {WINDOW}")
    share_axis(human, f"steps by a human,\nlast {WINDOW}")
    time.set(ylabel=f"episode time [s],\nlast {WINDOW}", xlabel="online robot time [min]")
    time.set_ylim(0, None)
    figure.legend(handles=handles, loc="outside upper left", ncols=1)
    return figure


def online_minutes(run: RunData) -> Floats:
    """(n,) online robot time at the end of each counted episode of the stage rl [min]."""
    steps = [line.online_steps for line in run.online]
    return np.array(steps, dtype=np.float64) / run.control_hz / 60


def _success(axes: Axes, run: RunData, span: Span) -> None:
    for wanted, filled in ((True, True), (False, False)):
        at = [
            (minute, line.success)
            for minute, line in zip(span.minutes, span.episodes, strict=True)
            if (line.human_steps == 0) is wanted
        ]
        if at:
            minutes, won = zip(*at, strict=True)
            face = BLUE if filled else "none"
            axes.scatter(minutes, won, s=9, facecolors=face, edgecolors=BLUE, alpha=0.5, lw=0.7)
    if span.stage in run.evaluations:
        middle = (span.begin + span.end) / 2
        _evaluation(axes, middle, *run.evaluations[span.stage], GREEN, words=True)
        return
    _band(axes, span.minutes, windows.success(span.episodes), BLUE)
    if span.stage == "rl":
        alone = windows.success(span.episodes, windows.succeeded_alone).value
        axes.plot(span.minutes, alone, color=BLUE, linestyle="--", linewidth=1.1)


def _band(
    axes: Axes, minutes: Floats, curve: Curve, colour: str, dashes: str = "-", alpha: float = 0.16
) -> None:
    axes.fill_between(minutes, curve.low, curve.high, color=colour, alpha=alpha, linewidth=0)
    single = "." if len(minutes) == 1 else ""
    axes.plot(minutes, curve.value, color=colour, linestyle=dashes, marker=single)


def _evaluation(
    axes: Axes, place: float, won: int, trials: int, colour: str, *, words: bool = False
) -> None:
    rate, (low, high) = won / trials, wilson(won, trials)
    axes.errorbar(
        place,
        rate,
        # An interval may end a rounding error short of its rate.
        yerr=[[max(0.0, rate - low)], [max(0.0, high - rate)]],
        color=colour,
        marker="D",
        markersize=5,
        capsize=3,
        linewidth=1.4,
        zorder=4,
    )
    if words:
        axes.annotate(
            f"{won}/{trials}",
            (place, rate),
            xytext=(6, -3 if 0.1 < rate < 0.9 else (-12 if rate >= 0.9 else 7)),
            textcoords="offset points",
            color=colour,
            fontsize=8,
            weight="bold",
            zorder=5,
        )


def _stages(axes: Axes, parts: Sequence[Span]) -> None:
    for span in parts:
        if span.stage != "rl":
            axes.axvspan(span.begin, span.end, color="#000000", alpha=0.045, linewidth=0, zorder=0)
    for span in parts[1:]:
        axes.axvline(span.begin, color=GREY, linewidth=0.8, linestyle=":")


def _name_stages(axes: Axes, parts: Sequence[Span]) -> None:
    """Above the panel, where a stage is wide enough for its name; else upright at its beginning."""
    total = parts[-1].end or 1.0
    for span in parts:
        name = TITLES.get(span.stage, span.stage)
        fits = (span.end - span.begin) / total > _LETTER * len(name)
        axes.annotate(
            name,
            ((span.begin + span.end) / 2 if fits else span.begin, 1.01 if fits else 0.05),
            xycoords=axes.get_xaxis_transform(),
            xytext=(0 if fits else 3, 0),
            textcoords="offset points",
            ha="center" if fits else "left",
            va="bottom",
            rotation=0 if fits else 90,
            color="#555555",
            fontsize=8,
        )


def _online_steps(axes: Axes, run: RunData, parts: Sequence[Span]) -> None:
    """A second axis above the stage rl: steps since it began."""
    online = [span for span in parts if span.stage == "rl"]
    if not online:
        return
    begin, a_minute = online[0].begin, run.control_hz * 60

    def steps(minutes: Any) -> Any:
        return (minutes - begin) * a_minute

    def back(online_steps: Any) -> Any:
        return online_steps / a_minute + begin

    above = axes.secondary_xaxis(1.08, functions=(steps, back))
    last = (online[-1].end - begin) * a_minute
    ticks = np.asarray(MaxNLocator(5, integer=True).tick_values(0, last), dtype=np.float64)
    ticks = ticks[(ticks >= 0) & (ticks <= last)]
    above.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    above.set_xlabel("online steps")
    above.spines["top"].set_visible(False)


def _success_legend(axes: Axes) -> None:
    dot: dict[str, Any] = {"marker": "o", "ls": "", "markersize": 4, "markeredgecolor": BLUE}
    axes.legend(
        handles=[
            Line2D([], [], color=BLUE, label=f"last {WINDOW} episodes"),
            Patch(color=BLUE, alpha=0.16, label="95% Wilson interval"),
            Line2D([], [], color=BLUE, linestyle="--", linewidth=1.1, label="without help (RL)"),
            Line2D([], [], color=GREEN, marker="D", markersize=4, label="evaluation"),
            Line2D([], [], color=BLUE, label="episode, alone", **dot),
            Line2D([], [], markerfacecolor="none", label="episode, helped", **dot),
        ],
        loc="upper center",
        bbox_to_anchor=(0.5, -0.02),
        ncols=6,
        fontsize=7,
        handlelength=1.4,
        columnspacing=1.0,
    )

# SPDX-License-Identifier: Apache-2.0
"""Figures of what was learned, and of where the time went."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from expo_ft_ros.data.types import CandidateKind, Candidates
from expo_ft_ros.experiment.progress import format_duration
from expo_ft_ros.report import windows
from expo_ft_ros.report.drawing import (
    BLUE,
    GREEN,
    GREY,
    PALETTE,
    PURPLE,
    VERMILION,
    new_figure,
    share_axis,
    styled,
)
from expo_ft_ros.report.run_data import EpisodeLine, RunData
from expo_ft_ros.report.windows import WINDOW, Floats

# Title of a panel -> the numbers that it shows, as metrics.jsonl names them.
PANELS: Mapping[str, tuple[str, ...]] = {
    "critic: Q and its target": ("critic/q", "critic/target"),
    "Q minus what came of it": ("value_error",),
    "critic: loss": ("critic/loss",),
    "critic: spread of its members": ("critic/member_spread",),
    "critic: spread over candidates": ("q_spread",),
    "chosen that are edits, gripper decisions": ("edited_chosen", "gripper_chosen"),
    "corrections valued below base chunks": ("critic/misranked",),
    "VLA: loss": ("vla/loss",),
    "temperature alpha": ("actor/alpha",),
    "entropy of edits": ("actor/entropy",),
    "|edit| / bound, in updates": ("actor/size",),
    "age of cached candidates [VLA steps]": ("cache/age",),
    "critic updates an online step": ("update_ratio",),
}
_COLUMNS = 2
_COLOURS = {
    "collect": PURPLE,
    "imitation": VERMILION,
    "eval_before": GREEN,
    "rl": BLUE,
    "eval_after": GREEN,
    "robot": GREEN,
    "learning": BLUE,
}


@dataclass(frozen=True)
class Edits:
    """Of an episode: chunks that were chosen, how many of them are edits and gripper decisions, and
    of each edit the mean over steps and axes of |chosen - its base|, normalised."""

    chunks: int
    edited: int
    gripper: int
    sizes: tuple[float, ...]


def panels_of(run: RunData) -> dict[str, tuple[str, ...]]:
    """Of `PANELS` what the run says numbers of that are not all 0."""
    found = {}
    for title, names in PANELS.items():
        known = tuple(name for name in names if any(series(run, name)[1]))
        if known:
            found[title] = known
    return found


def series(run: RunData, name: str) -> tuple[list[float], list[float]]:
    """Online robot time [min] and the number, of each online episode that has it."""
    learned = [line for line in run.online if name in line.numbers]
    minutes = [line.online_steps / run.control_hz / 60 for line in learned]
    return minutes, [line.numbers[name] for line in learned]


@styled
def learner_curves(run: RunData) -> Figure:
    """A small panel for each of `panels_of`, of which there is one at least."""
    panels = panels_of(run)
    rows = -(-len(panels) // _COLUMNS)
    figure = new_figure(0.4 + 1.55 * rows)
    grid = list(figure.subplots(rows, _COLUMNS, squeeze=False).flat)
    for axes, (title, names) in zip(grid, panels.items(), strict=False):
        for name, colour in zip(names, PALETTE, strict=False):
            minutes, values = series(run, name)
            label = name.rpartition("/")[2]
            axes.plot(minutes, values, ".-", color=colour, markersize=3, lw=1.1, label=label)
        axes.set_title(title, loc="left")
        if len(names) > 1:
            axes.legend(loc="best")
        axes.margins(x=0.02)
    for axes in grid[len(panels) :]:
        axes.remove()
    figure.supxlabel("online robot time [min]", fontsize=9)
    return figure


def edits_of(choices: Sequence[Candidates]) -> Edits:
    """What an episode's choices say of edits."""
    sizes = [choice.edit_size for choice in choices]
    kinds = [choice.chosen_kind for choice in choices]
    return Edits(
        chunks=len(choices),
        edited=kinds.count(CandidateKind.EDITED),
        gripper=kinds.count(CandidateKind.GRIPPER),
        sizes=tuple(size for size in sizes if size is not None),
    )


@styled
def edit_curves(
    episodes: Sequence[EpisodeLine], edits: Sequence[Edits], control_hz: float, bound: float | None
) -> Figure:
    """Share of edits and gripper decisions, and size of edits, over online robot time; edits: of
    each of the episodes, which have chosen a chunk each; bound: beta of the task."""
    figure = new_figure(4.2)
    share, size = figure.subplots(2, 1, sharex=True)
    minutes = np.array([line.online_steps for line in episodes]) / control_hz / 60
    trials = np.array([line.stage != "rl" for line in episodes])
    shares = np.array([edit.edited / edit.chunks for edit in edits])
    _dots(share, minutes, shares, trials, BLUE)
    online = [(m, e) for m, e, trial in zip(minutes, edits, trials, strict=True) if not trial]
    if online:
        means = window_share([e for _, e in online])
        share.plot([m for m, _ in online], means, color=BLUE, label=f"last {WINDOW} episodes")
    if any(edit.gripper for edit in edits):
        shares = np.array([edit.gripper / edit.chunks for edit in edits])
        share.plot(minutes, shares, "s", color=PURPLE, ms=3, label="gripper decisions")
    share_axis(share, "chunks that are edits")
    known = np.array([bool(edit.sizes) for edit in edits])
    sizes = np.array([np.mean(edit.sizes) for edit in edits if edit.sizes])
    _dots(size, minutes[known], sizes, trials[known], VERMILION)
    practised = known & ~trials
    if practised.any():
        means = windows.moving_mean(sizes[practised[known]].tolist())
        size.plot(minutes[practised], means, color=VERMILION)
    if bound is not None:
        size.axhline(bound, color=GREY, linestyle="--", linewidth=1)
        size.annotate(
            f"largest edit of an axis in full use, beta = {bound:g}",
            (1, bound),
            xycoords=("axes fraction", "data"),
            xytext=(0, 3),
            textcoords="offset points",
            ha="right",
            fontsize=8,
            color="#555555",
        )
    size.set(ylabel="mean |edit|", xlabel="online robot time [min]")
    size.set_ylim(0, 1.2 * max([*sizes, bound or 0.0], default=0.0) or 1.0)
    figure.legend(*share.get_legend_handles_labels(), loc="outside upper right", ncols=3)
    return figure


def _dots(axes: Axes, minutes: Floats, values: Floats, trials: Any, colour: str) -> None:
    """Online episodes filled, trials of an evaluation hollow."""
    for which, face, label in ((~trials, colour, "online episode"), (trials, "none", "trial")):
        if which.any():
            axes.scatter(
                minutes[which],
                values[which],
                s=14,
                facecolors=face,
                edgecolors=colour,
                alpha=0.6,
                linewidths=0.8,
                label=label,
            )


def window_share(edits: Sequence[Edits], size: int = WINDOW) -> Floats:
    """(n,) share of edits among the chunks of the last `size` episodes."""
    parts = [edits[max(0, end - size) : end] for end in range(1, len(edits) + 1)]
    shares = [sum(e.edited for e in part) / sum(e.chunks for e in part) for part in parts]
    return np.array(shares, dtype=np.float64)


@styled
def wall_clock(run: RunData) -> Figure:
    """What wall time was spent on, and in which stage; one of them is known."""
    figure = new_figure(1.9)
    axes = figure.subplots()
    stages = {name: seconds for name, seconds in run.stages.items() if seconds >= 1}
    for row, parts in enumerate((stages, run.wall)):
        left = 0.0
        total = sum(parts.values())
        for name, seconds in parts.items():
            axes.barh(row, seconds / 60, left=left, color=_COLOURS.get(name, GREY), height=0.62)
            if seconds > 0.11 * total:
                axes.text(
                    left + seconds / 120,
                    row,
                    f"{name}\n{format_duration(seconds)}",
                    ha="center",
                    va="center",
                    color=_ink(_COLOURS.get(name, GREY)),
                    fontsize=8,
                )
            left += seconds / 60
    axes.set_yticks((0, 1), ("stages", "spent on"))
    axes.set_xlabel("wall time [min]")
    axes.grid(axis="y", visible=False)
    axes.spines["left"].set_visible(False)
    return figure


def _ink(ground: str) -> str:
    """Black or white, which can be read better on a colour."""
    red, green, blue = to_rgb(ground)
    return "black" if 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.45 else "white"

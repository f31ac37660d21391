# SPDX-License-Identifier: Apache-2.0
"""Q over an episode with what the cameras saw: a strip of frames above the critic's values."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from expo_ft_ros.data.episode import Episode
from expo_ft_ros.data.types import CandidateKind, ImageArray, Source
from expo_ft_ros.monitor.overlay import marked_images
from expo_ft_ros.recording.recorded_episode import RecordedEpisode, read_recorded
from expo_ft_ros.report.drawing import BLUE, HUMAN, PURPLE, SKY, VERMILION, new_figure, styled
from expo_ft_ros.report.run_data import RunData
from expo_ft_ros.tasks.reward import Classifier

FRAMES = 8
CHOSEN_KINDS = {
    CandidateKind.EDITED: ("D", VERMILION, "chosen, edited"),
    CandidateKind.GRIPPER: ("s", PURPLE, "chosen, gripper"),
}
"""Marker, colour and label of a choice that is no base chunk."""
_TRIED = 8


def newest(run: RunData, *, success: bool) -> RecordedEpisode | None:
    """The newest recorded success or failure with values of a critic; where none of the newest few
    has any, the newest. None where none is recorded."""
    without = None
    wanted = [line.number for line in reversed(run.counted) if line.success is success]
    paths = [path for number in wanted if (path := run.bag(number)) is not None]
    for path in paths[:_TRIED]:
        try:
            found = read_recorded(path)
        except ValueError:
            continue
        # The operator may have labelled it otherwise since.
        if found.episode.outcome.success is not success:
            continue
        if found.valued:
            return found
        without = without or found
    return without


@styled
def q_strip(
    recorded: RecordedEpisode,
    control_hz: float,
    limits: tuple[float, float] | None,
    classifier: Classifier | None = None,
) -> Figure:
    """Frames of each camera along an episode, and under them Q where a critic said any; limits: of
    the Q axis; classifier: whose marks are on the frames."""
    episode, views = recorded.episode, recorded.episode.views
    figure = new_figure((1.7 if recorded.valued else 0.4) + 0.95 * len(views))
    ratios = [1] * len(views) + [1.5 if recorded.valued else 0.12]
    grid = figure.add_gridspec(
        len(views) + 1, FRAMES, height_ratios=ratios, wspace=0.02, hspace=0.02
    )
    count = len(episode)
    # Each frame is of the middle of the time that it stands above.
    steps = [int((place + 0.5) * count / FRAMES) for place in range(FRAMES)]
    frames = [{view: images[step] for view, images in views.items()} for step in steps]
    if classifier is not None:
        frames = [marked_images(images, classifier) for images in frames]
    for row, view in enumerate(views):
        for column, step in enumerate(steps):
            axes = figure.add_subplot(grid[row, column])
            _frame(axes, frames[column][view], driven=episode.source[step] == Source.HUMAN)
            if column == 0:
                axes.set_ylabel(view)
            if row == 0:
                axes.set_title(f"{step / control_hz:.1f} s", fontsize=8, pad=3)
    under = figure.add_subplot(grid[len(views), :])
    under.set_xlim(-0.01 * count / control_hz, count / control_hz)
    under.set_xlabel("time in the episode [s]")
    _driven(under, episode, control_hz)
    if recorded.valued:
        _values(under, recorded, control_hz)
        under.set_ylim(limits)
    else:
        under.set_yticks(())
    return figure


def q_limits(recorded: Sequence[RecordedEpisode]) -> tuple[float, float] | None:
    """What all candidates' values lie within, and 0 to 1; None where there are none."""
    values = np.concatenate([np.zeros(0), *(c.q for t in recorded for c in t.choices)])
    values = values[np.isfinite(values)]
    if not values.size:
        return None
    low, high = min(0.0, float(values.min())), max(1.0, float(values.max()))
    return low - 0.06 * (high - low), high + 0.06 * (high - low)


def _frame(axes: Axes, image: ImageArray, *, driven: bool) -> None:
    axes.imshow(image, interpolation="antialiased")
    axes.set(xticks=(), yticks=())
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set(visible=driven, color=HUMAN, linewidth=3)


def _driven(axes: Axes, episode: Episode, control_hz: float) -> None:
    """Shades the steps that a human drove."""
    human = np.flatnonzero(np.diff(np.r_[0, episode.source == Source.HUMAN, 0]))
    for begin, end in human.reshape(-1, 2):
        label = "a human drives" if begin == human[0] else None
        axes.axvspan(
            begin / control_hz, end / control_hz, color=HUMAN, alpha=0.22, linewidth=0, label=label
        )


def _values(axes: Axes, recorded: RecordedEpisode, control_hz: float) -> None:
    valued = [bool(np.isfinite(choice.q).all()) for choice in recorded.choices]
    known = list(itertools.compress(recorded.choices, valued))
    times = recorded.steps[valued] / control_hz
    low, high = (np.array([f(choice.q) for choice in known]) for f in (np.min, np.max))
    chosen = np.array([choice.q[choice.chosen] for choice in known])
    kinds = np.array([choice.chosen_kind for choice in known])
    axes.fill_between(times, low, high, color=SKY, alpha=0.35, linewidth=0, label="candidates")
    axes.plot(times, chosen, ".-", color=BLUE, label="chosen")
    for kind, (marker, colour, label) in CHOSEN_KINDS.items():
        of_kind = kinds == kind
        if of_kind.any():
            axes.plot(times[of_kind], chosen[of_kind], marker, color=colour, ms=5, label=label)
    axes.set_ylabel("Q")
    axes.legend(loc="upper left", ncols=4, fontsize=8)

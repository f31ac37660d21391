# SPDX-License-Identifier: Apache-2.0
"""The operator's word on a run's recorded episodes, by the command and by the console alike: what
may be done, and what follows from it. The recorded file is kept, whatever the word is."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.control.plan import LEARNED_STAGES
from expo_ft_ros.data.episode import Episode
from expo_ft_ros.experiment.progress import read_summary
from expo_ft_ros.experiment.run_folder import command_of, first_uncounted, is_running
from expo_ft_ros.recording.episode_store import (
    DISCARD,
    DISCARDED,
    LABELS,
    RESTORE,
    bring_back,
    episode_path,
    relabel,
    rescue_episode,
    set_aside,
    set_aside_last,
)
from expo_ft_ros.recording.rosbag2 import EpisodeBag

TINY = 8
"""Side of images that nobody looks at [px]."""


class Done(NamedTuple):
    """What came of a word: where the episode's file lies now, and the answer to the operator."""

    path: Path
    words: str


Word = Callable[[int], Done]
"""What is done to the episode of a number. Raises ConfigError with the reason where it isn't."""


def words_of(run: Path) -> dict[str, Word]:
    """What the operator can say of an episode of a run: each of `LABELS`, DISCARD and RESTORE."""
    labels = {label: partial(relabel_episode, run, label=label) for label in LABELS}
    others = {DISCARD: discard_episode, RESTORE: restore_episode}
    return {**labels, **{name: partial(act, run) for name, act in others.items()}}


def relabel_episode(run: Path, number: int, label: str) -> Done:
    """Labels an episode, over the classifier's verdict. label: of `LABELS`.

    Raises:
        ConfigError: for a run that is running, and an episode that isn't there, can't be read or
            isn't counted.
    """
    _require_stopped(run)
    path = episode_file(run, number)
    if number >= first_uncounted(run):
        raise ConfigError(
            f"{path}: the run hasn't counted it and learns nothing from it, whatever its label "
            "(name a counted one, see its progress.json)"
        )
    stage = read_episode(path).outcome.stage
    relabel(path, LABELS[label])
    return Done(path, f"{path} is a {label} now. {_consequence(run, stage, f'as a {label}')}")


def discard_episode(run: Path, number: int) -> Done:
    """Sets an episode aside. Raises ConfigError for a run that is running, and an episode that
    isn't there."""
    _require_stopped(run)
    path = episode_file(run, number)
    # It may be too broken to be read, which is a reason to leave it out.
    stage = _stage(path)
    aside = set_aside(path, DISCARDED)
    EpisodeBag(path.parent).refresh()
    return Done(
        aside,
        f"{path} is {aside.name} now; expo-ft episodes restore {number} brings it back. "
        f"{_consequence(run, stage, 'no more')}",
    )


def restore_episode(run: Path, number: int) -> Done:
    """Takes back the last discard of an episode. Raises ConfigError for a run that is running, an
    episode that is there, and one that was not discarded, or was so by its own end."""
    _require_stopped(run)
    path = episode_path(run / "episodes", number)
    _require_whole(set_aside_last(path, DISCARDED))
    try:
        aside = bring_back(path, DISCARDED)
    except FileExistsError:
        raise ConfigError(f"{path}: is there, nothing is to be brought back") from None
    except FileNotFoundError:
        raise ConfigError(
            f"{path}: no such episode was discarded (see expo-ft episodes list {run})"
        ) from None
    EpisodeBag(path.parent).refresh()
    return Done(path, f"{aside} is {path.name} again. {_consequence(run, _stage(path), 'again')}")


def episode_file(run: Path, number: int) -> Path:
    """Where an episode of a run is recorded. Raises ConfigError where it isn't."""
    path = episode_path(run / "episodes", number)
    if not path.is_file():
        raise ConfigError(f"{path}: no such episode (see expo-ft episodes list {run})")
    return path


def read_episode(path: Path) -> Episode:
    """An episode with tiny images. Raises ConfigError where no whole step of it can be read."""
    try:
        episode = rescue_episode(path, TINY)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    if episode is None:
        raise ConfigError(
            f"{path}: has no whole step (expo-ft episodes discard {int(path.stem)} leaves it out)"
        )
    return episode


def _require_stopped(run: Path) -> None:
    if is_running(run):
        raise ConfigError(f"{run}: is running, and has learned from it already (stop it first)")


def _require_whole(aside: Path | None) -> None:
    """Refuses what ended without an outcome: a run that goes on would stop at it."""
    episode = None
    if aside is not None:
        with contextlib.suppress(ValueError):
            episode = rescue_episode(aside, TINY)
    if episode is not None and episode.outcome.discarded:
        raise ConfigError(
            f"{aside}: was discarded as it ended ({episode.outcome.cause}): no outcome is there to "
            "learn from (look at it by expo-ft episodes browse)"
        )


def _consequence(run: Path, stage: str, how: str) -> str:
    """What follows from an operator's word on an episode, by what the episode is for."""
    if not stage:
        return "It can't be read: a run that goes on would have stopped at it."
    if stage not in LEARNED_STAGES:
        return "It is a trial: nothing is learned from it, and the evaluation's count stays."
    exported = f"`expo-ft export` takes it {how}; what the session has counted stays."
    if command_of(run) != "train":
        return exported
    ended = " (it has ended: with more steps:=)" if read_summary(run) is not None else ""
    return f"A resumed run{ended} learns from it {how}, {exported}"


def _stage(path: Path) -> str:
    with contextlib.suppress(ValueError):
        episode = rescue_episode(path, TINY)
        if episode is not None:
            return episode.outcome.stage
    return ""

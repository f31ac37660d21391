# SPDX-License-Identifier: Apache-2.0
"""`expo-ft episodes`: what a run has recorded, and the operator's word on it afterwards."""

import contextlib
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from expo_ft_ros.cli.arguments import wants_help
from expo_ft_ros.configuration import ConfigError, nearest
from expo_ft_ros.control.plan import LEARNED_STAGES
from expo_ft_ros.data.episode import Episode
from expo_ft_ros.experiment.progress import read_summary
from expo_ft_ros.experiment.run_folder import command_of, find_run, first_uncounted, is_running
from expo_ft_ros.recording.episode_store import (
    DISCARDED,
    bring_back,
    episode_path,
    relabel,
    rescue_episode,
    set_aside,
)
from expo_ft_ros.recording.rosbag2 import EpisodeBag

USAGE = """\
usage: expo-ft episodes list [run]                             (run: a folder or `latest`)
       expo-ft episodes show <number> [run]
       expo-ft episodes play <number> [run] [--output FILE]    (a video: cameras, candidates, Q)
       expo-ft episodes relabel <number> success|failure [run]
       expo-ft episodes discard <number> [run]
       expo-ft episodes restore <number> [run]                 (takes back a discard)

relabel, discard and restore change what a resumed run learns from; the recorded file is kept.
"""

# The images aren't looked at.
_TINY = 8
_DIGITS = 9
_COMMANDS = ("list", "show", "relabel", "discard", "restore")
_LABELS = {"success": True, "failure": False}


def main(words: Sequence[str]) -> int:
    """Runs one of the commands of `USAGE`; returns the exit code.

    Raises:
        ConfigError: for wrong arguments, a run or an episode that isn't there, or a change to a run
            that is running.
    """
    rest = list(words)
    command = rest.pop(0) if rest else "list"
    if command == "play":
        from expo_ft_ros.cli import play

        return play.main(rest)
    if wants_help(words):
        print(USAGE, end="")
        return 0
    if command == "list":
        return _list(_run(rest))
    if command not in _COMMANDS:
        known = nearest(command, (*_COMMANDS, "play"))
        raise ConfigError(f"episodes {command}: no such command ({known})")
    number = episode_number(rest.pop(0) if rest else "")
    if command == "show":
        return _show(_run(rest), number)
    if command == "relabel":
        label = rest.pop(0) if rest else ""
        if label not in _LABELS:
            raise ConfigError(
                f"episodes relabel: {label!r} is no label ({nearest(label, _LABELS)})"
            )
        return _relabel(_stopped(_run(rest)), number, label)
    act = _discard if command == "discard" else _restore
    return act(_stopped(_run(rest)), number)


def _relabel(run: Path, number: int, label: str) -> int:
    path = episode_file(run, number)
    if number >= first_uncounted(run):
        raise ConfigError(
            f"{path}: the run hasn't counted it and learns nothing from it, whatever its label "
            "(name a counted one, see its progress.json)"
        )
    stage = _read(path).outcome.stage
    relabel(path, _LABELS[label])
    print(f"{path} is a {label} now. {_consequence(run, stage, f'as a {label}')}")
    return 0


def _discard(run: Path, number: int) -> int:
    path = episode_file(run, number)
    # It may be too broken to be read, which is a reason to leave it out.
    stage = _stage(path)
    aside = set_aside(path, DISCARDED)
    EpisodeBag(path.parent).refresh()
    print(
        f"{path} is {aside.name} now; expo-ft episodes restore {number} brings it back. "
        f"{_consequence(run, stage, 'no more')}"
    )
    return 0


def _restore(run: Path, number: int) -> int:
    path = episode_path(run / "episodes", number)
    try:
        aside = bring_back(path, DISCARDED)
    except FileExistsError:
        raise ConfigError(f"{path}: is there, nothing is to be brought back") from None
    except FileNotFoundError:
        raise ConfigError(
            f"{path}: no such episode was discarded (see expo-ft episodes list {run})"
        ) from None
    EpisodeBag(path.parent).refresh()
    print(f"{aside} is {path.name} again. {_consequence(run, _stage(path), 'again')}")
    return 0


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
        episode = rescue_episode(path, _TINY)
        if episode is not None:
            return episode.outcome.stage
    return ""


def _read(path: Path) -> Episode:
    try:
        episode = rescue_episode(path, _TINY)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    if episode is None:
        raise ConfigError(
            f"{path}: has no whole step (expo-ft episodes discard {int(path.stem)} leaves it out)"
        )
    return episode


def _run(words: list[str]) -> Path:
    if len(words) > 1:
        raise ConfigError(f"episodes: {words[1]!r} is too much (one run)")
    return find_run(words[0] if words else "latest")


def episode_number(word: str) -> int:
    """The number that a word says. Raises ConfigError where it says none that a file has."""
    if not word.isdecimal() or len(word) > _DIGITS:
        raise ConfigError(f"episodes: {word!r} is not an episode's number (see episodes list)")
    return int(word)


def episode_file(run: Path, number: int) -> Path:
    """Where an episode of a run is recorded. Raises ConfigError where it isn't."""
    path = episode_path(run / "episodes", number)
    if not path.is_file():
        raise ConfigError(f"{path}: no such episode (see expo-ft episodes list {run})")
    return path


def _stopped(run: Path) -> Path:
    if is_running(run):
        raise ConfigError(f"{run}: is running, and has learned from it already (stop it first)")
    return run


def _list(run: Path) -> int:
    """One line a file, those that were set aside too."""
    paths = sorted((run / "episodes").glob("*.mcap"))
    print(f"{run}: {len(paths)} files")
    if paths:
        print(f"{'file':<22}  {'stage':<12} {'outcome':<8} {'steps, who drove':<28}  how it ended")
    for path in paths:
        print(f"{path.stem:<22}  {_line(path)}")
    return 0


def _line(path: Path) -> str:
    try:
        episode = rescue_episode(path, _TINY)
    except ValueError as error:
        return f"broken: {error}"
    if episode is None:
        return "no whole step"
    outcome = episode.outcome
    verdict = "success" if outcome.success else "failure"
    return (
        f"{outcome.stage:<12} {verdict:<8} {len(episode):4} steps, "
        f"{episode.human_steps:4} by a human  {outcome.cause}"
    )


def _show(run: Path, number: int) -> int:
    path = episode_file(run, number)
    episode = _read(path)
    print(path)
    for name, value in asdict(episode.outcome).items():
        print(f"{name + ':':<20} {value}")
    print(f"{'instruction:':<20} {episode.instruction}")
    print(f"{'human_steps:':<20} {episode.human_steps} of {len(episode)}")
    print(f"{'who drove:':<20} {_who(episode)}")
    print(f"{'chunks:':<20} {len(set(episode.chunk.tolist()) - {0})}")
    print(f"{'altered by safety:':<20} {_altered(episode)} steps")
    return 0


def _who(episode: Episode) -> str:
    """A letter a step: policy, human, hold."""
    return "".join("ph."[source] for source in episode.source)


def _altered(episode: Episode) -> int:
    difference = abs(episode.executed - episode.proposed).max(axis=1)
    return int((difference > 1e-4).sum())

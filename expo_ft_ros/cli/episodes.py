"""`expo-ft episodes`: what a run has recorded, and a person's word on it afterwards."""

import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.data.episode import Episode
from expo_ft_ros.experiment.run_folder import find_run, first_uncounted, is_running
from expo_ft_ros.recording.episode_store import (
    DISCARDED,
    episode_path,
    relabel,
    rescue_episode,
    set_aside,
)

USAGE = """\
usage: expo-ft episodes list [run]                             (run: a folder or `latest`)
       expo-ft episodes show <number> [run]
       expo-ft episodes play <number> [run] [--output FILE]    (a video: cameras, candidates, Q)
       expo-ft episodes relabel <number> success|failure [run]
       expo-ft episodes discard <number> [run]

relabel and discard change what a resumed run learns from; the recorded file is kept.
"""

# The images aren't looked at.
_TINY = 8
_COMMANDS = ("list", "show", "relabel", "discard")
_LABELS = {"success": True, "failure": False}


def main(words: Sequence[str]) -> int:
    """Runs one of the commands of `USAGE`, but for `play` (cli/play.py); returns the exit code.

    Raises:
        ConfigError: for wrong arguments, a run or an episode that isn't there, or a change to a run
            that is running.
    """
    rest = list(words)
    command = rest.pop(0) if rest else "list"
    if command == "list":
        return _list(_run(rest))
    if command not in _COMMANDS:
        raise ConfigError(
            f"episodes {command}: no such command (known: {', '.join(_COMMANDS)}, play)"
        )
    number = episode_number(rest.pop(0) if rest else "")
    if command == "show":
        return _show(episode_file(_run(rest), number))
    if command == "relabel":
        label = rest.pop(0) if rest else ""
        if label not in _LABELS:
            raise ConfigError(f"episodes relabel: {label!r} is not {' or '.join(_LABELS)}")
        run = _stopped(_run(rest))
        path = episode_file(run, number)
        if number >= first_uncounted(run):
            raise ConfigError(f"{path}: the run hasn't counted it, so that it isn't learned from")
        relabel(path, _LABELS[label])
        print(
            f"{path.name} is learned from as a {label} from the next start on (what the session "
            "has counted, an evaluation's trials too, stays as it was)"
        )
        return 0
    path = episode_file(_stopped(_run(rest)), number)
    aside = set_aside(path, DISCARDED)
    print(
        f"{path.name} is {aside.name} now, and not learned from; its old name brings it back (what "
        "the session has counted stays as it was)"
    )
    return 0


def _run(words: list[str]) -> Path:
    if len(words) > 1:
        raise ConfigError(f"episodes: {words[1]!r} is too much (one run)")
    return find_run(words[0] if words else "latest")


def episode_number(word: str) -> int:
    """The number that a word says. Raises ConfigError where it says none."""
    if not word.isdecimal():
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
        f"{episode.human_steps:4} by a person  {outcome.cause}"
    )


def _show(path: Path) -> int:
    try:
        episode = rescue_episode(path, _TINY)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    if episode is None:
        print(f"{path}: no whole step", file=sys.stderr)
        return 1
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

# SPDX-License-Identifier: Apache-2.0
"""`expo-ft episodes`: what a run has recorded, and the operator's word on it afterwards."""

import importlib
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from expo_ft_ros.cli.arguments import fitted, plain_words, wants_help
from expo_ft_ros.configuration import ConfigError, nearest
from expo_ft_ros.data.episode import Episode
from expo_ft_ros.experiment.operator_word import (
    TINY,
    episode_file,
    read_episode,
    words_of,
)
from expo_ft_ros.experiment.run_folder import find_run
from expo_ft_ros.recording.episode_store import LABELS, rescue_episode

USAGE = """\
usage: expo-ft episodes <command>

  list [run]                              every file, those that were set aside too
  show <number> [run]                     one of them in words
  play <number> [run] [output:=FILE]      a video: cameras, candidates, Q
  browse [run] [port:=N]                  all of it in the browser
  relabel <number> success|failure [run]  the operator's word over the classifier's
  discard <number> [run]                  sets it aside
  restore <number> [run]                  takes back a discard

A run is its folder, or `latest`, which is the default.
relabel, discard and restore change what a resumed run learns from; the recorded file is kept.
"""

_DIGITS = 9
_COMMANDS = ("list", "show", "relabel", "discard", "restore")
# What takes heavy modules.
_FILES = {"play": "expo_ft_ros.cli.play", "browse": "expo_ft_ros.cli.browse"}


def main(words: Sequence[str]) -> int:
    """Runs one of the commands of `USAGE`; returns the exit code.

    Raises:
        ConfigError: for wrong arguments, a run or an episode that isn't there, or a change to a run
            that is running.
    """
    rest = list(words)
    command = rest.pop(0) if rest else "list"
    if command in _FILES:
        return int(importlib.import_module(_FILES[command]).main(rest))
    if wants_help(words):
        print(fitted(USAGE), end="")
        return 0
    rest = plain_words(f"episodes {command}", rest)
    if command == "list":
        return _list(_run(rest))
    if command not in _COMMANDS:
        known = nearest(command, (*_COMMANDS, *_FILES))
        raise ConfigError(f"episodes {command}: no such command ({known})")
    number = episode_number(rest.pop(0) if rest else "")
    if command == "show":
        return _show(_run(rest), number)
    if command == "relabel":
        label = rest.pop(0) if rest else ""
        if label not in LABELS:
            raise ConfigError(f"episodes relabel: {label!r} is no label ({nearest(label, LABELS)})")
        command = label
    print(words_of(_run(rest))[command](number).words)
    return 0


def _run(words: list[str]) -> Path:
    if len(words) > 1:
        raise ConfigError(f"episodes: {words[1]!r} is too much (one run)")
    return find_run(words[0] if words else "latest")


def episode_number(word: str) -> int:
    """The number that a word says. Raises ConfigError where it says none that a file has."""
    if not word.isdecimal() or len(word) > _DIGITS:
        raise ConfigError(f"episodes: {word!r} is not an episode's number (see episodes list)")
    return int(word)


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
        episode = rescue_episode(path, TINY)
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
    episode = read_episode(path)
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

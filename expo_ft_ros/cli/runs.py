# SPDX-License-Identifier: Apache-2.0
"""`expo-ft runs list`: the runs that there are, and how far each has come."""

from collections.abc import Sequence
from pathlib import Path

from expo_ft_ros.cli.arguments import fitted, plain_words, wants_help
from expo_ft_ros.configuration import ConfigError, nearest
from expo_ft_ros.experiment.run_folder import runs_by_start, runs_dir
from expo_ft_ros.experiment.run_overview import overview

USAGE = """\
usage: expo-ft runs list    the runs, the one that was started last at the end: it is `latest`
"""

_COLUMNS = "{:<40}  {:<8} {:<13} {:<9} {:>7}  {}"
_UNKNOWN = "-"


def main(words: Sequence[str]) -> int:
    """Runs the command; returns the exit code.

    Raises:
        ConfigError: for wrong arguments.
    """
    if wants_help(words):
        print(fitted(USAGE), end="")
        return 0
    command, *more = words or ["list"]
    if command != "list":
        raise ConfigError(f"runs {command}: no such command ({nearest(command, ('list',))})")
    if plain_words("runs list", more):
        raise ConfigError(f"runs list: {more[0]!r} is too much (it takes nothing)")
    runs = runs_by_start()
    print(f"{runs_dir()}: {len(runs)} runs")
    if runs:
        print(_COLUMNS.format("run", "command", "task", "state", "steps", "success").rstrip())
    for run in runs:
        print(_line(run))
    return 0


def _line(run: Path) -> str:
    seen = overview(run)
    steps = None if seen.env_steps is None else str(seen.env_steps)
    told = (seen.name, seen.command, seen.task, seen.state, steps, seen.success)
    return _COLUMNS.format(*(word or _UNKNOWN for word in told))

# SPDX-License-Identifier: Apache-2.0
"""`expo-ft runs list`: the runs that there are, and how far each has come."""

from collections.abc import Sequence
from pathlib import Path

from expo_ft_ros.cli.arguments import fitted, plain_words, wants_help
from expo_ft_ros.configuration import ConfigError, nearest
from expo_ft_ros.experiment.progress import evaluation_of, read_status, read_summary
from expo_ft_ros.experiment.run_folder import (
    command_of,
    is_running,
    option_of,
    runs_by_start,
    runs_dir,
)

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
    summary, status = read_summary(run), read_status(run)
    ended = "stopped" if summary is None else "finished"
    state = "running" if is_running(run) else ended
    steps = (summary or status or {}).get("env_steps", _UNKNOWN)
    found = [
        f"{result[0]}/{result[1]}"
        for stage in ("eval_before", "eval_after")
        if summary is not None and (result := evaluation_of(summary, stage)) is not None
    ]
    task = Path(option_of(run, "task") or _UNKNOWN).stem
    command = command_of(run) or _UNKNOWN
    told = (run.name, command, task, state, steps, " -> ".join(found) or _UNKNOWN)
    return _COLUMNS.format(*map(str, told))

# SPDX-License-Identifier: Apache-2.0
"""A run at a glance: what a list of runs says of each."""

from __future__ import annotations

import datetime
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.experiment.progress import (
    STAGES,
    evaluation_of,
    read_status,
    read_summary,
)
from expo_ft_ros.experiment.run_folder import is_running, option_in, read_config, started_at

RunState = Literal["running", "stopped", "finished"]


@dataclass(frozen=True)
class RunOverview:
    """A run.

    Attributes:
        path: Its folder.
        command: That made it; "" where its config.yaml doesn't say. So are task and algorithm.
        task: By name.
        algorithm: That it learned by.
        started: Last.
        state: Whether it goes on.
        stage: Where it is, or was when it stopped, in words.
        env_steps: Online steps; None where it doesn't say.
        evaluations: (successes, trials), after imitation and after RL, as far as they are told.
        console: (host, port) of its live console; None where it has none.
    """

    path: Path
    command: str
    task: str
    algorithm: str
    started: datetime.datetime
    state: RunState
    stage: str
    env_steps: int | None
    evaluations: tuple[tuple[int, int], ...]
    console: tuple[str, int] | None

    @property
    def name(self) -> str:
        """Of its folder."""
        return self.path.name

    @property
    def success(self) -> str:
        """As "3/30 -> 27/30"; "" where nothing was evaluated."""
        return " -> ".join(f"{good}/{trials}" for good, trials in self.evaluations)


def overview(path: Path) -> RunOverview:
    """A run at a glance; what is missing or broken in its folder is left out."""
    summary, status = read_summary(path), read_status(path) or {}
    ended: RunState = "stopped" if summary is None else "finished"
    try:
        config = read_config(path)
    except ConfigError:
        config = {"options": {}}
    said = (summary or {}).get("env_steps", status.get("env_steps"))
    stage = str(status.get("stage", ""))
    return RunOverview(
        path=path,
        command=str(config.get("command") or ""),
        task=Path(option_in(config, "task") or "").stem,
        algorithm=option_in(config, "algorithm") or "",
        started=started_at(path),
        state="running" if is_running(path) else ended,
        stage=STAGES.get(stage, stage) if status else "",
        env_steps=said if isinstance(said, int) and not isinstance(said, bool) else None,
        evaluations=tuple(_evaluations(summary or {})),
        console=_console(config),
    )


def folder_bytes(path: Path) -> int:
    """What the files of a folder take on the disk."""
    total = 0
    for folder, _, names in os.walk(path):
        for name in names:
            try:
                total += os.lstat(os.path.join(folder, name)).st_blocks * 512
            except OSError:  # gone meanwhile
                continue
    return total


def _evaluations(summary: Mapping[str, Any]) -> Iterator[tuple[int, int]]:
    for stage in ("eval_before", "eval_after"):
        found = evaluation_of(summary, stage)
        if found is not None:
            yield found


def _console(config: Mapping[str, Any]) -> tuple[str, int] | None:
    port = option_in(config, "console_port") or ""
    if option_in(config, "console") != "True" or not port.isdecimal():
        return None
    return option_in(config, "console_host") or "127.0.0.1", int(port)

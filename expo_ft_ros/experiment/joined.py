# SPDX-License-Identifier: Apache-2.0
"""Robots that have joined a run: their names, where their episodes lie, and what they know of it.

Each has a folder and a namespace in the run's, and processes of its own; the run's learner takes
their steps (docs/architecture.md).
"""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path

from expo_ft_ros.control.plan import STAGES
from expo_ft_ros.experiment.learner_report import LearnerReport
from expo_ft_ros.experiment.run_folder import first_uncounted

ROBOTS_FOLDER = "robots"
NAME_PATTERN = r"[a-z][a-z0-9_]*"
ONLINE = "rl"
PRESENT_PERIOD = 0.5
"""Between two words of a robot that it takes part [s]."""
GONE_AFTER = 5.0
"""A learner that was there, and isn't for so long, is gone [s]."""

_AFTER = (*STAGES[STAGES.index(ONLINE) + 1 :], "done")


def require_robot_name(name: str) -> None:
    """Raises ValueError for what is no name of a robot, which is a ROS namespace."""
    if not re.fullmatch(NAME_PATTERN, name):
        raise ValueError(f"{name!r} is no robot's name (write it in a-z, 0-9 and _, a-z first)")


def this_process() -> str:
    """Who it is, for those on other machines as well."""
    return f"process {os.getpid()} on {socket.gethostname()}"


def two_of_a_name(name: str, first: str, second: str) -> str:
    """What is wrong, and the remedy, where a second robot has a name that is another's."""
    return (
        f"two robots are named {name}: {first} takes part in the run, {second} is refused (give it "
        "another name:=, or stop the first)"
    )


def robot_folder(run: Path, name: str) -> Path:
    """Where a robot that has joined a run has its own folder."""
    return run / ROBOTS_FOLDER / name


def recorded_files(run: Path) -> list[Path]:
    """The episodes that a run has recorded and counted, those of its own robot first, then those of
    each that has joined it.

    Raises:
        ConfigError: when somebody's books are broken.
    """
    # Heavy, and help is to be quick.
    from expo_ft_ros.recording.episode_store import files_before

    joined = sorted(path.parent for path in (run / ROBOTS_FOLDER).glob("*/episodes"))
    return [
        path
        for folder in (run, *joined)
        for path in files_before(folder / "episodes", first_uncounted(folder))
    ]


class FollowedRun:
    """The run that a robot has joined, as the learner tells of it."""

    def __init__(self) -> None:
        self._stage = ""
        self._there: float | None = None

    def hear(self, report: LearnerReport) -> None:
        """Takes the learner's word."""
        self._stage = report.run_stage

    def is_gone(self, *, there: bool, now: float) -> bool:
        """Whether a learner that was there has not been for a while. One that is busy is there, and
        may be silent for long.

        Args:
            there: Whether it is now, as the middleware knows it.
            now: Of a steady clock [s].
        """
        if there:
            self._there = now
        return self._there is not None and now - self._there > GONE_AFTER

    @property
    def practises(self) -> bool:
        """Whether robots practise now."""
        return self._stage == ONLINE

    @property
    def is_over(self) -> bool:
        """Whether all that was to be practised is."""
        return self._stage in _AFTER

    @property
    def note(self) -> str:
        """What is waited for; empty where it practises."""
        if self.practises:
            return ""
        stage = self._stage or "its first plan"
        return f"the run is at {stage}: robots that have joined it practise in {ONLINE}"

# SPDX-License-Identifier: Apache-2.0
"""What the arm's process and the hand's have in common: how they begin, and which confirmation
ends a fault."""

from __future__ import annotations

import signal
import struct
import sys
from collections.abc import Callable
from typing import Protocol

from expo_ft_ros.fci.shared_record import SharedRecord
from expo_ft_ros.parent_process import die_with_parent
from expo_ft_ros.robots import RobotConfig, load_robot
from expo_ft_ros.robots.fci_config import FciConfig


class Loop(Protocol):
    """What such a process does until it is stopped."""

    def run(self) -> None:
        """Until `stop`."""

    def stop(self) -> None:
        """Ends soon; called by a signal's handler."""


class Confirmations:
    """Counts the confirmations of a human: one counts for a fault that was reported before it."""

    def __init__(self, count: Callable[[], int]) -> None:
        """None counts yet. count: gives how many there have been since the adapter began."""
        self._count = count
        self.seen = 0

    def forget(self) -> None:
        """Those until now were given for other faults; called before a fault is reported."""
        self.seen = self._count()

    def given(self) -> bool:
        """Whether there is a new one, which is used up by that."""
        count = self._count()
        new = count > self.seen
        self.seen = max(self.seen, count)
        return new


def one_line(error: Exception) -> str:
    """Its text without line breaks."""
    return " ".join(str(error).split())


def run_loop(
    make: Callable[[RobotConfig, FciConfig, SharedRecord, SharedRecord], Loop],
    command: struct.Struct,
    state: struct.Struct,
    words: list[str],
) -> int:
    """Runs a loop until SIGTERM; 0 after a clean end.

    Args:
        make: Makes it of the robot, its section `fci`, and the records that it reads and writes.
        command: Fields of what it reads.
        state: Fields of what it writes.
        words: Robot, address, and the descriptors of the two records.
    """
    name, address, commands, states = words
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C: the adapter ends first, then this.
    die_with_parent()
    robot = load_robot(name)
    if robot.fci is None:
        print(f"robot {robot.name}: fci: the section is missing", file=sys.stderr)
        return 1
    fci = robot.fci.model_copy(update={"address": address})
    records = SharedRecord(int(commands), command), SharedRecord(int(states), state)
    loop = make(robot, fci, *records)
    signal.signal(signal.SIGTERM, lambda *_: loop.stop())
    loop.run()
    return 0

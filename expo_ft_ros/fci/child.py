# SPDX-License-Identifier: Apache-2.0
"""A process of the arm or the hand, as the adapter sees it."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
from typing import Protocol

from expo_ft_ros.fci.shared_record import SharedRecord
from expo_ft_ros.parent_process import PARENT_PID_VARIABLE

_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")


class Command(Protocol):
    """What such a process reads."""

    def write(self, record: SharedRecord) -> None:
        """Puts it in place of the one before."""


class Child:
    """One of the two, with the records that it reads and writes; it dies with this process."""

    def __init__(
        self,
        module: str,
        robot: str,
        address: str,
        command: struct.Struct,
        state: struct.Struct,
        first: Command,
    ) -> None:
        """Starts it.

        Args:
            module: Its command line is robot, address and the records' descriptors.
            robot: Name or path of the robot's file.
            address: Of the control box.
            command: Fields of what it reads.
            state: Fields of what it writes.
            first: What it reads first; so it knows of the confirmations before it.
        """
        self._name = module.rpartition(".")[2]
        self.commands = SharedRecord.create(f"{self._name}_commands", command)
        self.states = SharedRecord.create(f"{self._name}_states", state)
        first.write(self.commands)
        descriptors = (self.commands.descriptor, self.states.descriptor)
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, robot, address, *map(str, descriptors)],
            pass_fds=descriptors,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **_ONE_THREAD, PARENT_PID_VARIABLE: str(os.getpid())},
        )

    @property
    def death(self) -> str:
        """How it has ended; "" while it lives."""
        code = self.process.poll()
        if code is None:
            return ""
        how = f"ended with {code}" if code >= 0 else f"was killed by {signal.Signals(-code).name}"
        return f"{self._name} (process {self.process.pid}) {how}"

    def end(self, patience: float) -> None:
        """Asks it to come to rest and waits, then kills it; a second time without effect.

        Args:
            patience: Time that it has for that [s].
        """
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(patience)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.commands.close()
        self.states.close()

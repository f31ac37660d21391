# SPDX-License-Identifier: Apache-2.0
"""The operator at a keyboard: `expo-ft keyboard` in a real terminal, and what is typed there."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from typing import Any

from expo_ft_ros.bringup.process import child_environment
from expo_ft_ros.experiment.environment import ros_environment
from support.probe import PATIENCE

AT_REST = ([0.0] * 6, [0, 0, 0, 0])
COMMAND = ("-m", "expo_ft_ros.cli", "keyboard")
PAUSE, REPEAT = 0.4, 0.033
"""Of a keyboard's auto-repeat [s]."""


class Seat:
    """A terminal and the driver in it. own: it is the driver's, and its end a hang-up; else it
    stays what the driver has made of it."""

    def __init__(self, graph: Any, command: tuple[str, ...] = COMMAND, *, own: bool) -> None:
        self._probe = graph.probe
        self.joys: list[Any] = graph.probe.gather("joy")
        self._outside, self._inside = pty.openpty()
        self._shown = ""
        self.untouched = self.modes()
        environment = child_environment(ros_environment(graph.folder))
        environment |= {"ROS_DOMAIN_ID": str(graph.domain), "EXPO_FT_PARENT_PID": ""}
        self.process = subprocess.Popen(
            ["setsid", *(["--ctty"] if own else []), sys.executable, *command],
            stdin=self._inside,
            stdout=self._inside,
            stderr=self._inside,
            env=environment,
        )

    def modes(self) -> list[Any]:
        return termios.tcgetattr(self._inside)

    def type(self, text: str) -> None:
        os.write(self._outside, text.encode())

    def hold(self, key: str, condition: Callable[[], Any]) -> None:
        """Until the condition holds, which a press alone doesn't bring about."""
        self.type(key)
        self._probe.spin(PAUSE)
        end = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < end, f"holding {key!r} did nothing"
            self.type(key)
            self._probe.spin(REPEAT)

    def says(self) -> tuple[list[float], list[int]]:
        """Its newest word."""
        return list(self.joys[-1].axes), list(self.joys[-1].buttons)

    def at_rest(self) -> None:
        """Waits for that word."""
        self._probe.until(lambda: self.joys and self.says() == AT_REST, "a reading at rest")

    def shown(self) -> str:
        """All that it has written so far."""
        while select.select([self._outside], [], [], 0)[0]:
            self._shown += os.read(self._outside, 65536).decode(errors="replace")
        return self._shown

    def reads(self, words: str, *, last: bool = False) -> None:
        """Waits for words, as its last line where so asked."""

        def found() -> bool:
            shown = self.shown()
            return words in (shown.splitlines()[-1] if last and shown else shown)

        self._probe.until(found, f"to read {words!r}")

    def shut(self) -> None:
        """Closes its window."""
        os.close(self._outside)

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(60.0)
        for file in (self._outside, self._inside):
            with contextlib.suppress(OSError):
                os.close(file)

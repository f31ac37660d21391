# SPDX-License-Identifier: Apache-2.0
"""The operator at `expo-ft bringup`: what is read there, and what is typed."""

from __future__ import annotations

import contextlib
import os
import pty
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

PROMPT = "(yes / no / skip): "
PATIENCE = 180.0
ESTOP, RELEASE = "Press E-STOP", "Now release it"


class Guided:
    """A process of the command in a graph's domain, whose questions are answered as they come."""

    def __init__(self, graph: Any, *words: str, terminal: bool = False) -> None:
        """graph: a `support.nodes.Graph`. words: of the command. terminal: it has one of its own,
        in which Ctrl-C can be typed; else pipes."""
        self._probe = graph.probe
        self.runs, self.run = graph.folder / "runs", graph.folder / "run"
        inside = subprocess.PIPE
        self._outside = -1
        if terminal:
            self._outside, inside = pty.openpty()
        self.process = subprocess.Popen(
            [
                *(["setsid", "--ctty"] if terminal else []),
                sys.executable,
                "-m",
                "expo_ft_ros.cli",
                "bringup",
                f"run_dir:={self.run}",
                *words,
            ],
            env={
                **os.environ,
                "ROS_DOMAIN_ID": str(graph.domain),
                "EXPO_FT_RUNS": str(self.runs),
            },
            stdin=inside,
            stdout=inside,
            stderr=subprocess.STDOUT,
            start_new_session=not terminal,
        )
        if terminal:
            os.close(inside)
        self._text, self._lock = "", threading.Lock()
        threading.Thread(target=self._read, daemon=True).start()
        self._answered = 0

    def _read(self) -> None:
        out = self.process.stdout
        file = self._outside if out is None else out.fileno()
        # A terminal that nobody has any more gives an error.
        with contextlib.suppress(OSError):
            while data := os.read(file, 65536):
                with self._lock:
                    self._text += data.decode(errors="replace")

    @property
    def text(self) -> str:
        """All that it has said so far."""
        with self._lock:
            return self._text

    @property
    def record(self) -> Path:
        """Where it keeps what has passed."""
        return self.runs / "brought_up.json"

    def type(self, line: str) -> None:
        into = self.process.stdin
        os.write(self._outside if into is None else into.fileno(), f"{line}\n".encode())

    def press_ctrl_c(self) -> None:
        """At its terminal."""
        os.write(self._outside, b"\x03")

    def question(self) -> str | None:
        """The newest question that isn't answered yet, with all since the one before."""
        parts = self.text.split(PROMPT)
        asked = len(parts) - 1
        if asked <= self._answered:
            return None
        self._answered = asked
        return parts[asked - 1]

    def go_through(self, answer: Callable[[str], str], *, on_text: Any = None) -> int:
        """Answers all that is asked until the command is over; gives its exit code.

        Args:
            answer: From what was said since the last answer to what is typed.
            on_text: Is called with all that was said, again and again.
        """
        end = time.monotonic() + PATIENCE
        while self.process.poll() is None:
            assert time.monotonic() < end, f"it doesn't come to its end:\n{self.text}"
            self._probe.spin(0.02)
            if (asked := self.question()) is not None:
                self.type(answer(asked))
                end = time.monotonic() + PATIENCE
            if on_text is not None:
                on_text(self.text)
        return self.process.returncode

    def until(self, words: str) -> None:
        """Waits until it has said so."""
        self._probe.until(lambda: words in self.text, f"{words!r} in\n{self.text}", PATIENCE)

    def end(self) -> None:
        print(self.text)
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(60.0)
        if self._outside >= 0:
            os.close(self._outside)

# SPDX-License-Identifier: Apache-2.0
"""What the operator types: lines of a terminal or a pipe, read as they come, by one reader."""

from __future__ import annotations

import os
import select
from collections.abc import Callable, Generator
from typing import Literal

Answer = Literal["yes", "no", "skip"]
ANSWERS: tuple[Answer, ...] = ("yes", "no", "skip")

_MOST = 4096


class ClosedInputError(Exception):
    """Nobody can answer any more: the input has been closed."""


class Lines:
    """Whole lines of a file descriptor; never waits."""

    def __init__(self, descriptor: int) -> None:
        """descriptor: is read by nobody else."""
        self._descriptor = descriptor
        self._begun, self._whole, self._over = b"", list[str](), False

    def pop(self) -> str | None:
        """The next line without its end, None where there is none yet.

        Raises:
            ClosedInputError: where there will never be another one.
        """
        if not self._over and select.select([self._descriptor], [], [], 0)[0]:
            try:
                came = os.read(self._descriptor, _MOST)
            except OSError:  # of a terminal that is gone
                came = b""
            self._over = not came
            *whole, self._begun = (self._begun + came).split(b"\n")
            self._whole += [line.decode(errors="replace").strip() for line in whole]
        if self._whole:
            return self._whole.pop(0)
        if self._over:
            raise ClosedInputError
        return None

    def drop(self) -> None:
        """Forgets what was typed before it was asked for: it answers something else. Of a pipe
        nothing is forgotten, whose lines are written beforehand."""
        if os.isatty(self._descriptor):
            while not self._over and self._waits():
                self._over = not os.read(self._descriptor, _MOST)
            self._begun, self._whole = b"", []

    def _waits(self) -> bool:
        return bool(select.select([self._descriptor], [], [], 0)[0])


class Talk:
    """Questions and answers."""

    def __init__(self, lines: Lines, write: Callable[[str], None]) -> None:
        """write: shows a text as it is, at once."""
        self._lines, self._write = lines, write

    def say(self, text: str = "") -> None:
        """A line."""
        self._write(f"{text}\n")

    def typed(self) -> str | None:
        """A line that was typed without being asked for; None for none. Raises ClosedInputError."""
        return self._lines.pop()

    def ask(self, question: str) -> Generator[None, None, Answer]:
        """Asks until it is answered; gives way whenever it waits.

        Raises:
            ClosedInputError: where nobody can answer any more.
        """
        self._lines.drop()
        prompt = f"{question} ({' / '.join(ANSWERS)}): "
        self._write(prompt)
        while True:
            line = self._lines.pop()
            if line is None:
                yield
                continue
            for answer in ANSWERS:
                if line.lower() == answer:
                    return answer
            self._write(f"{line!r} is none of {', '.join(ANSWERS)}.\n{prompt}")

# SPDX-License-Identifier: Apache-2.0
"""How far something is that takes a while: a bar in a terminal, a line now and then elsewhere.

On standard error: what a command has found out stays alone on standard output.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import TracebackType
from typing import TypeVar

from rich.console import Console
from rich.progress import Progress

Item = TypeVar("Item")

FIRST_AFTER, EVERY = 2.0, 5.0
"""Where there is no terminal: when the first line is written, and the others [s]."""


class ProgressLine:
    """Use as a context manager; the bar is gone at the end."""

    def __init__(
        self,
        what: str,
        console: Console | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Says nothing yet.

        Args:
            what: Is counted, in the plural.
            console: Where it is told (default: standard error).
            clock: A steady one [s].
        """
        self._what, self._clock = what, clock
        self._console = console or Console(stderr=True)
        self._due = clock() + FIRST_AFTER
        self._bar: Progress | None = None

    def __enter__(self) -> ProgressLine:
        if self._console.is_terminal:
            self._bar = Progress(console=self._console, transient=True)
            self._bar.add_task(self._what, total=None)
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def tell(self, done: int, total: int) -> None:
        """So many of so many are done."""
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=done, total=total)
        elif (now := self._clock()) >= self._due:
            self._due = now + EVERY
            self._console.print(f"{self._what}: {done} of {total}", highlight=False)


@contextlib.contextmanager
def counted(
    items: Sequence[Item], what: str, console: Console | None = None
) -> Iterator[Iterable[Item]]:
    """The items; how many are done is told meanwhile. what, console: as of `ProgressLine`."""
    with ProgressLine(what, console) as line:
        yield _told(items, line)


def _told(items: Sequence[Item], line: ProgressLine) -> Iterator[Item]:
    for done, item in enumerate(items, start=1):
        yield item
        line.tell(done, len(items))

# SPDX-License-Identifier: Apache-2.0
"""Commands that work for the pages, at low priority and in processes of their own: reports,
recordings, comparisons. They end with this process."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

from expo_ft_ros.bringup.process import child_environment, set_niceness

BROWSER_NICE, REPORT_NICE, TRIALS_NICE = 5, 10, 19
"""Of what the operator looks at, waits for, and comes back to: a control loop on the same machine
comes before all of them."""

PAGES_NICE = BROWSER_NICE
"""Of the threads that serve the pages."""

_ENDS_WITHIN = 5.0  # [s]


@dataclass
class Helper:
    """A process.

    Attributes:
        process: The process.
        lines: What it has said, of both outputs.
    """

    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)
    _said: threading.Condition = field(default_factory=threading.Condition)

    def __post_init__(self) -> None:
        threading.Thread(target=self._listen, name="helper", daemon=True).start()

    @property
    def running(self) -> bool:
        """Whether it goes on."""
        return self.process.poll() is None

    @property
    def failed(self) -> bool:
        """Whether it has ended otherwise than well."""
        return self.process.poll() not in (None, 0)

    def wait_for(self, word: str, within: float) -> str:
        """The line with that word, once it is said; "" where that isn't before the process ends or
        the time is over [s]."""

        def told() -> str:
            return next((line for line in self.lines if word in line), "")

        with self._said:
            self._said.wait_for(lambda: told() or not self.running, within)
        return told()

    def end(self) -> None:
        """Ends it."""
        self.process.terminate()
        try:
            self.process.wait(_ENDS_WITHIN)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _listen(self) -> None:
        output = self.process.stdout
        if output is not None:
            for line in output:
                with self._said:
                    self.lines.append(line.rstrip("\n"))
                    self._said.notify_all()
        self.process.wait()
        with self._said:
            self._said.notify_all()


class Helpers:
    """Those that are running, and the last of each name that has ended."""

    def __init__(self) -> None:
        """None is running yet."""
        self._known: dict[str, Helper] = {}
        self._changing = threading.Lock()

    def get(self, name: str) -> Helper | None:
        """The newest of that name."""
        return self._known.get(name)

    def start(self, name: str, module: str, words: Sequence[str], nice: int) -> Helper:
        """Runs a module; the one of that name that is running, where there is one."""
        with self._changing:
            known = self._known.get(name)
            if known is not None and known.running:
                return known
            process = subprocess.Popen(
                [sys.executable, "-m", module, *words],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=child_environment(),
                text=True,
                errors="replace",
                start_new_session=True,
            )
            set_niceness(process.pid, nice)
            self._known.pop(name, None)  # In the order of their starts.
            self._known[name] = Helper(process)
            return self._known[name]

    def named(self, prefix: str) -> list[str]:
        """Names that begin so and are running, the one that was started first at the beginning."""
        known = list(self._known.items())
        return [name for name, each in known if name.startswith(prefix) and each.running]

    def end(self, name: str) -> None:
        """Ends the one of that name; nothing where there is none."""
        known = self._known.get(name)
        if known is not None and known.running:
            known.end()

    def close(self) -> None:
        """Ends all of them."""
        for known in self._known.values():
            known.process.terminate()
        for known in self._known.values():
            known.end()


def lower_priority(thread: threading.Thread, nice: int) -> None:
    """Of a thread, and of threads and processes that it starts from now on; of this process's
    others it stays as it is."""
    of = thread.native_id
    if of is not None and os.getpriority(os.PRIO_PROCESS, of) < nice:
        with contextlib.suppress(ProcessLookupError):
            os.setpriority(os.PRIO_PROCESS, of, nice)

# SPDX-License-Identifier: Apache-2.0
"""Starts a run as the command line does, in a session of its own, and stops one as Ctrl-C does."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from expo_ft_ros.bringup.process import child_environment, describe_exit
from expo_ft_ros.experiment.run_folder import runner_of
from expo_ft_ros.parent_process import PARENT_PID_VARIABLE

TERMINAL_LOG = "terminal.log"
"""In the logs of a run that was started here: what it would have said in a terminal."""

_BEGUN = "Run: "
"""Begins the line with the run's folder, which is said once everything was found to be possible."""

_PATIENCE = 120.0  # [s]
_LOOK = 0.1  # [s]


@dataclass(frozen=True)
class Started:
    """What came of a start. path: the run's folder, None where it was refused; said: what the
    command has said by then."""

    path: Path | None
    said: str


class RunControl:
    """The runs that were started here. They go on when this process ends."""

    def __init__(self, folder: Path) -> None:
        """folder: for what commands say until their runs have folders; made when needed."""
        self._folder = folder
        self._begun: dict[Path, subprocess.Popen[bytes]] = {}
        self._changing = threading.Lock()

    def start(self, command: str, words: Sequence[str]) -> Started:
        """Starts a command with `name:=value` options, and waits until it has begun or was refused.

        Raises:
            OSError: where its output can't be written, or it can't be started.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        log = self._folder / f"{time.time_ns()}.log"
        # It outlives this process, and so does what it writes to.
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "expo_ft_ros.cli", command, *words],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=_environment(),
                start_new_session=True,
            )
        path = _wait_for_folder(process, log)
        said = log.read_text(errors="replace").strip()
        if path is None:
            log.unlink(missing_ok=True)
            how = "" if process.returncode is None else describe_exit(process.returncode)
            return Started(None, said or f"expo-ft {command} ended without a word: {how}")
        with contextlib.suppress(OSError):  # On another disk it stays where it is.
            log.rename(path / "logs" / TERMINAL_LOG)
        with self._changing:
            self._begun[path] = process
        return Started(path, said)

    def running(self) -> list[Path]:
        """Folders of those that go on; takes the exit status of those that have ended."""
        with self._changing:
            self._begun = {p: each for p, each in self._begun.items() if each.poll() is None}
            return list(self._begun)


def stop_run(path: Path) -> str:
    """Asks the runner of a run to end, whoever started it, as Ctrl-C in its terminal does; again:
    to hurry. The words of the answer."""
    pid = runner_of(path)
    if pid is None:
        return "it isn't running"
    try:
        runner = os.pidfd_open(pid)
    except OSError:
        return "it has just ended"
    try:
        # Its number could be another's by now, were the folder no longer held by it.
        if runner_of(path) != pid:
            return "it has just ended"
        signal.pidfd_send_signal(runner, signal.SIGINT)
    except OSError as error:
        return f"process {pid} can't be stopped: {error.strerror} (stop it where it was started)"
    finally:
        os.close(runner)
    return "asked to stop: the arm first, then the nodes, the learner after its checkpoint"


def _environment() -> dict[str, str]:
    """Without this process as a parent that the run must not outlive."""
    environment = child_environment()
    del environment[PARENT_PID_VARIABLE]
    return environment


def _wait_for_folder(process: subprocess.Popen[bytes], log: Path) -> Path | None:
    end = time.monotonic() + _PATIENCE
    pidfd = os.pidfd_open(process.pid)
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(pidfd, selectors.EVENT_READ)
            while True:
                ended = bool(selector.select(_LOOK))
                begun = _folder_in(log)
                if begun is not None or ended:
                    break
                if time.monotonic() > end:
                    process.send_signal(signal.SIGINT)
                    end += _PATIENCE
        if ended:
            process.wait()
        return begun
    finally:
        os.close(pidfd)


def _folder_in(log: Path) -> Path | None:
    for line in log.read_text(errors="replace").splitlines(keepends=True):
        if line.startswith(_BEGUN) and line.endswith("\n"):
            return Path(line.removeprefix(_BEGUN).strip())
    return None

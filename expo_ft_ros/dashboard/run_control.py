# SPDX-License-Identifier: Apache-2.0
"""Starts a run as the command line does, in a session of its own, and stops one as Ctrl-C does."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from expo_ft_ros.bringup.process import child_environment, describe_exit
from expo_ft_ros.experiment.run_folder import runner_of
from expo_ft_ros.parent_process import PARENT_PID_VARIABLE

TERMINAL_LOG = "terminal.log"
"""In the logs of a run that was started here: what it would have said in a terminal."""

_BEGUN = "Run: "
"""Begins the line with the run's folder, which is said once everything was found to be possible."""

STOPPING_FILE = ".stopping"
"""In the folder of a run that a dashboard has asked to stop: also one that is started anew is to
know, since asked again a run hurries."""

HURRIES_AFTER = 5.0
"""A run that was asked to stop [s]: before that a second click is one of haste."""

_PATIENCE = 120.0  # [s]
_GRACE = 10.0  # of a command that has no folder by then, after SIGINT and after SIGTERM [s]
_LOOK = 0.1  # [s]
_ORDER = "the arm first, then the nodes, the learner after its checkpoint"


@dataclass(frozen=True)
class Started:
    """What came of a start.

    Attributes:
        path: The run's folder; None where it was refused.
        said: What the command has said by then.
    """

    path: Path | None
    said: str


class RunControl:
    """Starts and stops runs, which go on when this process ends."""

    def __init__(self, folder: Path) -> None:
        """Makes it, in a thread of normal priority: the runs get that of this thread.

        Args:
            folder: For what commands say until their runs have folders; made when needed.
        """
        self._folder = folder
        self._begun: dict[Path, subprocess.Popen[bytes]] = {}
        self._asked: dict[Path, _Asked] = {}
        self._changing, self._stopping = threading.Lock(), threading.Lock()
        # Priorities are a thread's and are inherited: who asks for a start has a low one, and a
        # control loop is to have none of that.
        self._starter = ThreadPoolExecutor(1, "starter")
        self._starter.submit(int).result()

    def close(self) -> None:
        """Starts no more."""
        self._starter.shutdown()

    def start(self, command: str, words: Sequence[str]) -> Started:
        """Starts a command with `name:=value` options, and waits until it has begun or was refused.

        Raises:
            OSError: where its output can't be written, or it can't be started.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        log = self._folder / f"{time.time_ns()}.log"
        # It outlives this process, and so does what it writes to.
        with log.open("wb") as output:
            process = self._starter.submit(
                subprocess.Popen[bytes],
                [sys.executable, "-m", "expo_ft_ros.cli", command, *words],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=_environment(),
                start_new_session=True,
            ).result()
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

    def stop(self, run: Path) -> str:
        """Asks the runner of a run to end, no matter who started it, as Ctrl-C in its terminal
        does: once, since a second Ctrl-C has it kill what is left.

        Returns:
            The answer in words.
        """
        with self._stopping:
            runner = runner_of(run)
            if runner is None:
                return "it isn't running"
            if self._asked_at(run, runner) is not None:
                return f"it is stopping already: {_ORDER}"
            refused = _interrupt(run, runner)
            if not refused:
                self._note(run, runner)
            return refused or f"asked to stop: {_ORDER}"

    def hurry(self, run: Path) -> str:
        """Has the runner of a run that was asked to stop kill what is left of it.

        Returns:
            The answer in words.
        """
        with self._stopping:
            runner = runner_of(run)
            if runner is None:
                return "it isn't running"
            asked_at = self._asked_at(run, runner)
            if asked_at is None:
                return "it wasn't asked to stop (press Stop first)"
            if time.monotonic() - asked_at < HURRIES_AFTER:
                return (
                    f"it was asked to stop less than {HURRIES_AFTER:g} s ago: {_ORDER} (wait, then "
                    "press Hurry again)"
                )
            return _interrupt(run, runner) or "it hurries: what doesn't end at once is killed"

    def is_stopping(self, run: Path) -> bool:
        """Whether a run goes on that was asked to stop, by this dashboard or an earlier one."""
        runner = runner_of(run)
        return runner is not None and self._asked_at(run, runner) is not None

    def _asked_at(self, run: Path, runner: int) -> float | None:
        """When its runner was asked to stop, by the machine's clock [s]; None: it wasn't."""
        of_now = (runner, _since(runner))
        for asked in (self._asked.get(run), _asked_in(run)):
            if asked is not None and (asked.runner, asked.since) == of_now:
                return asked.at
        return None

    def _note(self, run: Path, runner: int) -> None:
        asked = self._asked[run] = _Asked(runner, _since(runner), time.monotonic())
        # On a full disk, too, a run is stopped.
        with contextlib.suppress(OSError):
            (run / STOPPING_FILE).write_text(json.dumps([asked.runner, asked.since, asked.at]))


@dataclass(frozen=True)
class _Asked:
    """runner: process that was asked to stop; since: when it began, which tells it from another of
    its number; at: when it was asked, by the machine's clock [s]."""

    runner: int
    since: str
    at: float


def _asked_in(run: Path) -> _Asked | None:
    try:
        return _Asked(*json.loads((run / STOPPING_FILE).read_bytes()))
    except (OSError, ValueError, TypeError, RecursionError):
        return None


def _since(pid: int) -> str:
    """When a process began, in ticks since the machine did; "" where it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19]
    except (OSError, IndexError):
        return ""


def _interrupt(run: Path, pid: int) -> str:
    """Ctrl-C for the runner of a run; why not, "" where it was."""
    try:
        runner = os.pidfd_open(pid)
    except OSError:
        return "it has just ended"
    try:
        # Its number could be another's by now, were the folder no longer held by it.
        if runner_of(run) != pid:
            return "it has just ended"
        signal.pidfd_send_signal(runner, signal.SIGINT)
    except OSError as error:
        return f"process {pid} can't be stopped: {error.strerror} (stop it where it was started)"
    finally:
        os.close(runner)
    return ""


def _environment() -> dict[str, str]:
    """Without this process as a parent that the run must not outlive."""
    environment = child_environment()
    del environment[PARENT_PID_VARIABLE]
    return environment


def _wait_for_folder(process: subprocess.Popen[bytes], log: Path) -> Path | None:
    """The folder that a command says; None where it has ended without, or was ended for that."""
    end = time.monotonic() + _PATIENCE
    patience = iter((signal.SIGINT, signal.SIGTERM, signal.SIGKILL))
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
                    # Not yet reaped, it leads a group that can be nobody else's.
                    os.killpg(process.pid, next(patience, signal.SIGKILL))
                    end = time.monotonic() + _GRACE
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

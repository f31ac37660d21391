# SPDX-License-Identifier: Apache-2.0
"""Runs a graph on this machine: starts its nodes, watches them, and takes all of them down.

One loop waits for whatever comes first: a signal, the end of a child, or the next refresh of the
display. Whatever happens, no process is left; if the runner itself is killed, the nodes notice
(`EXPO_FT_PARENT_PID`) and end themselves.
"""

import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType

from expo_ft_ros.bringup.process import (
    NodeProcess,
    child_environment,
    describe_exit,
    log_tail,
    ros_arguments,
)
from expo_ft_ros.graph.node_spec import NodeSpec

COMPLETING = ("session", "bringup")
"""When a node of one of these names ends with 0 the run is complete."""

ARBITRATION = "arbitration"
"""When the node of this name dies the runner itself sees to it that the arm stops."""

STOP_MODULE = "expo_ft_ros.nodes.stop"
"""Publishes a zero command and waits until it has been acknowledged."""

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_HURRIED_GRACE = 0.5


def cause_of_end(name: str, returncode: int, log: Path) -> str:
    """Why the run has failed when a vital node ends so; "" where the run is complete."""
    if name in COMPLETING and returncode == 0:
        return ""
    return f"{name} ended with {describe_exit(returncode)} while it was needed (log: {log})"


@dataclass(frozen=True)
class RunnerConfig:
    """Times of the runner [s], and the command that stops the arm.

    Attributes:
        refresh: Between two calls of `on_refresh`.
        term_grace: Between SIGTERM and SIGKILL.
        stop_timeout: For the command that stops the arm.
        stop_command: That command, before its `--ros-args`; empty for none.
    """

    refresh: float = 0.5
    term_grace: float = 2.0
    stop_timeout: float = 12.0
    stop_command: tuple[str, ...] = (sys.executable, "-m", STOP_MODULE)


@dataclass(frozen=True)
class RunResult:
    """How a run ended.

    Attributes:
        code: Exit code: 0 done, 1 a node died, 130 interrupted, 143 terminated, 129 hung up.
        cause: In one line, empty when done.
        tail: Last lines of the log of the node that died.
        warnings: What went wrong while stopping, a line each.
    """

    code: int
    cause: str = ""
    tail: str = ""
    warnings: tuple[str, ...] = ()


class Runner:
    """Runs one graph once."""

    def __init__(
        self,
        specs: Sequence[NodeSpec],
        run_dir: Path,
        *,
        env: Mapping[str, str] | None = None,
        on_refresh: Callable[[], None] | None = None,
        config: RunnerConfig | None = None,
    ) -> None:
        """Prepares a run.

        Args:
            specs: The graph; names are unique.
            run_dir: Gets `logs/` and `params/`.
            env: Environment of every node, on top of this process's.
            on_refresh: Called twice a second while the graph runs.
            config: Times.

        Raises:
            ValueError: when two nodes have one name.
        """
        names = [spec.name for spec in specs]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two nodes are named {name!r} in the graph (rename one)")
        self._specs = list(specs)
        self._run_dir = run_dir
        self._env = dict(env or {})
        self._on_refresh = on_refresh or (lambda: None)
        self._config = config or RunnerConfig()
        self._children: list[NodeProcess] = []
        self._selector = selectors.DefaultSelector()
        self._warnings: list[str] = []
        self._stopping = False
        self._hurry = False
        self._arm_stopped = False

    def run(self) -> RunResult:
        """Starts everything and returns when nothing is left of it.

        Call it in the main thread: it takes over SIGINT, SIGTERM and SIGHUP meanwhile.
        """
        with _Signals() as signals, self._selector:
            self._selector.register(signals.fd, selectors.EVENT_READ, signals)
            try:
                result = self._start() or self._watch(signals)
            finally:
                # Also when the display raises: no process may be left.
                self._stopping = True
                self._take_down(signals)
        return RunResult(result.code, result.cause, result.tail, tuple(self._warnings))

    def _start(self) -> RunResult | None:
        for spec in self._specs:
            try:
                child = NodeProcess(spec, self._run_dir, self._env)
            except OSError as error:
                return RunResult(1, f"{spec.name} could not be started: {error}")
            self._children.append(child)
            self._selector.register(child.pidfd, selectors.EVENT_READ, child)
        return None

    def _watch(self, signals: "_Signals") -> RunResult:
        """Waits for the end, and says which it is."""
        refresh = time.monotonic()
        while True:
            ended = self._wait(signals, refresh)
            if signals.first is not None:
                name = signals.first.name
                return RunResult(128 + signals.first, f"stopped by {name}")
            decisive = [child for child in ended if self._decides(child)]
            if decisive:
                return self._verdict(min(decisive, key=lambda child: not self._done(child)))
            if time.monotonic() >= refresh:
                self._on_refresh()
                refresh = time.monotonic() + self._config.refresh

    def _decides(self, child: NodeProcess) -> bool:
        if not child.spec.vital:
            how = describe_exit(child.returncode or 0)
            self._warnings.append(f"{child.name} ended early with {how} (log: {child.log})")
        return child.spec.vital

    @staticmethod
    def _done(child: NodeProcess) -> bool:
        return child.name in COMPLETING and child.returncode == 0

    def _verdict(self, child: NodeProcess) -> RunResult:
        if self._done(child):
            return RunResult(0)
        cause = cause_of_end(child.name, child.returncode or 0, child.log)
        return RunResult(1, cause, log_tail(child.log))

    def _wait(self, signals: "_Signals", deadline: float) -> list[NodeProcess]:
        """Waits for an event until `deadline`; returns the children that ended meanwhile."""
        ended = []
        for key, _ in self._selector.select(max(0.0, deadline - time.monotonic())):
            if isinstance(key.data, NodeProcess):
                self._selector.unregister(key.data.pidfd)
                key.data.reap()
                ended.append(key.data)
            else:
                signals.drain()
                if signals.count > 1 or (self._stopping and signals.fresh):
                    self._hurry = True
                signals.fresh = False
        return ended

    def _take_down(self, signals: "_Signals") -> None:
        """Stops what still runs in its shutdown order, and the arm if nothing else does."""
        self._stop_arm_if_orphaned()
        for order in sorted({child.spec.shutdown_order for child in self._children}):
            group = [child for child in self._children if child.spec.shutdown_order == order]
            self._stop_group([child for child in group if child.alive], signals)
            self._stop_arm_if_orphaned()

    def _stop_group(self, group: list[NodeProcess], signals: "_Signals") -> None:
        steps = (
            (signal.SIGINT, max((child.spec.grace for child in group), default=0.0)),
            (signal.SIGTERM, self._config.term_grace),
            (signal.SIGKILL, float("inf")),
        )
        for number, grace in steps:
            for child in group:
                if child.alive:
                    if number == signal.SIGKILL:
                        self._warnings.append(f"{child.name} did not stop and was killed")
                    child.send(number)
            since = time.monotonic()
            while any(child.alive for child in group):
                limit = since + (min(grace, _HURRIED_GRACE) if self._hurry else grace)
                if number != signal.SIGKILL and time.monotonic() >= limit:
                    break
                self._wait(signals, min(limit, time.monotonic() + 60.0))
        for child in group:
            if child.returncode not in (0, -signal.SIGINT, 128 + signal.SIGINT, -signal.SIGKILL):
                how = describe_exit(child.returncode or 0)
                self._warnings.append(f"{child.name} ended with {how} while stopping")

    def _stop_arm_if_orphaned(self) -> None:
        """Sends the zero command when arbitration has died and something could still drive on."""
        arbitration = next((c for c in self._children if c.name == ARBITRATION), None)
        if arbitration is None or arbitration.alive or arbitration.returncode == 0:
            return
        robot = max(child.spec.shutdown_order for child in self._children)
        listening = any(
            child.alive for child in self._children if child.spec.shutdown_order == robot
        )
        if self._arm_stopped or not listening or not self._config.stop_command:
            return
        self._arm_stopped = True
        try:
            done = subprocess.run(
                [*self._config.stop_command, *ros_arguments(arbitration.spec.namespace)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=child_environment(self._env),
                start_new_session=True,
                timeout=self._config.stop_timeout,
                check=False,
                text=True,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            self._warnings.append(f"the zero command was not acknowledged: {error}")
            return
        if done.returncode != 0:
            last = (done.stdout.strip().splitlines() or ["no output"])[-1]
            self._warnings.append(f"the zero command was not acknowledged: {last}")


class _Signals:
    """Turns SIGINT, SIGTERM and SIGHUP into a readable file descriptor while it is entered."""

    def __init__(self) -> None:
        self.first: signal.Signals | None = None
        self.count = 0
        self.fresh = False
        self._previous: dict[int, object] = {}

    def __enter__(self) -> "_Signals":
        self.fd, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._previous_fd = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        for number in _STOP_SIGNALS:
            self._previous[number] = signal.signal(number, self._nothing)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        signal.set_wakeup_fd(self._previous_fd)
        os.close(self.fd)
        os.close(self._write)

    def drain(self) -> None:
        """Reads what has arrived. Other signals than ours are dropped."""
        for number in os.read(self.fd, 256):
            if number in _STOP_SIGNALS:
                self.first = self.first or signal.Signals(number)
                self.count += 1
                self.fresh = True

    @staticmethod
    def _nothing(number: int, frame: FrameType | None) -> None:
        """The wake-up descriptor carries the signal; a handler must exist for it to be written."""

# SPDX-License-Identifier: Apache-2.0
"""One process of nodes: signals, the executor, the parent's death, and the exit code."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any

import rclpy
from rclpy.executors import Executor, SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions
from rclpy.task import Future

from expo_ft_ros.control.thread_priority import set_fifo_priority, set_short_slice
from expo_ft_ros.parent_process import die_with_parent
from expo_ft_ros.ros.graph_node import GraphNode

AnyNode = GraphNode[Any]

# How long after its last word a node that ends by itself goes on [s].
_SPIN = 0.1


class StopSignals:
    """SIGINT and SIGTERM complete a future on which the executor spins.

    No callback and no teardown is ever interrupted, by a second Ctrl-C neither: the handler does
    nothing, and a thread of ours reads the signal's number from a pipe. (Blocking the signals and
    waiting for them would miss those that land on a thread some library started at import.)
    """

    def __init__(self) -> None:
        self.requested: Future[None] = Future()
        self._reader, writer = os.pipe()
        os.set_blocking(writer, False)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: None)
        threading.Thread(target=self._wait, name="signals", daemon=True).start()

    def _wait(self) -> None:
        while os.read(self._reader, 64):
            if not self.requested.done():
                self.requested.set_result(None)


def make_executor() -> Executor:
    """One thread. The events executor takes a seventh of the processor time for a message.

    Its `spin()` and `spin_once()` keep other threads or timers from running (rclpy 9.1); spinning
    until a future is complete does neither. Older rclpy doesn't have it.
    """
    try:
        from rclpy.experimental.events_executor import EventsExecutor
    except ImportError:
        return SingleThreadedExecutor()
    made: Executor = EventsExecutor()
    return made


def run(*factories: Callable[[], AnyNode], args: list[str] | None = None) -> int:
    """Runs the nodes in one process and one thread until a signal or the end of one of them.

    Several nodes keep their own names: a global `__node:=` remap would give them all one. Where one
    of them is `URGENT`, all threads of the process are woken early, and in real time the executor's
    come first where they may. Those of the middleware don't: what they share with other processes
    is locked by threads without such a priority.
    Returns the exit code: 0 after a clean stop, 1 after a failure.
    """
    stop = StopSignals()
    die_with_parent()
    urgent = max((getattr(factory, "URGENT", 0) for factory in factories), default=0)
    if urgent:
        set_short_slice()  # Before there are other threads.
    argv = list(sys.argv if args is None else args)
    if len(factories) > 1:
        argv = _without_name(argv)
    rclpy.init(args=argv, signal_handler_options=SignalHandlerOptions.NO)
    executor: Executor | None = None
    nodes: list[AnyNode] = []
    code = 0
    try:
        for make in factories:
            nodes.append(make())
        for node in nodes:
            node.start()
        if urgent and not any(node.parameters.lockstep for node in nodes):
            set_fifo_priority(
                urgent
            )  # After the middleware's threads have begun, before the executor's.
        executor = make_executor()
        for node in nodes:
            executor.add_node(node)
        while not stop.requested.done() and all(n.exit_code is None for n in nodes):
            executor.spin_until_future_complete(stop.requested, timeout_sec=_SPIN)
            for node in nodes:
                if node.failure is not None:
                    raise node.failure
        code = max((n.exit_code or 0) for n in nodes)
    except Exception as error:  # noqa: BLE001 (fail closed: the safety action comes first)
        code = 1
        _tell(nodes, error)
    finally:
        for node in nodes:
            node.close()
        if executor is not None:
            executor.shutdown()
        for node in reversed(nodes):
            node.destroy_node()
        rclpy.try_shutdown()
    return code


def main(*factories: Callable[[], AnyNode]) -> None:
    """Entry point of a node's file; a node's class is its factory."""
    # What the library tells goes where the node's own words go, warnings or not.
    library = logging.getLogger("expo_ft_ros")
    library.setLevel(logging.INFO)
    library.addHandler(logging.StreamHandler())
    code = run(*factories)
    # The interpreter's end gives our handlers up: a signal then would be the process's exit code.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    sys.stdout.flush()
    sys.stderr.flush()
    sys.exit(code)


def _tell(nodes: list[AnyNode], error: Exception) -> None:
    text = "".join(traceback.format_exception(error))
    if not nodes:
        print(f"[FATAL] {text}", file=sys.stderr)
    for node in nodes:
        node.get_logger().fatal(f"{error}\n{text}")
        node.fail(f"{type(error).__name__}: {error}")


def _without_name(argv: list[str]) -> list[str]:
    kept: list[str] = []
    for word in argv:
        if word.startswith("__node:="):
            if kept and kept[-1] in ("-r", "--remap"):
                kept.pop()
            continue
        kept.append(word)
    return kept

# SPDX-License-Identifier: Apache-2.0
"""The test's own end of the topics: publishes, gathers, serves, calls, and waits."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.publisher import Publisher

from expo_ft_ros.graph.topics import service, topic
from expo_ft_ros.ros.qos import message_type, qos_of, service_type

PATIENCE = 60.0  # two cores that others use as well [s]
_ROOM = 200
_SLICE = 0.05
"""Longest part of a time that is let pass; what lasts longer was a halt of this process [s]."""


class Probe:
    """Everything is reliable, as in lock-step; a best-effort node matches it as well."""

    def __init__(self, domain: int) -> None:
        self._context = Context()
        rclpy.init(context=self._context, domain_id=domain)
        self.node: Node = rclpy.create_node("probe", context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self._publishers: dict[str, Publisher[Any]] = {}
        self._clients: dict[str, Any] = {}

    def publisher(self, name: str, *, reliable: bool = True) -> Publisher[Any]:
        entry = topic(name)
        made = self.node.create_publisher(
            message_type(entry.type), name, qos_of(entry, lockstep=reliable)
        )
        self._publishers[name] = made
        return made

    def gather(self, name: str, *, reliable: bool = True) -> list[Any]:
        """A list that grows with every message of the topic."""
        got: list[Any] = []
        self.on(name, got.append, reliable=reliable)
        return got

    def on(self, name: str, callback: Callable[[Any], None], *, reliable: bool = True) -> None:
        """Has it called with every message, also of a topic whose newest alone counts: what comes
        while this process is halted waits."""
        entry = topic(name)
        qos = qos_of(entry, lockstep=reliable)
        qos.depth = max(qos.depth, _ROOM)
        self.node.create_subscription(message_type(entry.type), name, callback, qos)

    def serve(self, name: str, callback: Callable[[Any, Any], Any]) -> None:
        self.node.create_service(service_type(service(name).type), name, callback)

    def call(self, name: str, **fields: Any) -> Any:
        """The answer. A service is looked for once: a call is then as quick as an operator's."""
        type_ = service_type(service(name).type)
        if name not in self._clients:
            self._clients[name] = self.node.create_client(type_, name)
        client = self._clients[name]
        self.until(client.service_is_ready, f"service {name}")
        future = client.call_async(type_.Request(**fields))
        self.until(future.done, f"answer of {name}")
        return future.result()

    def until(self, condition: Callable[[], Any], what: str, timeout: float = PATIENCE) -> None:
        """Spins until the condition holds; fails with `what` when it doesn't in time."""
        end = time.monotonic() + timeout
        while not condition():
            if time.monotonic() > end:
                raise AssertionError(f"{what} did not come within {timeout} s")
            self._executor.spin_once(timeout_sec=0.02)

    def repeat(
        self, act: Callable[[], Any], condition: Callable[[], Any], what: str, every: float = 0.2
    ) -> None:
        """Acts again and again until the condition holds: a reader that isn't reliable loses what
        is said before it knows of its publisher, which the publisher can't see."""
        due = 0.0

        def holds() -> Any:
            nonlocal due
            if time.monotonic() >= due:
                due = time.monotonic() + every
                act()
            return condition()

        self.until(holds, what)

    def spin(self, seconds: float) -> None:
        """Lets the given time pass, for what must not happen.

        A time in which this process was halted doesn't count: what came in it is heard first.
        """
        left = seconds
        while left > 0:
            begun = time.monotonic()
            self._executor.spin_once(timeout_sec=min(left, _SLICE))
            left -= min(time.monotonic() - begun, _SLICE)

    def matched(self) -> None:
        """Waits until each publisher of ours has a listener."""
        for name, publisher in self._publishers.items():
            self.until(publisher.get_subscription_count, f"a listener of {name}")

    def ready(self, *names: str) -> None:
        """Waits for these nodes' words on nodes/ready."""
        said = self.gather("nodes/ready")
        self.until(lambda: set(names) <= {m.data for m in said}, f"ready: {', '.join(names)}")

    def close(self) -> None:
        self._executor.shutdown()
        self.node.destroy_node()
        rclpy.shutdown(context=self._context)

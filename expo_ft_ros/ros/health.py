# SPDX-License-Identifier: Apache-2.0
"""What a node says of itself: /diagnostics, `nodes/ready`, and its signs of life."""

from __future__ import annotations

import time
from collections.abc import Iterator

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.node import Node
from rclpy.publisher import Publisher
from std_msgs.msg import String

from expo_ft_ros.graph.topics import HEARTBEAT
from expo_ft_ros.ros.heartbeat import HeartbeatPublisher

OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR

DIAGNOSTICS_PERIOD = 1.0
DROPPED_SHOWN = 5.0
"""How long a dropped message is on /diagnostics after the last one [s]."""

_STARTING = "starting"
_WAITING = "waiting for the other nodes"
_READY = "ready"


def statuses_of_graph(
    node: Node, message: DiagnosticArray
) -> Iterator[tuple[str, DiagnosticStatus]]:
    """Name, without the namespace, and status of each node of the graph that `node` is of:
    /diagnostics is of every graph of the domain."""
    own = f"{node.get_namespace().strip('/')}/".lstrip("/")
    for status in message.status:
        name = status.name.removeprefix(own)
        if status.name.startswith(own) and "/" not in name:
            yield name, status


class NodeHealth:
    """The health of one node; without publishers (before `open`, after `close`) it is kept only."""

    def __init__(self, node: Node, callback_timeout: float) -> None:
        """Begins as OK, "starting".

        Args:
            node: Whose health it is.
            callback_timeout: How long a callback of the node may take before it counts as hanging
                [s]; 0: its heartbeat needs the executor.
        """
        self._node = node
        self._callback_timeout = callback_timeout
        self._level, self._message = OK, _STARTING
        self._values: dict[str, str] = {}
        self._dropped, self._dropped_at = "", 0.0
        self._is_ready = False
        self._diagnostics: Publisher[DiagnosticArray] | None = None
        self._ready: Publisher[String] | None = None
        self._alive: Publisher[String] | None = None
        self._heartbeat: HeartbeatPublisher | None = None

    def open(
        self,
        diagnostics: Publisher[DiagnosticArray],
        ready: Publisher[String],
        alive: Publisher[String] | None,
    ) -> None:
        """Takes the node's publishers. alive: none in lock-step, where nobody waits for signs."""
        self._diagnostics, self._ready, self._alive = diagnostics, ready, alive

    def close(self) -> None:
        """Lets go of the publishers."""
        self.stop_heartbeat()
        self._diagnostics = self._ready = self._alive = None
        self._level, self._message, self._is_ready = OK, _STARTING, False

    def wait_for_others(self) -> None:
        """The node is active and looks for the others."""
        self._is_ready = False
        if self._message in (_STARTING, _READY):
            self.report(OK, _WAITING)

    def found_others(self, *complaints: str) -> None:
        """Says that the node is ready. complaints: what it reported meanwhile and is over."""
        self._is_ready = True
        if self._ready is not None:
            self._ready.publish(String(data=self._node.get_name()))
        if self._message in (_WAITING, *complaints):
            self.report(OK, _READY)

    def report(self, level: bytes, message: str, **values: object) -> None:
        """Sets the node's entry on /diagnostics; a change of message goes out at once."""
        changed = (level, message) != (self._level, self._message)
        self._level, self._message = level, message
        self._values = {key: str(value) for key, value in values.items()}
        if changed:
            self.publish()

    def report_dropped(self, topic: str, error: Exception) -> None:
        """Says for some seconds that a message was dropped, and why."""
        self._dropped, self._dropped_at = f"{topic}: {error}", time.monotonic()
        self.report(ERROR, self._dropped)
        self._node.get_logger().error(f"dropped on {topic}: {error}", throttle_duration_sec=2.0)

    def publish(self) -> None:
        """Publishes the entry; called once a second."""
        if self._diagnostics is None:
            return
        shown = time.monotonic() - self._dropped_at < DROPPED_SHOWN
        if self._message == self._dropped and not shown:
            # Nodes that have more to say of themselves do so by and by.
            self._level, self._message = OK, _READY if self._is_ready else _WAITING
        status = DiagnosticStatus(
            level=self._level,
            # /diagnostics is shared by the graphs of all namespaces.
            name=self._node.get_fully_qualified_name().lstrip("/"),
            message=self._message,
            values=[KeyValue(key=k, value=v) for k, v in self._values.items()],
        )
        message = DiagnosticArray(status=[status])
        message.header.stamp = self._node.get_clock().now().to_msg()
        self._diagnostics.publish(message)

    # -- signs of life --------------------------------------------------------------------------
    @property
    def is_beating(self) -> bool:
        """Whether a heartbeat of its own thread runs."""
        return self._heartbeat is not None

    def kick(self) -> None:
        """The executor runs: a sign of life, or the right to give some for `callback_timeout`."""
        if not self._callback_timeout:
            self._publish_alive()
        elif self._heartbeat is None:
            self._heartbeat = HeartbeatPublisher(
                self._publish_alive, HEARTBEAT, self._callback_timeout
            )
        else:
            self._heartbeat.kick()

    def stop_heartbeat(self) -> None:
        """Returns once the last sign of life has been given."""
        if self._heartbeat is not None:
            self._heartbeat.stop()
            self._heartbeat = None

    def _publish_alive(self) -> None:
        if self._alive is not None:
            self._alive.publish(String(data=self._node.get_name()))

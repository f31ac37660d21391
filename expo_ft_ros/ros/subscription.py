# SPDX-License-Identifier: Apache-2.0
"""A subscription of the graph: it hears the topic's one publisher, while the node is active."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSCompatibility, QoSProfile, qos_check_compatible
from rclpy.subscription import Subscription
from rclpy.utilities import get_rmw_implementation_identifier

from expo_ft_ros.graph.topics import Topic
from expo_ft_ros.recording.messages import BadMessage, is_zero, nanoseconds
from expo_ft_ros.ros.publisher_guard import PublisherGuard
from expo_ft_ros.ros.qos import message_type, reader_qos

_EVERY = ("every",)
_WITH_INFO = inspect.signature(lambda message, info: None)


def not_alone(publishers: int) -> str:
    """What is wrong, and the remedy, where several publish what one should."""
    return (
        f"{publishers} publish here, where one does (stop the other; one that was killed is gone "
        "after ten seconds)"
    )


class GuardedSubscription:
    """Hands a topic's messages to a callback, and drops what doesn't belong there.

    A latched message that arrives before the node is active is kept for then. In lock-step one
    that is older than the newest is late and dropped. A BadMessage that the callback raises is
    dropped and reported, too: where it is missed, a deadline stops the arm.
    """

    def __init__(
        self,
        node: Node,
        entry: Topic,
        callback: Callable[..., None],
        *,
        lockstep: bool,
        is_active: Callable[[], bool],
        on_dropped: Callable[[str, Exception], None],
        type_name: str | None = None,
        remapped: str | None = None,
        timed: bool = False,
        on_rejected: Callable[[Any], None] | None = None,
    ) -> None:
        """Subscribes.

        Args:
            node: Whose subscription it is.
            entry: The topic's entry in the table.
            callback: Called with a message; where `timed`, also with the system time at which it
                was sent [ns].
            lockstep: Whether time advances in lock-step.
            is_active: Whether the node is active now.
            on_dropped: Called with the topic and the error of a message that was dropped.
            type_name: Another type than the table's, with the same quality of service.
            remapped: Another name, likewise.
            timed: See `callback`.
            on_rejected: Called with what another than the topic's publisher says.
        """
        self._entry, self._callback, self._timed = entry, callback, timed
        self._is_active, self._on_dropped, self._on_rejected = is_active, on_dropped, on_rejected
        self._latched = entry.durability == "transient_local"
        # Of a state only the newest counts. By the system's clock, which may be set back, a stamp
        # is no order; there the order of its one publisher is.
        self._ordered = self._latched and lockstep
        # `nodes/stop.py` may have to, while one that has died seems to be there. In lock-step the
        # robot stands by itself.
        self._stop_from_anybody = entry.commands and not lockstep
        self._newest = 0
        self._kept: list[tuple[Any, Mapping[str, Any]]] = []
        qos = reader_qos(entry, lockstep=lockstep)

        def take(*given: Any) -> None:
            message, info = given if len(given) == 2 else given[0]
            self._take(message, info)

        # By its signature rclpy knows what to give; its events executor gives both as one tuple.
        take.__signature__ = _WITH_INFO  # type: ignore[attr-defined]

        self.subscription: Subscription[Any] = node.create_subscription(
            message_type(type_name or entry.type), remapped or entry.name, take, qos
        )
        self._guard = PublisherGuard(
            self.subscription.get_publisher_count,
            lambda: _identities(node, self.subscription.topic_name, qos),
            reject_permanently=entry.commands,
        )

    @property
    def name(self) -> str:
        """The topic's name in the table."""
        return self._entry.name

    @property
    def has_one_publisher(self) -> bool:
        """Whether the topic is one node's, so that a second publisher is a fault."""
        return self._entry.publishers != _EVERY and not self._entry.shared

    @property
    def publishers(self) -> int:
        """How many publish now."""
        return self.subscription.get_publisher_count()

    def refresh(self) -> None:
        """Looks who publishes; called now and then."""
        if self.has_one_publisher:
            self._guard.refresh()

    def deliver_kept(self) -> None:
        """Hands on what arrived before the node was active."""
        kept, self._kept = self._kept, []
        for message, info in kept:
            self._take(message, info)

    def _take(self, message: Any, info: Mapping[str, Any]) -> None:
        if not self._is_active():
            if self._latched:
                self._kept = [*self._kept, (message, info)][-self._entry.depth :]
            return
        try:
            self._deliver(message, info)
        except BadMessage as error:
            self._on_dropped(self.name, error)

    def _deliver(self, message: Any, info: Mapping[str, Any]) -> None:
        if not self._is_believed(message, info):
            if self._on_rejected is not None:
                self._on_rejected(message)
            raise BadMessage(not_alone(self.publishers))
        header = getattr(message, "header", None) if self._ordered else None
        stamp = nanoseconds(header.stamp) if header is not None else self._newest
        if stamp < self._newest:
            raise BadMessage(f"older by {1e-9 * (self._newest - stamp):.2f} s than the newest")
        if self._timed:
            self._callback(message, info["source_timestamp"])
        else:
            self._callback(message)
        self._newest = stamp

    def _is_believed(self, message: Any, info: Mapping[str, Any]) -> bool:
        if not self.has_one_publisher or (self._stop_from_anybody and is_zero(message)):
            return True
        return self._guard.accepts(info)


def _identities(node: Node, name: str, qos: QoSProfile) -> list[bytes]:
    """Of all who publish a topic; other middlewares give messages another name of their publisher
    than this one (rmw_cyclonedds, issue 446)."""
    if not get_rmw_implementation_identifier().startswith("rmw_fastrtps"):
        return []
    found = node.get_publishers_info_by_topic(name)
    # Who can't be heard isn't counted either.
    return [bytes(it.endpoint_gid) for it in found if _fits(it.qos_profile, qos)]


def _fits(writer: QoSProfile, reader: QoSProfile) -> bool:
    return bool(qos_check_compatible(writer, reader)[0] != QoSCompatibility.ERROR)

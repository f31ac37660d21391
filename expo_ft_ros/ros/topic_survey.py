# SPDX-License-Identifier: Apache-2.0
"""Listens to topics for some seconds, as any reader would, and says nothing itself."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import rclpy
from numpy.typing import NDArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from rclpy.subscription import MessageInfo

from expo_ft_ros.ros.qos import message_type

NODE = "doctor"
_DEPTH = 100  # of messages that wait while others are counted
_READER = QoSProfile(
    history=HistoryPolicy.KEEP_LAST, depth=_DEPTH, reliability=ReliabilityPolicy.BEST_EFFORT
)
_CDR = 4  # bytes before a message
_STAMPS = {True: struct.Struct("<iI"), False: struct.Struct(">iI")}
_ACTION_STATUS = "_action/status"


class DriverTopic(NamedTuple):
    """What is listened to.

    Attributes:
        name: As a run in the namespace would name it.
        type: "package/Message".
        stamped: Whether it begins with a header.
        kept: Whether the messages themselves are kept, else the newest alone.
    """

    name: str
    type: str
    stamped: bool = True
    kept: bool = False


@dataclass(frozen=True)
class Heard:
    """What came of a topic.

    Attributes:
        publishers: How many there were at the end.
        types: Others than the expected one that are published under its name.
        arrivals: (n,) when each message came to this machine, by its clock [s].
        stamps: (n,) of their headers [s]; NaN where there is none.
        messages: Those that were kept, decoded; the newest last.
    """

    publishers: int = 0
    types: tuple[str, ...] = ()
    arrivals: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    stamps: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    messages: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Survey:
    """What was found in a domain.

    Attributes:
        topics: Name, as it was asked for -> what came.
        listeners: Name of a topic that was asked about -> how many listen there.
        writers: Name of the same -> how many publish there.
        actions, services: Names of those that are offered.
        nodes: Names of all nodes, with their namespaces, without this one.
        namespace: In which relative names are.
    """

    topics: Mapping[str, Heard]
    listeners: Mapping[str, int]
    writers: Mapping[str, int]
    actions: frozenset[str]
    services: frozenset[str]
    nodes: tuple[str, ...]
    namespace: str = ""

    def resolved(self, name: str) -> str:
        """The whole name of a topic, service or node."""
        own = "/".join(filter(None, (self.namespace.strip("/"), name)))
        return name if name.startswith("/") else f"/{own}"


def listen(
    topics: Sequence[DriverTopic], asked: Sequence[str], namespace: str, seconds: float
) -> Survey:
    """Listens, then looks who is there.

    Args:
        topics: What to listen to.
        asked: Names of further topics, whose publishers and listeners are counted.
        namespace: In which relative names are.
        seconds: How long.
    """
    came = {topic.name: _Came(topic) for topic in topics}
    with _spinning(namespace) as (node, spin):
        for topic in topics:
            take = came[topic.name].take
            node.create_subscription(message_type(topic.type), topic.name, take, _READER, raw=True)
        spin(seconds)
        names = dict(node.get_topic_names_and_types())
        return Survey(
            {name: each.heard(node, names) for name, each in came.items()},
            {name: node.count_subscribers(name) for name in asked},
            {name: node.count_publishers(name) for name in asked},
            frozenset(
                name.removesuffix(f"/{_ACTION_STATUS}")
                for name in names
                if name.endswith(_ACTION_STATUS) and node.count_publishers(name)
            ),
            frozenset(name for name, _ in node.get_service_names_and_types()),
            tuple(
                sorted(
                    f"{space.rstrip('/')}/{name}"
                    for name, space in node.get_node_names_and_namespaces()
                    if name != NODE
                )
            ),
            namespace,
        )


@contextmanager
def _spinning(namespace: str) -> Iterator[tuple[Node, Callable[[float], None]]]:
    """A node, and what has it hear for some seconds."""
    context = rclpy.Context()
    rclpy.init(args=[], context=context)
    try:
        node = Node(NODE, namespace=namespace or "/", context=context)
        executor = SingleThreadedExecutor(context=context)
        executor.add_node(node)

        def spin(seconds: float) -> None:
            end = time.monotonic() + seconds
            while (left := end - time.monotonic()) > 0:
                executor.spin_once(timeout_sec=left)

        yield node, spin
        executor.shutdown()
        node.destroy_node()
    finally:
        rclpy.shutdown(context=context)


class _Came:
    """What comes of a topic; nothing is decoded before it is over."""

    def __init__(self, topic: DriverTopic) -> None:
        self._topic = topic
        self._stamps: list[float] = []
        self._arrivals: list[float] = []
        self._data: list[bytes] = []

    def take(self, data: Any, info: MessageInfo) -> None:
        """A message, which the middleware had received before it could be taken."""
        self._arrivals.append(1e-9 * info["received_timestamp"])
        self._stamps.append(_stamp(data) if self._topic.stamped else np.nan)
        if not self._topic.kept:
            self._data.clear()
        self._data.append(data)

    def heard(self, node: Node, names: Mapping[str, Sequence[str]]) -> Heard:
        """All of it."""
        topic = self._topic
        package, _, title = topic.type.partition("/")
        whole = node.resolve_topic_name(topic.name)
        others = set(names.get(whole, ())) - {f"{package}/msg/{title}"}
        type_ = message_type(topic.type)
        return Heard(
            node.count_publishers(topic.name),
            tuple(sorted(others)),
            np.array(self._arrivals, dtype=np.float64),
            np.array(self._stamps, dtype=np.float64),
            tuple(deserialize_message(data, type_) for data in self._data),
        )


def _stamp(data: bytes) -> float:
    """Of a message that begins with a header, in CDR, whose second byte says the order of bytes."""
    order = _STAMPS[bool(data[1] & 1)]
    seconds, nanoseconds = order.unpack_from(data, _CDR)
    return float(seconds) + 1e-9 * float(nanoseconds)

# SPDX-License-Identifier: Apache-2.0
"""From the topic table to rclpy: message types and quality-of-service profiles."""

from __future__ import annotations

import importlib
from typing import Any

from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy

from expo_ft_ros.graph.topics import Topic

_ROOM = 10  # messages that a reader can hold, of all publishers together

_RELIABILITY = {
    "reliable": ReliabilityPolicy.RELIABLE,
    "best_effort": ReliabilityPolicy.BEST_EFFORT,
}
_DURABILITY = {
    "volatile": DurabilityPolicy.VOLATILE,
    "transient_local": DurabilityPolicy.TRANSIENT_LOCAL,
}


def qos_of(topic: Topic, *, lockstep: bool = False) -> QoSProfile:
    """The profile of a table entry.

    lockstep: overrides a best-effort entry, since a lost frame would cost the half second after
    which it is sent again.
    """
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=topic.depth,
        reliability=ReliabilityPolicy.RELIABLE if lockstep else _RELIABILITY[topic.reliability],
        durability=_DURABILITY[topic.durability],
    )


def reader_qos(topic: Topic, *, lockstep: bool = False) -> QoSProfile:
    """As `qos_of`, with room for what nobody should have said: a reader keeps one history over all
    writers of a topic, and the sender's word must not be lost to another's."""
    made = qos_of(topic, lockstep=lockstep)
    if topic.reliability == "reliable":
        made.depth = max(made.depth, _ROOM)
    return made


def message_type(name: str) -> type[Any]:
    """The message class of "package/Message"."""
    return _interface(name, "msg")


def service_type(name: str) -> type[Any]:
    """The service class of "package/Service"."""
    return _interface(name, "srv")


def _interface(name: str, kind: str) -> type[Any]:
    package, _, title = name.partition("/")
    try:
        found: type[Any] = getattr(importlib.import_module(f"{package}.{kind}"), title)
    except (ImportError, AttributeError) as error:
        raise ImportError(
            f"interface {package}/{kind}/{title} is not installed ({error}); build the package "
            "(./expo-ft sets it up) or source the workspace that holds it"
        ) from error
    return found

# SPDX-License-Identifier: Apache-2.0
"""The newest message of a driver's topic, which may come a thousand times a second."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message

from expo_ft_ros.recording.messages import BadMessage
from expo_ft_ros.ros.subscription import not_alone

M = TypeVar("M")

DRIVER_QOS = QoSProfile(
    history=HistoryPolicy.KEEP_LAST, depth=1, reliability=ReliabilityPolicy.BEST_EFFORT
)
"""A reader that matches every driver, reliable or not, and never has an older message wait."""


class NewestMessage(Generic[M]):
    """Keeps a topic's newest message as it came, and decodes it only when it is asked for.

    An adapter needs one a cycle; to decode a FrankaRobotState at 1 kHz would fill a core.
    """

    def __init__(self, node: Node, type_: type[M], topic: str) -> None:
        """Subscribes, best effort, to the newest.

        Args:
            node: Whose subscription it is.
            type_: The message's class.
            topic: Its name.
        """
        self._type = type_
        self._bytes: bytes | None = None
        self._message: M | None = None
        self.subscription: Any = node.create_subscription(
            type_, topic, self._take, DRIVER_QOS, raw=True
        )

    @property
    def topic(self) -> str:
        """The topic's whole name."""
        return str(self.subscription.topic_name)

    def read(self) -> M:
        """The newest message.

        Raises:
            BadMessage: where none has come, or several nodes publish the topic.
        """
        publishers = self.subscription.get_publisher_count()
        if publishers > 1:
            raise BadMessage(f"{self.topic}: {not_alone(publishers)}")
        if self._message is None:
            if self._bytes is None:
                who = "nobody publishes it" if publishers == 0 else "nothing has come"
                raise BadMessage(f"{self.topic}: {who} (is the driver up, and is this its topic?)")
            self._message = deserialize_message(self._bytes, self._type)
        return self._message

    def _take(self, data: bytes) -> None:
        self._bytes, self._message = data, None

# SPDX-License-Identifier: Apache-2.0
"""Feeds an EpisodeGatherer from the topics; the recorder and the learner share it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from expo_ft_ros.data.episode import Episode
from expo_ft_ros.recording.episode_builder import PARTS, EpisodeGatherer
from expo_ft_ros.recording.episode_store import DISCARDED, INCOMPLETE
from expo_ft_ros.recording.messages import BadMessage
from expo_ft_ros.ros.graph_node import GraphNode

# An episode that is over, but of which parts are missing after so long, will not become whole.
GIVE_UP_AFTER = 5.0
_AT_ONCE = 10  # episodes of which a busy node may have heard nothing


class EpisodeFeed:
    """Subscribes for `node` and hands each complete episode to `on_episode`, once.

    on_dropped(number, cause): called for an episode that is not to be learned from, cause being
    `episode_store.DISCARDED` or INCOMPLETE; on_message(topic, message): called with every message
    of an episode's parts, before it is taken; robot: name of one that has joined the node's run,
    whose topics are in a namespace of that name, empty for the node's own graph. A robot's steps
    bear its name: another's are refused.
    """

    def __init__(
        self,
        node: GraphNode[Any],
        gatherer: EpisodeGatherer,
        on_episode: Callable[[Episode], None],
        on_dropped: Callable[[int, str], None],
        on_message: Callable[[str, Any], None] | None = None,
        robot: str = "",
    ) -> None:
        self._node = node
        self._gatherer = gatherer
        self._on_episode = on_episode
        self._on_dropped = on_dropped
        self._on_message = on_message
        self._robot = robot
        self._open: dict[int, float] = {}
        self._newest = 0
        self._subscriptions = [
            node.subscription(
                name,
                partial(self._take, name),
                needed=not robot,
                remapped=f"{robot}/{name}" if robot else None,
            )
            for name in PARTS
        ]
        self._timer = node.wall_timer(1.0, self._give_up)

    @property
    def is_heard(self) -> bool:
        """Whether each part has its one publisher now."""
        return all(part.get_publisher_count() == 1 for part in self._subscriptions)

    @property
    def is_gone(self) -> bool:
        """Whether nobody publishes any part now."""
        return not any(part.get_publisher_count() for part in self._subscriptions)

    def close(self) -> None:
        """Hears no more; an episode that isn't whole is forgotten."""
        for entity in (*self._subscriptions, self._timer):
            self._node.drop(entity)

    def _take(self, topic: str, message: Any) -> None:
        """Raises BadMessage for an episode out of nowhere: all later ones would be old."""
        number = int(message.episode)
        if self._robot and topic == "step" and message.robot != self._robot:
            raise BadMessage(f"a step of robot {message.robot!r}, not of {self._robot!r}")
        if self._newest and number > self._newest + _AT_ONCE:
            raise BadMessage(f"episode {number} of nowhere (the newest is {self._newest})")
        self._newest = max(self._newest, number)
        if self._on_message is not None:
            self._on_message(topic, message)
        ended = self._gatherer.take(topic, message)
        if ended:
            self._open[ended] = self._node.wall_time()
        if self._open:
            self._hand_on()

    def _hand_on(self) -> None:
        for episode in self._gatherer.pop_complete():
            self._open.pop(episode.outcome.episode, None)
            self._on_episode(episode)
        for number in self._gatherer.pop_dropped():
            self._open.pop(number, None)
            self._on_dropped(number, DISCARDED)

    def _give_up(self) -> None:
        now = self._node.wall_time()
        for number in [n for n, since in self._open.items() if now - since > GIVE_UP_AFTER]:
            whose = f" of robot {self._robot}" if self._robot else ""
            self._node.get_logger().error(
                f"episode {number}{whose} is over, but parts of it never came: it is left out"
            )
            del self._open[number]
            self._gatherer.give_up(number)
            self._on_dropped(number, INCOMPLETE)

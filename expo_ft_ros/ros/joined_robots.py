# SPDX-License-Identifier: Apache-2.0
"""The robots that have joined a run, as its learner knows them: who is there, and what they did."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from diagnostic_msgs.msg import KeyValue
from rclpy.publisher import Publisher

from expo_ft_ros.data.episode import Episode
from expo_ft_ros.experiment.joined import PRESENT_PERIOD, require_robot_name, two_of_a_name
from expo_ft_ros.msg import LearnerStatus
from expo_ft_ros.recording.episode_builder import EpisodeGatherer
from expo_ft_ros.recording.messages import BadMessage
from expo_ft_ros.ros.episode_subscriber import EpisodeFeed
from expo_ft_ros.ros.graph_node import GraphNode

LOST_AFTER = 5.0
"""A robot that says nothing for so long, and publishes nothing any more, is lost [s]."""
_REPLACED_AFTER = 3 * PRESENT_PERIOD  # where another process says so under its name [s]
_LOOK_PERIOD = 0.25


@dataclass
class _Robot:
    where: str
    feed: EpisodeFeed
    status_out: Publisher[LearnerStatus]
    seen: float
    is_told: bool = False


class JoinedRobots:
    """Hears on `robots/present` who takes part, and takes the episodes of each as those of a graph
    of its own: none is ever made of the parts of two robots.

    One that is lost takes what it was about with it; the others go on. It may come back, by the
    same name. Each is told of the learner on `learner/status` of its own namespace, from when all
    that it says is heard on; before that it begins no episode.
    """

    def __init__(
        self,
        node: GraphNode[Any],
        view_names: Sequence[str],
        image_size: int,
        on_episode: Callable[[Episode], None],
        on_dropped: Callable[[str, int], None],
    ) -> None:
        """Begins without any.

        Args:
            node: The learner.
            view_names: Of the run's own robot; those that join have the same.
            image_size: Side of the kept images [px].
            on_episode: Called with each whole episode; its `robot` says whose it is.
            on_dropped: Called with the robot's name and the number of an episode that is over and
                not to be learned from.
        """
        self._node, self._view_names, self._image_size = node, view_names, image_size
        self._on_episode, self._on_dropped = on_episode, on_dropped
        self._robots: dict[str, _Robot] = {}
        # The learner's worker tells, too, while its executor drops what is lost.
        self._lock = threading.Lock()
        node.subscription("robots/present", self._on_present, needed=False)
        node.wall_timer(_LOOK_PERIOD, self._look)

    def tell(self, message_for: Callable[[str], LearnerStatus]) -> None:
        """Tells each robot how the learner is. message_for: the message for a robot's name."""
        with self._lock:
            for name, robot in self._robots.items():
                if robot.is_told:
                    robot.status_out.publish(message_for(name))

    def _on_present(self, message: KeyValue) -> None:
        name, where = message.key, message.value
        try:
            require_robot_name(name)
        except ValueError as error:
            raise BadMessage(str(error)) from None
        now, robot = self._node.wall_time(), self._robots.get(name)
        if robot is not None and robot.where != where:
            if now - robot.seen < _REPLACED_AFTER:
                raise BadMessage(two_of_a_name(name, robot.where, where))
            self._lose(name)
            robot = None
        if robot is None:
            self._begin(name, where)
        else:
            robot.seen = now

    def _begin(self, name: str, where: str) -> None:
        feed = EpisodeFeed(
            self._node,
            EpisodeGatherer(self._view_names, self._image_size),
            self._on_episode,
            lambda number, cause: self._on_dropped(name, number),
            robot=name,
        )
        status = self._node.publisher("learner/status", remapped=f"{name}/learner/status")
        with self._lock:
            self._robots[name] = _Robot(where, feed, status, self._node.wall_time())
        self._node.get_logger().info(f"robot {name} has joined: {where}")

    def _lose(self, name: str) -> None:
        with self._lock:
            robot = self._robots.pop(name)
            robot.feed.close()
            self._node.drop(robot.status_out)
        self._node.get_logger().warning(
            f"robot {name} is lost ({robot.where}): an episode that it was in is left out, the "
            "others go on"
        )

    def _look(self) -> None:
        now = self._node.wall_time()
        for name, robot in list(self._robots.items()):
            # A learner that was busy hears late of who is there.
            if now - robot.seen > LOST_AFTER and robot.feed.is_gone:
                self._lose(name)
            elif not robot.is_told and robot.feed.is_heard:
                robot.is_told = True

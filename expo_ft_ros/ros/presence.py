# SPDX-License-Identifier: Apache-2.0
"""A robot's word that it takes part in a run, which has one of each name."""

from __future__ import annotations

from typing import Any

from diagnostic_msgs.msg import KeyValue

from expo_ft_ros.experiment.joined import PRESENT_PERIOD, this_process, two_of_a_name
from expo_ft_ros.ros.graph_node import GraphNode

_LISTENS = 4  # periods before the first word: one of the same name would have been heard


class Presence:
    """Says on `robots/present` who takes part, from when nobody else of the name was heard on."""

    def __init__(self, node: GraphNode[Any], name: str) -> None:
        """Begins by listening.

        Args:
            node: Of the robot's graph; its end is the robot's.
            name: The robot's in the run.
        """
        self._name, self._where = name, this_process()
        self._periods = 0
        self._out = node.publisher("robots/present")
        node.subscription("robots/present", self._on_other, needed=False)
        node.wall_timer(PRESENT_PERIOD, self._tell)

    def _tell(self) -> None:
        self._periods += 1
        if self._periods > _LISTENS:
            self._out.publish(KeyValue(key=self._name, value=self._where))

    def _on_other(self, message: KeyValue) -> None:
        """Raises RuntimeError where somebody else has the name: who was there first keeps it; of
        two that begin at once, one."""
        if message.key != self._name or message.value == self._where:
            return
        if self._periods <= _LISTENS or self._where > message.value:
            raise RuntimeError(two_of_a_name(self._name, message.value, self._where))

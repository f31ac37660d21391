# SPDX-License-Identifier: Apache-2.0
"""How a policy's node answers: a chunk for an observation, and the candidates beside it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from std_msgs.msg import String

from expo_ft_ros.data.types import (
    ActionChunk,
    CandidateKind,
    Candidates,
    FloatArray,
    Observation,
    chunk_id,
)
from expo_ft_ros.msg import ActionChunk as ActionChunkMsg
from expo_ft_ros.msg import Observation as ObservationMsg
from expo_ft_ros.recording.messages import observation_from_msg
from expo_ft_ros.robots import load_robot
from expo_ft_ros.ros.graph_node import GraphNode
from expo_ft_ros.ros.messages import candidates_to_msg, chunk_to_msg

Chosen = tuple[FloatArray, Candidates, int]
"""(H, 7) actions, what they were chosen from, and the version of the weights."""


class ChunkPublisher:
    """Answers observations of a node in which a chunk is wanted. One that comes again is answered
    by the same chunk again. Every policy's node has `policy/lost`, so that nobody else is alone
    there; only that of a server ever has a cause to tell."""

    def __init__(self, node: GraphNode[Any]) -> None:
        self._view_names = load_robot(node.parameters.robot).view_names
        self._newest_id = 0
        self._last: ActionChunkMsg | None = None
        self._chunk_out = node.publisher("policy/chunk", needed=1)
        self._candidates_out = node.publisher("policy/candidates")
        self._lost_out = node.publisher("policy/lost")
        self.lost("")

    def lost(self, cause: str) -> None:
        """Says why there are no chunks; "": there are."""
        self._lost_out.publish(String(data=cause))

    def answer(self, message: ObservationMsg, choose: Callable[[Observation], Chosen]) -> None:
        """Publishes what is chosen on an observation; what `choose` raises is raised, and the
        observation may come again."""
        if not message.chunk_wanted:
            return
        if self._last is None or message.number > self._last.observation:
            actions, choice, version = choose(observation_from_msg(message, self._view_names))
            self._newest_id += 1
            number = chunk_id(self._newest_id, explored=choice.explored)
            kind = CandidateKind(choice.chosen_kind)
            chunk = ActionChunk(number, message.number, actions, choice.chosen_q, kind)
            self._last = chunk_to_msg(chunk, message.header, version)
            self._chunk_out.publish(self._last)
            if self._candidates_out.get_subscription_count() > 0:
                self._candidates_out.publish(candidates_to_msg(choice, message.header))
        elif message.number == self._last.observation:
            self._chunk_out.publish(self._last)

# SPDX-License-Identifier: Apache-2.0
"""Answers an observation with a chunk where one is wanted, and shows every candidate."""

from __future__ import annotations

from expo_ft_ros.data.types import Observation
from expo_ft_ros.graph.topics import CALLBACK_TIMEOUT_LONG
from expo_ft_ros.msg import LearnerStatus, SessionPlan
from expo_ft_ros.msg import Observation as ObservationMsg
from expo_ft_ros.ros.agent_handle import LIVE_WEIGHTS, AgentHandle, LearningParameters
from expo_ft_ros.ros.chunk_publisher import Chosen, ChunkPublisher
from expo_ft_ros.ros.graph_node import OK, GraphNode
from expo_ft_ros.ros.live_weights import LiveWeights
from expo_ft_ros.ros.process import main as run_nodes
from expo_ft_ros.ros.session_messages import plan_from_msg


class PolicyNode(GraphNode[LearningParameters]):
    """The agent of this process acts; see `ChunkPublisher` for how it is told."""

    NAME = "policy"
    CALLBACK_TIMEOUT = CALLBACK_TIMEOUT_LONG
    PARAMETERS = LearningParameters

    def __init__(self, shared: AgentHandle | None = None) -> None:
        self._shared = shared or AgentHandle()
        super().__init__()

    def _setup(self) -> None:
        self._agent = self._shared.get(self.parameters)
        self._mode, self._planned = "sample", ""
        self._out = ChunkPublisher(self)
        self.subscription("session/plan", self._on_plan)
        self.subscription("observation", self._on_observation)
        self._live: LiveWeights | None = None
        if self.parameters.mode == "async":
            self._live = LiveWeights(self.parameters.learner_folder / LIVE_WEIGHTS, self._agent)
            self.subscription("learner/status", self._on_learner)

    def _teardown(self) -> None:
        live = getattr(self, "_live", None)
        if live is not None:
            live.close()

    def _on_plan(self, message: SessionPlan) -> None:
        evaluates = plan_from_msg(message).policy == "mode"
        mode = "mode" if evaluates else "sample"
        if mode != self._planned and self._live is not None:
            # The plan may overtake the learner's word of its last update; no episode is on.
            with self._shared.lock:
                self._live.take_newest()
        self._mode = self._planned = mode
        if evaluates:
            with self._shared.lock:
                self._agent.begin_evaluation(message.seed)

    def _on_learner(self, message: LearnerStatus) -> None:
        if self._live is None:
            return
        # An evaluation is of one set of weights.
        if self._mode != "mode":
            self._live.hear_of(message.version)
        self.report(OK, "acting", version=self._agent.version, versions_behind=self._live.behind)

    def _on_observation(self, message: ObservationMsg) -> None:
        self._out.answer(message, self._choose)

    def _choose(self, observation: Observation) -> Chosen:
        with self._shared.lock:
            if self._live is not None and self._live.ready:
                self._live.take()
            result = self._agent.act(observation, self._mode)
            return result.actions, result.choice(observation.number), self._agent.version


def main() -> None:
    """Runs the policy node alone (async mode)."""
    run_nodes(PolicyNode)


if __name__ == "__main__":
    main()

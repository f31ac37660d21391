# SPDX-License-Identifier: Apache-2.0
"""Answers an observation with a chunk where one is wanted, and shows every candidate."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from expo_ft_ros.data.types import Observation
from expo_ft_ros.graph.topics import CALLBACK_TIMEOUT_LONG
from expo_ft_ros.msg import LearnerStatus, SessionPlan
from expo_ft_ros.msg import Observation as ObservationMsg
from expo_ft_ros.rl.checkpoint import load_state
from expo_ft_ros.ros.agent_handle import LIVE_WEIGHTS, AgentHandle, LearningParameters
from expo_ft_ros.ros.chunk_publisher import Chosen, ChunkPublisher
from expo_ft_ros.ros.graph_node import OK, GraphNode
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
        self._mode = "sample"
        self._out = ChunkPublisher(self)
        self.subscription("session/plan", self._on_plan)
        self.subscription("observation", self._on_observation)
        if self.parameters.mode == "async":
            self._live = Path(self.parameters.run_dir) / LIVE_WEIGHTS
            self._told = self._agent.version
            # Weights are read beside acting, and taken up between two chunks.
            self._reader = ThreadPoolExecutor(1, "weights")
            self._read: Future[dict[str, Any]] | None = None
            self.subscription("learner/status", self._on_learner)

    def _teardown(self) -> None:
        reader = getattr(self, "_reader", None)
        if reader is not None:
            reader.shutdown()

    def _on_plan(self, message: SessionPlan) -> None:
        evaluates = plan_from_msg(message).policy == "mode"
        if evaluates and self._mode != "mode" and self.parameters.mode == "async":
            # What is being read may be older than the file, and the plan may overtake the learner's
            # word of its last update; no episode is on.
            self._take_weights()
            self._read_weights()
            self._take_weights()
        self._mode = "mode" if evaluates else "sample"
        if evaluates:
            with self._shared.lock:
                self._agent.begin_evaluation(message.seed)

    def _on_learner(self, message: LearnerStatus) -> None:
        """Has new weights read; the file is there before its version is told."""
        # An evaluation is of one set of weights.
        if self._mode != "mode" and message.version > self._told:
            self._told = message.version
            self._read_weights()
        behind = self._told - self._agent.version
        self.report(OK, "acting", version=self._agent.version, versions_behind=behind)

    def _read_weights(self) -> None:
        """Has the file read, unless it is being read already: a learner that is quicker than the
        disk would have none taken up."""
        if self._read is None and self._live.exists():
            self._read = self._reader.submit(load_state, self._live)

    def _take_weights(self) -> None:
        """Takes up what is being read, waiting for it; has newer ones read that were told of
        meanwhile."""
        if self._read is None:
            return
        state, self._read = self._read.result(), None
        with self._shared.lock:
            self._agent.take_weights(self._live, state)
        self._told = max(self._told, self._agent.version)
        if self._told > self._agent.version:
            self._read_weights()

    def _on_observation(self, message: ObservationMsg) -> None:
        self._out.answer(message, self._choose)

    def _choose(self, observation: Observation) -> Chosen:
        if self.parameters.mode == "async" and self._read is not None and self._read.done():
            self._take_weights()
        with self._shared.lock:
            result = self._agent.act(observation, self._mode)
            return result.actions, result.choice(observation.number), self._agent.version


def main() -> None:
    """Runs the policy node alone (async mode)."""
    run_nodes(PolicyNode)


if __name__ == "__main__":
    main()

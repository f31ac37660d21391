# SPDX-License-Identifier: Apache-2.0
"""Answers an observation with a chunk of a policy server's, where one is wanted.

While the server is lost `policy/lost` says why, which holds the arm; a server that answers what
can't be executed ends the node, and with it the run.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from expo_ft_ros.data.types import CandidateKind, Candidates, Observation
from expo_ft_ros.graph.topics import CALLBACK_TIMEOUT_LONG
from expo_ft_ros.msg import Observation as ObservationMsg
from expo_ft_ros.robots import load_robot
from expo_ft_ros.ros.chunk_publisher import Chosen, ChunkPublisher
from expo_ft_ros.ros.graph_node import ERROR, OK, GraphNode, NodeParameters, parameter
from expo_ft_ros.ros.process import main as run_nodes
from expo_ft_ros.serving.client import ServerLost
from expo_ft_ros.serving.config import DEFAULT_KEYS, load_server_config
from expo_ft_ros.serving.remote_policy import RemotePolicy
from expo_ft_ros.tasks import load_task

_RETRY_PERIOD = 0.1  # [s]; how often it is tried is the policy's own affair


@dataclass(frozen=True)
class PolicyClientParameters(NodeParameters):
    """Parameters of the policy server's client."""

    address: str = parameter("", "Of the policy server: ws://<host>:<port>.")
    keys: str = parameter(
        DEFAULT_KEYS, "What it calls what it is sent: a file of config/policy_servers, or a path."
    )


class PolicyClientNode(GraphNode[PolicyClientParameters]):
    """The policy node, where the policy is on a server."""

    NAME = "policy"
    CALLBACK_TIMEOUT = CALLBACK_TIMEOUT_LONG
    PARAMETERS = PolicyClientParameters

    def _setup(self) -> None:
        wanted = self.parameters
        if not wanted.address:
            raise ValueError("address is empty: no policy server is named (ws://<host>:<port>)")
        self._task = load_task(wanted.task)
        config, robot = load_server_config(wanted.keys), load_robot(wanted.robot)
        self._policy = RemotePolicy(wanted.address, config, self._task, robot)
        self._policy.open()
        self._told = ""
        self._out = ChunkPublisher(self)
        self.subscription("observation", self._on_observation)
        self.wall_timer(_RETRY_PERIOD, self._try_again)

    def _teardown(self) -> None:
        if hasattr(self, "_policy"):
            self._policy.close()

    def _on_observation(self, message: ObservationMsg) -> None:
        try:
            self._out.answer(message, self._choose)
        except ServerLost:
            self._tell()

    def _choose(self, observation: Observation) -> Chosen:
        actions = self._policy.act(observation)
        unknown = np.full(1, np.nan, np.float32)
        executed = actions[None, : self._task.execute_steps]
        kinds = np.array([CandidateKind.BASE], np.uint8)
        return actions, Candidates(observation.number, executed, unknown, kinds, 0), 0

    def _try_again(self) -> None:
        self._policy.try_again()
        self._tell()

    def _tell(self) -> None:
        """Where it has changed whether the server is lost."""
        lost = self._policy.lost
        if lost == self._told:
            return
        self._told = lost
        self._out.lost(lost)
        if lost:
            self.get_logger().error(lost)
            self.report(ERROR, lost)
        else:
            self.get_logger().info(f"policy server {self._policy.address}: connected again")
            self.report(OK, "ready")


def main() -> None:
    """Runs the node."""
    run_nodes(PolicyClientNode)


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: Apache-2.0
"""Policy and learner in one process that share one agent: sync mode."""

from __future__ import annotations

from expo_ft_ros.nodes.learner import LearnerNode
from expo_ft_ros.nodes.policy import PolicyNode
from expo_ft_ros.ros.agent_handle import AgentHandle
from expo_ft_ros.ros.process import main as run_nodes


def main() -> None:
    """Runs both nodes; they keep their own names."""
    shared = AgentHandle()
    run_nodes(lambda: LearnerNode(shared), lambda: PolicyNode(shared))


if __name__ == "__main__":
    main()

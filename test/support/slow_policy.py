# SPDX-License-Identifier: Apache-2.0
"""The process of policy and learner, with a policy that takes as long as a large one does."""

import time
from typing import Any

from expo_ft_ros.nodes import agent
from expo_ft_ros.rl.agent import Agent

INFERENCE = 0.3
"""[s]"""


def main() -> None:
    """Runs it."""
    act = Agent.act

    def slowly(*given: Any, **more: Any) -> Any:
        time.sleep(INFERENCE)
        return act(*given, **more)

    Agent.act = slowly  # type: ignore[method-assign]
    agent.main()


if __name__ == "__main__":
    main()

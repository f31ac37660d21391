# SPDX-License-Identifier: Apache-2.0
"""A whole training, as small as it goes; as a program, so that a test can kill all of it.

python -m support.tiny_training FOLDER ROS_DOMAIN_ID STEPS
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from expo_ft_ros.bringup.runner import Runner, RunResult
from expo_ft_ros.experiment.environment import ros_environment
from expo_ft_ros.experiment.options import TrainOptions
from expo_ft_ros.graph.node_spec import NodeSpec
from expo_ft_ros.graph.specs import train_graph

SMALLEST = {name: str(Path(__file__).with_name(f"tiny_{name}.yaml")) for name in ("preset", "size")}
"""Options of a training by networks that learn within a second."""


def least(mode: str, **more: Any) -> dict[str, Any]:
    """Options of the least of everything; more: others than these."""
    given = {"demos": 1, "steps": 1, "eval_trials": 1, "seed": 1, "mode": mode, **SMALLEST}
    return given | more


def specs(folder: Path, mode: str, *, longest: int | None = 70, **more: Any) -> list[NodeSpec]:
    """The graph; longest: steps of an episode, None: the task's; more: options other than the least
    of everything."""
    options = TrainOptions(**least(mode, **more))
    bound = {} if longest is None else {"max_steps": longest}
    return [
        replace(spec, nice=0, parameters=spec.parameters | bound)
        for spec in train_graph(options, folder)
    ]


def run(
    folder: Path, domain: int, mode: str, refresh: Callable[[], None] = lambda: None, **more: Any
) -> RunResult:
    """Runs it to its end; refresh: called now and then meanwhile."""
    environment = {**ros_environment(folder), "ROS_DOMAIN_ID": str(domain)}
    return Runner(specs(folder, mode, **more), folder, env=environment, on_refresh=refresh).run()


if __name__ == "__main__":
    folder, domain, steps = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    result = run(folder, domain, "sync", demos=2, steps=steps)
    print(result.cause, result.tail, sep="\n", file=sys.stderr)
    sys.exit(result.code)

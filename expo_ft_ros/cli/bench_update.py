# SPDX-License-Identifier: Apache-2.0
"""`expo-ft bench update`: what an update call costs whose TD targets choose among kept candidates,
and one whose are drawn anew for each batch (paper); of both, what the VLA's candidates cost; and
its gradient steps, of one process and of several."""

import json
import time
from collections import deque
from collections.abc import Sequence
from contextlib import closing
from functools import partial

from expo_ft_ros.cli.bench_core import practised_agent
from expo_ft_ros.cli.bench_graph import results_folder
from expo_ft_ros.experiment.arguments import parse_arguments
from expo_ft_ros.experiment.bench_options import UpdateOptions
from expo_ft_ros.experiment.changes import parse_changes
from expo_ft_ros.experiment.cost import CostMeter, report
from expo_ft_ros.experiment.machine import machine
from expo_ft_ros.rl.agent import Agent
from expo_ft_ros.rl.gradient_processes import GradientProcesses
from expo_ft_ros.rl.torch_runtime import prepare
from expo_ft_ros.robots import DEFAULT_ROBOT, load_robot
from expo_ft_ros.tasks import load_task

TARGETS = ("cached", "fresh")
"""What `target_candidates` may be."""


def main(words: Sequence[str]) -> int:
    """Measures both kinds of an update call; returns the exit code.

    Raises:
        ConfigError: for wrong arguments, or a policy whose files aren't there.
    """
    options = parse_arguments(words, UpdateOptions)
    task, changes = load_task(options.task), parse_changes(options.change)
    agents = {
        target: practised_agent(
            task, options.preset, options.size, {**changes, "target_candidates": target}
        )
        for target in TARGETS
    }
    config, device = agents["cached"].config, agents["cached"].device
    prepare(config.threads)
    meter = CostMeter(device)
    for _ in range(options.turns + 1):
        for target, agent in agents.items():
            meter.measure(_call(target), partial(_update, agent))
            meter.measure(_candidates(target), partial(_draw, agent))
    steps = _milliseconds_of_steps(agents["cached"], options)
    least = {name: cost.least for name, cost in meter.costs.items()}
    measured = report(
        meter.costs,
        {
            f"{name('fresh')}: times that of kept ones": least[name("fresh")]
            / least[name("cached")]
            for name in (_call, _candidates)
        },
    )
    for name, value in steps.items():
        print(f"  {name}: {value:.1f} ms")
    when = time.strftime("%Y-%m-%d_%H-%M-%S")
    path = results_folder() / f"update_{config.vla.kind}_{when}.json"
    about = {"config": config.model_dump(mode="json"), "machine": machine()}
    result = {**options.model_dump(mode="json"), **about, **measured, "milliseconds": steps}
    path.write_text(json.dumps(result, indent=2) + "\n")
    print(f"written to {path}")
    return 0


def _call(target: str) -> str:
    return f"update call, {target} candidates"


def _candidates(target: str) -> str:
    return f"the VLA's candidates of such a call, {target}"


def _update(agent: Agent) -> None:
    for _ in agent.learn(1):
        pass


def _milliseconds_of_steps(agent: Agent, options: UpdateOptions) -> dict[str, float]:
    """The quickest VLA steps of a call by the wall, of one process and of several in turns; nothing
    where several aren't asked for."""
    count, found = options.learner_processes, dict[str, list[float]]()
    if count == 1:
        return {}
    views = load_robot(DEFAULT_ROBOT).views
    with closing(GradientProcesses(agent.config, views, count)) as processes:
        processes.join()
        for _ in range(options.turns + 1):
            for one, number in ((None, 1), (processes, count)):
                agent.vla_trainer.processes = one
                name = f"the VLA's steps of a call, learner_processes:={number}"
                started = time.perf_counter()
                with agent.precision():
                    deque(agent.vla_trainer.online_steps(agent.memory.replay.starts), maxlen=0)
                found.setdefault(name, []).append(1e3 * (time.perf_counter() - started))
    agent.vla_trainer.processes = None
    # The first of each is slow anyway.
    return {name: min(each[1:]) for name, each in found.items()}


def _draw(agent: Agent) -> None:
    """What an update call asks of the VLA for TD targets: the oldest candidates drawn anew, or a
    batch's for each critic step."""
    config, memory = agent.config, agent.memory
    with agent.precision():
        if config.target_candidates == "cached":
            memory.refresh_candidates(config.refresh_per_update, agent.vla_trainer.updates)
            return
        for _ in range(config.critic_steps_per_update):
            memory.base_chunks(memory.batch().after, config.target_candidates_of)

# SPDX-License-Identifier: Apache-2.0
"""The commands that start a graph: from arguments to an opened run and its nodes, and its end.

The CLI and the launch files both begin here, so that both start the same run.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from expo_ft_ros.bringup.runner import Runner, RunResult
from expo_ft_ros.experiment.environment import ros_environment
from expo_ft_ros.experiment.joining import options_of_run
from expo_ft_ros.experiment.options import (
    CollectOptions,
    DemoOptions,
    EvalOptions,
    PolicyOptions,
    RobotOptions,
    RunOptions,
    SimOptions,
    TrainOptions,
)
from expo_ft_ros.experiment.preflight import Run, open_run
from expo_ft_ros.experiment.progress import Display
from expo_ft_ros.graph.node_spec import NodeSpec
from expo_ft_ros.graph.specs import (
    collect_graph,
    policy_graph,
    robot_graph,
    server_graph,
    sim_graph,
    train_graph,
)

Opened = tuple[Run[Any], list[NodeSpec]]


def run_graph(command: str, run: Run[Any], specs: Sequence[NodeSpec]) -> RunResult:
    """Runs an opened run's graph to its end, with a display meanwhile."""
    title = f"expo-ft {command} {run.options.task_name}"
    with Display(run.path, title) as display:
        environment = ros_environment(run.domain_folder)
        return Runner(specs, run.path, env=environment, on_refresh=display.refresh).run()


@dataclass(frozen=True)
class Command:
    """A command that starts a graph.

    Attributes:
        options: Which options it takes.
        open: From `name:=value` arguments to the run and its graph; raises as `open_run`.
    """

    options: type[RunOptions]
    open: Callable[[Sequence[str]], Opened]


def _train(arguments: Sequence[str]) -> Opened:
    run = open_run("train", arguments, TrainOptions)
    return run, train_graph(run.options, run.path, run.budget.given)


def _collect(arguments: Sequence[str]) -> Opened:
    run = open_run("collect", arguments, CollectOptions)
    return run, collect_graph(run.options, run.path)


def _played(command: str, arguments: Sequence[str], options: type[PolicyOptions]) -> Opened:
    run = open_run(command, arguments, options)
    if isinstance(run.options, EvalOptions) and run.options.policy is not None:
        return run, server_graph(run.options, run.path, run.options.policy)
    weights = run.weights
    if weights is None:
        raise RuntimeError(f"{command} has no weights, which its preflight finds")
    trained = {name: getattr(weights, name) for name in ("algorithm", "preset", "size")}
    return run, policy_graph(command, run.options, run.path, weights.path, trained)


def _eval(arguments: Sequence[str]) -> Opened:
    return _played("eval", arguments, EvalOptions)


def _demo(arguments: Sequence[str]) -> Opened:
    return _played("demo", arguments, DemoOptions)


def _sim(arguments: Sequence[str]) -> Opened:
    run = open_run("sim", arguments, SimOptions)
    return run, sim_graph(run.options, run.path)


def _robot(arguments: Sequence[str]) -> Opened:
    run = open_run("robot", arguments, RobotOptions)
    return run, robot_graph(run.options, run.path, options_of_run(Path(run.options.join)))


GRAPH_COMMANDS: Mapping[str, Command] = MappingProxyType(
    {
        "train": Command(TrainOptions, _train),
        "collect": Command(CollectOptions, _collect),
        "eval": Command(EvalOptions, _eval),
        "demo": Command(DemoOptions, _demo),
        "sim": Command(SimOptions, _sim),
        "robot": Command(RobotOptions, _robot),
    }
)

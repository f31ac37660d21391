# SPDX-License-Identifier: Apache-2.0
"""A run as `ros2 launch` knows it: asked of `handover`, by the standard library alone."""

import functools
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from expo_ft_ros.bringup.process import child_environment, describe_exit
from expo_ft_ros.graph.node_spec import NodeSpec

PACKAGE = "expo_ft_ros"


class LaunchError(RuntimeError):
    """Nothing can be started, or the run has failed: launch says it and exits with 1."""


@dataclass(frozen=True)
class LaunchPlan:
    """An opened run, or what there is to say where there is nothing to start.

    Attributes:
        run: The run's folder; None where nothing is started.
        notes: What the operator is told, a line each.
        environment: Of every node, beyond the present one.
        python: The interpreter that has what nodes need; launch's own need not.
        nodes: The graph: each process, and its parameters file.
        held_by: The program that holds the run's locks as long as this one lives.
        robot: What drivers are started by, see `handover.describe_robot`.
    """

    run: Path | None
    notes: tuple[str, ...]
    environment: Mapping[str, str]
    python: str
    nodes: tuple[tuple[NodeSpec, Path], ...]
    held_by: subprocess.Popen[str]
    robot: Mapping[str, Any]


def executables_folder() -> Path | None:
    """Where the package's executables are installed; None in a checkout that isn't."""
    for prefix in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep):
        folder = Path(prefix) / "lib" / PACKAGE
        if prefix and (folder / "handover").is_file():
            return folder
    return None


def program(module: str, python: str = sys.executable) -> list[str]:
    """What runs a module: of this package its executable, where that is installed; else Python.

    The executables run in the environment that was active while the package was built.

    Args:
        module: A node, or another package's adapter of a robot.
        python: The interpreter for what has no executable here.
    """
    folder = executables_folder()
    package, _, name = module.rpartition(".")
    if folder is not None and package.partition(".")[0] == PACKAGE:
        executable = folder / name
        if executable.is_file():
            return [str(executable)]
    return [python, "-m", module]


@functools.cache
def arguments_of(command: str) -> tuple[tuple[str, str, str], ...]:
    """Name, default and description of each argument of a command.

    Raises:
        LaunchError: when they can't be had.
    """
    process = _start("describe", command)
    described = _answer(process)["arguments"]
    process.communicate()
    return tuple((name, default, text) for name, default, text in described)


def robot_named(name: str) -> Mapping[str, Any]:
    """A robot as `handover.describe_robot` gives it.

    Args:
        name: Of its file.

    Raises:
        LaunchError: where there is none.
    """
    process = _start("robot", name)
    answer = _answer(process)
    process.communicate()
    if "refused" in answer:
        raise LaunchError(f"expo-ft: {answer['refused']}")
    found: dict[str, Any] = answer["robot"]
    return found


def open_plan(command: str, arguments: Sequence[str]) -> LaunchPlan:
    """Checks all that a run needs and opens it; nothing is started.

    Args:
        command: One of `commands.GRAPH_COMMANDS`.
        arguments: `name:=value`, as typed.

    Raises:
        LaunchError: with the line that says what is wrong.
    """
    process = _start("open", command, *arguments)
    answer = _answer(process)
    if "refused" in answer:
        process.communicate()
        raise LaunchError(f"expo-ft: {answer['refused']}")
    if "finished" in answer:
        process.communicate()
        return LaunchPlan(None, (f"expo-ft: {answer['finished']}",), {}, "", (), process, {})
    nodes = tuple((_spec(node["spec"]), Path(node["parameters"])) for node in answer["nodes"])
    notes = tuple(answer["notes"])
    run, python = Path(answer["run"]), answer["python"]
    return LaunchPlan(run, notes, answer["environment"], python, nodes, process, answer["robot"])


def _start(*words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*program(f"{PACKAGE}.bringup.handover"), *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=child_environment(),
        text=True,
        start_new_session=True,
    )


def _answer(process: "subprocess.Popen[str]") -> dict[str, Any]:
    line = process.stdout.readline() if process.stdout is not None else ""
    if not line:
        how = describe_exit(process.wait())
        raise LaunchError(f"expo-ft: the run could not be opened: {how} (its words are above)")
    answer: dict[str, Any] = json.loads(line)
    return answer


def _spec(values: dict[str, Any]) -> NodeSpec:
    """A node spec from JSON, which has lists where a spec has tuples."""
    pairs = tuple((source, target) for source, target in values["remappings"])
    parameters = {name: _frozen(value) for name, value in values["parameters"].items()}
    fields = {name: _frozen(value) for name, value in values.items()}
    return NodeSpec(**{**fields, "remappings": pairs, "parameters": parameters})


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value

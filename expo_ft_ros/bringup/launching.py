"""From the graph as data to ROS 2's launch: all that the files in launch/ have in common.

Only those files use it. `launch` and `launch_ros` come with a ROS 2 installation, so they are
imported where they are needed.
"""

from __future__ import annotations

import functools
import os
import sys
from typing import TYPE_CHECKING, Any

from expo_ft_ros.bringup.commands import GRAPH_COMMANDS
from expo_ft_ros.bringup.runner import ARBITRATION, STOP_COMMAND
from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.experiment.arguments import describe
from expo_ft_ros.experiment.environment import ros_environment
from expo_ft_ros.experiment.preflight import Run
from expo_ft_ros.experiment.run_folder import RunFinished
from expo_ft_ros.graph.node_spec import NodeSpec
from expo_ft_ros.graph.parent_process import PARENT_PID_VARIABLE

if TYPE_CHECKING:
    from launch.action import Action
    from launch.launch_context import LaunchContext
    from launch.launch_description import LaunchDescription


def launch_description(command: str) -> LaunchDescription:
    """The launch description of a command: its arguments, and its nodes once those are known.

    Args:
        command: One of `commands.GRAPH_COMMANDS`.
    """
    from launch.actions import DeclareLaunchArgument, OpaqueFunction
    from launch.launch_description import LaunchDescription

    model = GRAPH_COMMANDS[command].options
    arguments = [
        DeclareLaunchArgument(name, default_value=default, description=text)
        for name, default, text in describe(model)
    ]
    start = OpaqueFunction(function=functools.partial(_start, command=command))
    return LaunchDescription([*arguments, start])


def _start(context: LaunchContext, *, command: str) -> list[Action]:
    from launch.actions import LogInfo, Shutdown

    given = []
    for name, default, _ in describe(GRAPH_COMMANDS[command].options):
        value = context.launch_configurations[name]
        # What is left at its default counts as not given, as on our own command line.
        if value != default:
            given.append(f"{name}:={value}")
    try:
        run, specs = GRAPH_COMMANDS[command].open(given)
    except (ConfigError, RunFinished) as error:
        return [LogInfo(msg=f"expo-ft: {error}"), Shutdown(reason="nothing to start")]
    # Its locks live as long as launch does.
    context.extend_globals({"expo_ft_run": run})
    notes = [LogInfo(msg=f"expo-ft: {note}") for note in run.notes]
    return [*notes, *(_action(spec, run) for spec in specs)]


def _action(spec: NodeSpec, run: Run[Any]) -> Action:
    """One node; the end of a vital one is the end of all."""
    from launch.actions import ExecuteProcess, Shutdown

    environment = {
        **ros_environment(run.path),
        **spec.env,
        # So that no node outlives a killed `ros2 launch`.
        PARENT_PID_VARIABLE: str(os.getpid()),
    }
    common: dict[str, Any] = {
        "additional_env": environment,
        "sigterm_timeout": str(spec.grace),
        "output": "both",
    }
    if spec.vital:
        ended = Shutdown(reason=f"{spec.name} has ended")
        # Should arbitration have died, the arm still gets its zero command, and only then do the
        # others go: a shutdown would take the helper down while it starts.
        stop = ExecuteProcess(
            cmd=list(STOP_COMMAND), additional_env=environment, output="both", on_exit=ended
        )
        common["on_exit"] = stop if spec.name == ARBITRATION else ended
    if spec.nice:
        common["prefix"] = f"nice -n {spec.nice}"
    if spec.command:
        return ExecuteProcess(cmd=list(spec.command), name=spec.name, **common)
    return _node(spec, common)


def _node(spec: NodeSpec, common: dict[str, Any]) -> Action:
    from launch_ros.actions import Node

    return Node(
        executable=sys.executable,
        exec_name=spec.name,
        arguments=["-m", spec.module],
        # With several nodes in the process one name would be given to all of them.
        name=spec.name if len(spec.node_names) == 1 else None,
        parameters=[{name: _typed(value) for name, value in spec.parameters.items()}],
        remappings=list(spec.remappings),
        **common,
    )


def _typed(value: Any) -> Any:
    """A parameter as launch takes it: text stays text, also where YAML would see a boolean."""
    from launch_ros.parameter_descriptions import ParameterValue

    if isinstance(value, str):
        return ParameterValue(value, value_type=str)
    if isinstance(value, tuple):
        return ParameterValue(list(value), value_type=list[str])
    return value

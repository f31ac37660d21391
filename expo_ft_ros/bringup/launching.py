# SPDX-License-Identifier: Apache-2.0
"""From the graph as data to ROS 2's launch: all that the files in launch/ have in common.

Only those files use it. `launch` and `launch_ros` come with a ROS 2 installation, so they are
imported where they are needed. `ros2` runs in the distribution's Python, which has nothing else of
ours: hence the standard library only (see `handover`).
"""

from __future__ import annotations

import difflib
import functools
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from expo_ft_ros.bringup import drivers
from expo_ft_ros.bringup.driver import Driver
from expo_ft_ros.bringup.launch_plan import (
    PACKAGE,
    LaunchError,
    LaunchPlan,
    arguments_of,
    program,
)
from expo_ft_ros.bringup.process import child_environment, ros_arguments
from expo_ft_ros.bringup.runner import ARBITRATION, STOP_MODULE, cause_of_end
from expo_ft_ros.graph.node_spec import NodeSpec

if TYPE_CHECKING:
    from launch.action import Action
    from launch.events.process import ProcessExited, ProcessIO
    from launch.launch_context import LaunchContext
    from launch.launch_description import LaunchDescription


def launch_description(command: str) -> LaunchDescription:
    """The launch description of a command: its arguments, and its nodes once those are known.

    Args:
        command: One of `commands.GRAPH_COMMANDS`.
    """
    from launch.actions import DeclareLaunchArgument, OpaqueFunction
    from launch.launch_description import LaunchDescription

    arguments = [
        DeclareLaunchArgument(name, default_value=default, description=text)
        for name, default, text in (*arguments_of(command), *drivers.ARGUMENTS)
    ]
    start = OpaqueFunction(function=functools.partial(_start, command=command))
    return LaunchDescription([*arguments, start])


def refuse_unknown(given: Iterable[str], known: Iterable[str]) -> None:
    """Checks the names of what was typed, which launch doesn't.

    Args:
        given: Arguments as typed, "name:=value"; other words are launch's own.
        known: Names that are declared.

    Raises:
        LaunchError: for the first that isn't, with the nearest that is.
    """
    names = sorted(known)
    for name in (word.partition(":=")[0] for word in given if ":=" in word):
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise LaunchError(
                f"expo-ft: unknown argument {name!r} ({hint}known: {', '.join(names)})"
            )


def _start(context: LaunchContext, *, command: str) -> list[Action]:
    from launch.actions import LogInfo, Shutdown

    known = {name: default for name, default, _ in arguments_of(command)}
    # Where another launch file includes this one, what was typed is that one's.
    beside = {name: context.launch_configurations[name] for name, *_ in drivers.ARGUMENTS}
    if _is_typed(context.locals.current_launch_file_path):
        refuse_unknown(context.argv, [*known, *beside])
    beside[drivers.ROBOT_IP] = context.launch_configurations[drivers.ROBOT_IP]
    # What is left at its default counts as not given, as on our own command line.
    given = {
        name: context.launch_configurations[name]
        for name, default in known.items()
        if context.launch_configurations[name] != default
    }
    pushed = context.launch_configurations.get("ros_namespace", "")
    if pushed:
        # A PushRosNamespace of a launch file that includes this one.
        given["namespace"] = "/".join(filter(None, (pushed, given.get("namespace"))))
    robot = context.launch_configurations["robot"]
    plan, found = drivers.open_beside(command, given, beside, robot, _is_installed)
    if plan.run is None:
        notes = [LogInfo(msg=note) for note in plan.notes]
        return [*notes, Shutdown(reason="nothing to start")]
    told = (*plan.notes, *drivers.notes_of(plan.robot, beside))
    notes = [LogInfo(msg=note) for note in told]
    # Its locks live as long as launch does.
    context.extend_globals({"expo_ft_run": plan})
    others = [_driver(driver) for driver in found]
    actions = [action for node in plan.nodes for action in _actions(plan, *node)]
    return [*notes, *others, *actions]


def _is_installed(package: str) -> bool:
    from ament_index_python.packages import PackageNotFoundError, get_package_share_directory

    try:
        get_package_share_directory(package)
    except PackageNotFoundError:
        return False
    return True


def _driver(driver: Driver) -> Action:
    """A driver beside the graph; what its launch file sets stays with it."""
    from ament_index_python.packages import get_package_share_directory
    from launch.actions import GroupAction, IncludeLaunchDescription
    from launch.launch_description_sources import PythonLaunchDescriptionSource
    from launch_ros.actions import Node

    if driver.executable:
        return Node(
            package=driver.package,
            executable=driver.executable,
            arguments=list(driver.words),
            output="both",
        )
    share = Path(get_package_share_directory(driver.package))
    source = PythonLaunchDescriptionSource(str(share / "launch" / driver.file))
    included = IncludeLaunchDescription(source, launch_arguments=list(driver.arguments))
    return GroupAction([included], scoped=True)


def _is_typed(launch_file: str) -> bool:
    return Path(launch_file).name in {Path(word).name for word in sys.argv}


def _actions(plan: LaunchPlan, spec: NodeSpec, parameters: Path) -> list[Action]:
    """One node, and the log that it writes into the run's folder."""
    from launch.actions import RegisterEventHandler
    from launch.event_handlers import OnProcessIO

    log = Path(str(plan.run)) / "logs" / f"{spec.name}.log"
    log.touch()
    environment = child_environment({**plan.environment, **spec.env})
    common: dict[str, Any] = {
        "env": environment,
        "sigterm_timeout": str(spec.grace),
        "output": "both",
    }
    if spec.vital:
        common["on_exit"] = _on_exit(spec, log, environment, plan.python)
    if spec.nice:
        common["prefix"] = f"nice -n {spec.nice}"
    node = _node(spec, parameters, plan.python, common)

    def write(event: ProcessIO) -> None:
        with log.open("ab") as stream:
            stream.write(event.text)

    logged = OnProcessIO(target_action=node, on_stdout=write, on_stderr=write)
    return [RegisterEventHandler(logged), node]


def _node(spec: NodeSpec, parameters: Path, python: str, common: dict[str, Any]) -> Action:
    from launch.actions import ExecuteProcess
    from launch_ros.actions import Node

    if spec.command:
        return ExecuteProcess(cmd=list(spec.command), name=spec.name, **common)
    executable, *arguments = program(spec.module, python)
    installed = not arguments
    return Node(
        package=PACKAGE if installed else None,
        executable=Path(executable).name if installed else executable,
        arguments=arguments,
        exec_name=spec.name,
        # With several nodes in the process one name would be given to all of them.
        name=spec.name if len(spec.node_names) == 1 else None,
        namespace=spec.namespace or None,
        parameters=[str(path) for path in (parameters, spec.params_file) if str(path)],
        remappings=list(spec.remappings),
        ros_arguments=["--log-level", spec.log_level] if spec.log_level else None,
        **common,
    )


def _on_exit(
    spec: NodeSpec, log: Path, environment: dict[str, str], python: str
) -> Callable[[ProcessExited, LaunchContext], Action | None]:
    """The end of a vital node is the end of all: well where it is the session's, else with 1."""
    from launch.actions import ExecuteProcess, Shutdown

    def ended(event: ProcessExited, context: LaunchContext) -> Action | None:
        if context.is_shutdown:
            return None
        cause = cause_of_end(spec.name, event.returncode, log)
        if not cause:
            return Shutdown(reason="the run is complete")
        if spec.name != ARBITRATION:
            # Launch then shuts the others down, with SIGINT, and exits with 1.
            raise LaunchError(f"expo-ft: {cause}")

        def stopped(event: ProcessExited, context: LaunchContext) -> None:
            raise LaunchError(f"expo-ft: {cause}")

        # The arm still gets its zero command, and only then do the others go: a shutdown would
        # take the helper down while it starts.
        command = [*program(STOP_MODULE, python), *ros_arguments(spec.namespace)]
        return ExecuteProcess(cmd=command, env=environment, output="both", on_exit=stopped)

    return ended

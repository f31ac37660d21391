# SPDX-License-Identifier: Apache-2.0
"""`expo-ft demo`, `train`, `robot`, `collect`, `eval`, `sim`: each starts a graph, and says how it
went."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from expo_ft_ros.bringup.commands import GRAPH_COMMANDS, run_graph
from expo_ft_ros.cli import report
from expo_ft_ros.cli.arguments import print_options, wants_help
from expo_ft_ros.experiment.run_folder import RunFinished

if TYPE_CHECKING:
    from expo_ft_ros.experiment.preflight import Run
    from expo_ft_ros.graph.node_spec import NodeSpec


def main(words: Sequence[str]) -> int:
    """Starts the graph of the command that comes first, with the options after it; returns the exit
    code.

    Raises:
        ConfigError: for what the run needs and lacks; nothing is started then.
    """
    command, *words = words
    if wants_help(words):
        return print_options(command, GRAPH_COMMANDS[command].options)
    try:
        run, specs = GRAPH_COMMANDS[command].open(words)
    except RunFinished as finished:
        print(f"expo-ft: {finished}")
        return report.main([str(finished.path)])
    for note in (*run.notes, *_driver_note(run)):
        print(note)
    if run.options.console:
        from expo_ft_ros.monitor.address import console_address

        print(f"Console: {console_address(run.options.console_host, run.options.console_port)}")
    if run.options.operator == "keyboard":
        print("Take over: ./expo-ft keyboard, in a second terminal")
    # It may be read by another program, and the graph takes its time.
    sys.stdout.flush()
    try:
        return _run(command, run, specs)
    finally:
        run.close()


def _driver_note(run: "Run[Any]") -> list[str]:
    """What to start by hand, since only `ros2 launch` starts drivers beside a graph."""
    from expo_ft_ros.robots import load_robot

    options = run.options
    if not options.robot_ip or load_robot(options.robot).franka_driver is None:
        return []
    return [
        f"robot_ip:={options.robot_ip}: start the arm's driver by hand, only ros2 launch does it "
        f"for robot:={options.robot} (docs/ros2_control.md)"
    ]


def _run(command: str, run: "Run[Any]", specs: "list[NodeSpec]") -> int:
    """Runs a graph, then says how it went."""
    from expo_ft_ros.experiment.progress import format_summary, read_summary

    result = run_graph(command, run, specs)
    for warning in result.warnings:
        print(f"expo-ft: {warning}", file=sys.stderr)
    if result.code == 0:
        summary = read_summary(run.path)
        if summary is not None:
            print(format_summary(summary))
        print(f"Run: {run.path}")
        return 0
    if result.tail:
        print(result.tail, file=sys.stderr)
    print(f"expo-ft: {result.cause}", file=sys.stderr)
    if command in ("train", "collect"):
        print(f"Go on with it: ./expo-ft {command} resume:={run.path}", file=sys.stderr)
    if command == "robot":
        options = run.options
        again = f"./expo-ft robot join:={options.join} name:={options.name}"
        print(f"Come back with it: {again}", file=sys.stderr)
    return result.code

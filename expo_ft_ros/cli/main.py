"""The command line: `expo-ft <command> [name:=value ...]`.

Exit codes: 0 done, 1 a node or a check failed, 2 wrong arguments or configuration, 130 interrupted,
143 terminated. Heavy modules are imported by the command that needs them.
"""

import contextlib
import functools
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from expo_ft_ros.experiment.options import TaskOptions
    from expo_ft_ros.experiment.run_folder import Run
    from expo_ft_ros.graph.node_spec import NodeSpec

USAGE = """\
usage: expo-ft <command> [name:=value ...]

  train    demonstrations, imitation, evaluation, RL online, evaluation again
  collect  demonstrations only
  eval     trials of a trained policy
  sim      the simulated robot, to look at and to drive
  report   summary and page of a run (default: the latest); --compare: of several
  episodes what a run has recorded: list, show, play, relabel, discard
  export   what a run has recorded as a LeRobot dataset
  bench    measurements: bench graph, core, learn (whole runs without ROS)
  keyboard corrections by the keyboard of this terminal, for operator:=keyboard
  doctor   what this machine has and lacks
  test     lint, types and tests of a checkout; test quick: in two minutes

In a checkout, by ./expo-ft: screenshots (the console's pictures), python (with its environment).

Options of a command:  expo-ft <command> --help
A first look, minutes: ./expo-ft train steps:=300
After a stop:          ./expo-ft train resume:=latest
"""

_HELP = ("-h", "--help", "help")

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; returns the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words:
        print(USAGE, end="", file=sys.stderr)
        return EXIT_USAGE
    command, rest = words[0], words[1:]
    if command not in COMMANDS and command not in _HELP:
        return _complain(f"unknown command {command!r} (known: {', '.join(COMMANDS)})")
    try:
        code = _usage() if command in _HELP else COMMANDS[command](rest)
        # Here, not at exit, where an error could no longer be handled.
        sys.stdout.flush()
        return code
    except ValueError as error:
        from expo_ft_ros.configuration import ConfigError

        if not isinstance(error, ConfigError):
            raise
        return _complain(" ".join(str(error).split()))
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # Whoever read the output has gone; nothing may be written at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED


def _usage() -> int:
    print(USAGE, end="")
    return 0


def _complain(message: str) -> int:
    print(f"expo-ft: {message}", file=sys.stderr)
    return EXIT_USAGE


def _wants_help(words: Sequence[str]) -> bool:
    return any(word in ("-h", "--help") for word in words)


def _print_options(command: str, model: "type[TaskOptions]") -> int:
    from expo_ft_ros.experiment.options import describe

    print(f"usage: expo-ft {command} [name:=value ...]\n")
    for name, default, text in describe(model):
        print(f"  {f'{name}:={default}':<22}  {text}")
    return 0


def _graph(command: str, words: list[str]) -> int:
    """Starts the graph of a command."""
    from expo_ft_ros.bringup.commands import GRAPH_COMMANDS
    from expo_ft_ros.experiment.run_folder import RunFinished
    from expo_ft_ros.monitor.address import console_address

    if _wants_help(words):
        return _print_options(command, GRAPH_COMMANDS[command].options)
    with _machine():
        try:
            run, specs = GRAPH_COMMANDS[command].open(words)
        except RunFinished as finished:
            print(f"expo-ft: {finished}")
            return _report([str(finished.path)])
        weights = {str(s.parameters["checkpoint"]) for s in specs if s.parameters.get("checkpoint")}
        for path in sorted(weights):
            print(f"Weights: {path}")
        if run.options.console:
            print(f"Console: {console_address(run.options.console_host, run.options.console_port)}")
        return _run(command, run, specs)


def _machine() -> "contextlib.AbstractContextManager[Any]":
    """What every graph needs, taken before a folder is made or a process started."""
    from expo_ft_ros.experiment.environment import claim_domain, require_ros
    from expo_ft_ros.sim.render import choose_gl

    require_ros()
    choose_gl()
    return claim_domain() or contextlib.nullcontext()


def _run(command: str, run: "Run[Any]", specs: "list[NodeSpec]") -> int:
    """Runs a graph, then says how it went."""
    from expo_ft_ros.bringup.commands import run_graph
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
    return result.code


def _report(words: list[str]) -> int:
    from expo_ft_ros.cli import report

    if _wants_help(words):
        print(report.parser().format_help(), end="")
        return 0
    return report.main(words)


def _episodes(words: list[str]) -> int:
    from expo_ft_ros.cli import episodes

    if _wants_help(words):
        print(episodes.USAGE, end="")
        return 0
    if words[:1] == ["play"]:
        from expo_ft_ros.cli import play

        return play.main(words[1:])
    return episodes.main(words)


def _export(words: list[str]) -> int:
    from expo_ft_ros.cli import export

    if _wants_help(words):
        print(export.parser().format_help(), end="")
        return 0
    return export.main(words)


def _bench(words: list[str]) -> int:
    if _wants_help(words):
        return _bench_help(words)
    if not words or words[0] not in BENCHES:
        given = f"no bench {words[0]!r}" if words else "bench needs a name"
        return _complain(f"{given} (known: {', '.join(BENCHES)})")
    bench = importlib.import_module(BENCHES[words[0]])
    with _machine() if words[0] == "graph" else contextlib.nullcontext():
        return int(bench.main(words[1:]))


def _bench_help(words: list[str]) -> int:
    from expo_ft_ros.experiment.options import CoreOptions, LearnOptions

    options: dict[str, type[TaskOptions]] = {"core": CoreOptions, "learn": LearnOptions}
    if words[0] in options:
        return _print_options(f"bench {words[0]}", options[words[0]])
    print("usage: expo-ft bench graph [lockstep | realtime]")
    print("       expo-ft bench core [name:=value ...]   (options: expo-ft bench core --help)")
    print("       expo-ft bench learn [name:=value ...]  (options: expo-ft bench learn --help)")
    return 0


def _keyboard(words: list[str]) -> int:
    """Takes this terminal's keys, as a driver beside a graph that runs elsewhere."""
    from expo_ft_ros.devices.keyboard import key_map
    from expo_ft_ros.devices.terminal import require_terminal
    from expo_ft_ros.experiment.environment import (
        require_chosen_domain,
        require_ros,
        ros_environment,
    )

    if _wants_help(words):
        print(f"usage: expo-ft keyboard [--ros-args ...]\n\n{key_map()}")
        return 0
    if words and words[0] != "--ros-args":
        return _complain(f"keyboard takes no options, got {words[0]!r} (but for --ros-args)")
    require_ros()
    require_chosen_domain()
    require_terminal()
    os.environ.update(ros_environment(Path.home() / ".ros"))
    importlib.import_module("expo_ft_ros.nodes.keyboard").main()
    return 0


def _doctor(words: list[str]) -> int:
    from expo_ft_ros.doctor import main as doctor

    return doctor(words)


def _test(words: list[str]) -> int:
    from expo_ft_ros.cli import test

    if _wants_help(words):
        print(test.USAGE, end="")
        return 0
    return test.main(words)


BENCHES = {
    "graph": "expo_ft_ros.cli.bench_graph",
    "core": "expo_ft_ros.cli.bench_core",
    "learn": "expo_ft_ros.cli.bench_learn",
}

COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "train": functools.partial(_graph, "train"),
    "collect": functools.partial(_graph, "collect"),
    "eval": functools.partial(_graph, "eval"),
    "sim": functools.partial(_graph, "sim"),
    "report": _report,
    "episodes": _episodes,
    "export": _export,
    "bench": _bench,
    "keyboard": _keyboard,
    "doctor": _doctor,
    "test": _test,
}

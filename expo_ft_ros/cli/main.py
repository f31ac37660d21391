# SPDX-License-Identifier: Apache-2.0
"""The command line: `expo-ft <command> ...`; here is only which file a command is in.

Exit codes: 0 done, 1 a node or a check failed, 2 wrong arguments or configuration, 130 interrupted,
143 terminated. Heavy modules are imported by the command that needs them.

Options have one form in all of them, name:=value, as in ros2 launch; what a command acts on (a run,
an episode's number) are words before or after.
"""

import importlib
import os
import sys
from collections.abc import Sequence

from expo_ft_ros.cli.arguments import fitted

USAGE = """\
usage: expo-ft <command> [words] [name:=value ...]

  demo      a policy that has learned, in real time: watch it in the browser, take over
  train     demonstrations, imitation, evaluation, RL online, evaluation again
  robot     a further robot that practises for a training with mode:=async
  collect   demonstrations only
  eval      trials of a trained policy, or of a policy server's
  sim       the simulated robot, to look at and to drive
  console   the dashboard, a page of all runs: starts, stops and follows them, shows reports and \
recordings, compares checkpoints
  report    summary and page of a run (default: the latest), or of several side by side
  runs      the runs that there are: runs list
  episodes  what a run has recorded: list, show, play, browse (in the browser), relabel, discard, \
restore
  export    what a run has recorded as a LeRobot dataset; its pi0.5 for openpi or lerobot
  serve     a trained policy over a websocket, for openpi's client and for eval policy:=
  reward    a task's classifier made to fit what the cameras see: calibrate, train
  bench     measurements: bench graph, core, vla, update, learn (whole runs without ROS), choice \
(the critic's), ablation (what of the algorithm does the work)
  keyboard  corrections by the keyboard of this terminal, for operator:=keyboard
  bringup   a robot's guided checks before its first training: axes, workspace, stop, cameras
  doctor    what this machine has and lacks; robot:=<robot>: what comes of its drivers
  test      the project's tests (arguments go to pytest)

In a checkout, by ./expo-ft: screenshots (the console's pictures), python (with its environment).

Options of a command:   expo-ft <command> --help
Its version:            expo-ft --version
A first look, minutes:  ./expo-ft demo
After a stop:           ./expo-ft train resume:=latest
"""

COMMANDS = {
    "demo": "expo_ft_ros.cli.graph",
    "train": "expo_ft_ros.cli.graph",
    "collect": "expo_ft_ros.cli.graph",
    "eval": "expo_ft_ros.cli.graph",
    "sim": "expo_ft_ros.cli.graph",
    "robot": "expo_ft_ros.cli.graph",
    "console": "expo_ft_ros.cli.console",
    "report": "expo_ft_ros.cli.report",
    "runs": "expo_ft_ros.cli.runs",
    "episodes": "expo_ft_ros.cli.episodes",
    "export": "expo_ft_ros.cli.export",
    "serve": "expo_ft_ros.cli.serve",
    "reward": "expo_ft_ros.cli.reward",
    "bench": "expo_ft_ros.cli.bench",
    "keyboard": "expo_ft_ros.cli.keyboard",
    "bringup": "expo_ft_ros.cli.bringup",
    "doctor": "expo_ft_ros.cli.doctor",
    "test": "expo_ft_ros.cli.test",
}
"""Name -> module with `main(words)`, which gives the exit code; the graphs' is told which."""

_GRAPHS = COMMANDS["train"]
_HELP = ("-h", "--help", "help")

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; returns the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words:
        print(fitted(USAGE), end="", file=sys.stderr)
        return EXIT_USAGE
    try:
        code = _run(words[0], words[1:])
        # Here, not at exit, where an error could no longer be handled.
        sys.stdout.flush()
        return code
    except ValueError as error:
        from expo_ft_ros.configuration import ConfigError

        if not isinstance(error, ConfigError):
            raise
        print(f"expo-ft: {' '.join(str(error).split())}", file=sys.stderr)
        return EXIT_USAGE
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader of the output has gone; nothing may be written at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED
    except OSError as error:
        from expo_ft_ros.data.files import explain

        print(f"expo-ft: {explain(error)}", file=sys.stderr)
        return EXIT_FAILED


def _run(command: str, words: list[str]) -> int:
    if command in _HELP:
        print(fitted(USAGE), end="")
        return 0
    if command == "--version":
        from expo_ft_ros import __version__
        from expo_ft_ros.experiment.machine import git_revision

        print(" ".join(filter(None, ("expo_ft_ros", __version__, git_revision()))))
        return 0
    if command not in COMMANDS:
        from expo_ft_ros.configuration import ConfigError, nearest

        raise ConfigError(f"unknown command {command!r} ({nearest(command, COMMANDS)})")
    module = importlib.import_module(COMMANDS[command])
    return int(module.main([command, *words] if module.__name__ == _GRAPHS else words))

# SPDX-License-Identifier: Apache-2.0
"""`expo-ft bench`: measurements of the graph and of the learner."""

import importlib
from collections.abc import Sequence

from expo_ft_ros.cli.arguments import fitted, print_options, wants_help
from expo_ft_ros.configuration import ConfigError, nearest

BENCHES = {
    "graph": "expo_ft_ros.cli.bench_graph",
    "core": "expo_ft_ros.cli.bench_core",
    "vla": "expo_ft_ros.cli.bench_vla",
    "update": "expo_ft_ros.cli.bench_update",
    "learn": "expo_ft_ros.cli.bench_learn",
    "choice": "expo_ft_ros.cli.bench_choice",
    "ablation": "expo_ft_ros.cli.bench_ablation",
}
"""Name -> module with `main(words)`."""

_USAGE = """\
usage: expo-ft bench <bench>

  graph [lockstep | realtime]          the whole graph: throughput, lateness, jumps
  core [name:=value ...]               what a step of learning and a choice cost
  vla [name:=value ...]                what a policy's chunks cost
  update [name:=value ...]             an update call, its candidates kept or drawn anew
  learn [name:=value ...]              whole runs without ROS
  choice [run | checkpoint] [name:=value ...]  whether the critic's choice helps
  ablation [name:=value ...]           what of the algorithm does the work

Options of one:  expo-ft bench <bench> --help
"""


def main(words: Sequence[str]) -> int:
    """Runs a bench; returns the exit code.

    Raises:
        ConfigError: for an unknown bench or wrong arguments.
    """
    if wants_help(words):
        return _help(words[0])
    if not words or words[0] not in BENCHES:
        given = f"no bench {words[0]!r}" if words else "bench needs a name"
        raise ConfigError(f"{given} ({nearest(words[0] if words else '', BENCHES)})")
    return int(importlib.import_module(BENCHES[words[0]]).main(words[1:]))


def _help(name: str) -> int:
    from expo_ft_ros.experiment import bench_options
    from expo_ft_ros.experiment.options import TaskOptions

    options: dict[str, type[TaskOptions]] = {
        "core": bench_options.CoreOptions,
        "vla": bench_options.VlaOptions,
        "update": bench_options.UpdateOptions,
        "learn": bench_options.LearnOptions,
        "choice": bench_options.ChoiceOptions,
        "ablation": bench_options.AblationOptions,
    }
    if name in options:
        return print_options(f"bench {name}", options[name])
    print(fitted(_USAGE), end="")
    return 0

# SPDX-License-Identifier: Apache-2.0
"""`expo-ft reward`: a task's classifier made to fit what the cameras see."""

import importlib
from collections.abc import Sequence

from expo_ft_ros.cli.arguments import fitted, wants_help
from expo_ft_ros.configuration import ConfigError, nearest

_COMMANDS = {
    "calibrate": "expo_ft_ros.cli.reward_calibrate",
    "train": "expo_ft_ros.cli.reward_train",
}
"""Name -> module with `main(words)`."""

_USAGE = """\
usage: expo-ft reward <command>

  calibrate task:=... region:=... [name:=value ...]   a colour's thresholds, from an image
  train [run | dataset ...] task:=... [name:=value ...]   a classifier, from labelled episodes

Options of one:  expo-ft reward <command> --help
"""


def main(words: Sequence[str]) -> int:
    """Runs a command of `_USAGE`; returns the exit code.

    Raises:
        ConfigError: for an unknown command or wrong arguments.
    """
    command, rest = (words[0], words[1:]) if words else ("", [])
    if command in _COMMANDS:
        return int(importlib.import_module(_COMMANDS[command]).main(rest))
    if wants_help(words) or not words:
        print(fitted(_USAGE), end="")
        return 0
    raise ConfigError(f"reward {command}: no such command ({nearest(command, _COMMANDS)})")

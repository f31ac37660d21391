# SPDX-License-Identifier: Apache-2.0
"""`expo-ft keyboard`: this terminal's keys, as a driver beside a graph that runs elsewhere."""

import importlib
import os
from collections.abc import Sequence
from pathlib import Path

from expo_ft_ros.cli.arguments import fitted, wants_help
from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.devices.keyboard import key_map
from expo_ft_ros.devices.teleop import TeleopConfig
from expo_ft_ros.devices.terminal import require_terminal
from expo_ft_ros.experiment.environment import (
    require_chosen_domain,
    require_environment,
    ros_environment,
)


def main(words: Sequence[str]) -> int:
    """Runs the driver until it is stopped; returns the exit code.

    Raises:
        ConfigError: for wrong arguments, or what the machine lacks.
    """
    if wants_help(words):
        frame = TeleopConfig.load(device="keyboard").frame
        print(fitted(f"usage: expo-ft keyboard [--ros-args ...]\n\n{key_map(frame)}"))
        return 0
    if words and words[0] != "--ros-args":
        raise ConfigError(f"keyboard takes no options, got {words[0]!r} (but for --ros-args)")
    require_environment()
    require_chosen_domain()
    require_terminal()
    os.environ.update(ros_environment(Path.home() / ".ros"))
    importlib.import_module("expo_ft_ros.nodes.keyboard").main()
    return 0

# SPDX-License-Identifier: Apache-2.0
"""Which robots there are: config/robots/, folders of EXPO_FT_ROBOTS, and any file by its path."""

from __future__ import annotations

from pathlib import Path

from expo_ft_ros.configuration import ConfigError, load_yaml
from expo_ft_ros.named_files import NamedFiles
from expo_ft_ros.robots.config import RobotConfig

DEFAULT_ROBOT = "sim"
"""The one that needs no hardware."""

ROBOTS = NamedFiles(kind="robot", folder="robots", variable="EXPO_FT_ROBOTS")


def known_robots() -> list[str]:
    """Names of the robots that have a file, sorted.

    Raises:
        ConfigError: as `NamedFiles.known`.
    """
    return list(ROBOTS.known())


def load_robot(name_or_path: str | Path) -> RobotConfig:
    """The robot of a name, or of a file.

    Args:
        name_or_path: A name of `known_robots`, or the path of a file or folder.

    Raises:
        ConfigError: for an unknown robot, listing the known ones, or a file that is not valid.
    """
    path = ROBOTS.find(name_or_path)
    robot = load_yaml(RobotConfig, path)
    if robot.name != path.stem:
        raise ConfigError(f"{path}: name: {robot.name!r} is not the file's name ({path.stem})")
    return robot

"""Which robots there are: config/robots/, folders of EXPO_FT_ROBOTS, and any file by its path."""

from __future__ import annotations

import difflib
import os
from pathlib import Path

from expo_ft_ros.configuration import ConfigError, config_dir, load_yaml
from expo_ft_ros.robots.config import RobotConfig

DEFAULT_ROBOT = "sim"
"""The one that needs no hardware."""

FOLDERS_VARIABLE = "EXPO_FT_ROBOTS"
"""Environment variable: more folders with a <name>.yaml for each robot, separated as in PATH."""


def known_robots() -> list[str]:
    """Names of the robots that have a file, sorted.

    Raises:
        ConfigError: for a folder of EXPO_FT_ROBOTS that is none, or a name in two folders.
    """
    return sorted(_files())


def load_robot(name_or_path: str | Path) -> RobotConfig:
    """The robot of a name, or of a file.

    Args:
        name_or_path: A name of `known_robots`, or a path, which ends with .yaml.

    Raises:
        ConfigError: for an unknown robot, listing the known ones, or a file that is not valid.
    """
    text = str(name_or_path)
    path = Path(text).expanduser() if is_path(text) else _file_of(text)
    robot = load_yaml(RobotConfig, path)
    if robot.name != path.stem:
        raise ConfigError(f"{path}: name: {robot.name!r} is not the file's name ({path.stem})")
    return robot


def is_path(text: str) -> bool:
    """Whether a robot is given by its file and not by its name."""
    return text.endswith((".yaml", ".yml")) or os.sep in text


def _file_of(name: str) -> Path:
    files = _files()
    if name not in files:
        close = difflib.get_close_matches(name, files, n=1)
        hint = f"did you mean {close[0]}? " if close else ""
        raise ConfigError(
            f"no robot {name!r} ({hint}known: {', '.join(sorted(files))}; or a path to a .yaml, "
            f"or a folder of such in {FOLDERS_VARIABLE})"
        )
    return files[name]


def _files() -> dict[str, Path]:
    """Name -> file."""
    files: dict[str, Path] = {}
    for folder in (config_dir() / "robots", *_more_folders()):
        for path in sorted(folder.glob("*.yaml")):
            if path.stem in files:
                raise ConfigError(
                    f"{path}: robot: there is one of this name in {files[path.stem].parent} "
                    "(rename one)"
                )
            files[path.stem] = path
    return files


def _more_folders() -> list[Path]:
    given = os.environ.get(FOLDERS_VARIABLE, "").split(os.pathsep)
    folders = [Path(text).expanduser() for text in given if text]
    for folder in folders:
        if not folder.is_dir():
            raise ConfigError(f"{FOLDERS_VARIABLE}={folder}: no such folder (create or unset it)")
    return folders

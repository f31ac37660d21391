# SPDX-License-Identifier: Apache-2.0
"""The files of presets and sizes: those of the package, and the sizes that policies bring."""

from __future__ import annotations

from pathlib import Path

from expo_ft_ros.configuration import ConfigError, config_dir, nearest
from expo_ft_ros.named_files import is_path
from expo_ft_ros.policies.registry import policy_folders


def known_names(kind: str) -> list[str]:
    """Names of presets or sizes, sorted.

    Args:
        kind: presets or sizes.
    """
    return sorted(_files(kind))


def find_file(kind: str, name: str) -> Path:
    """The file of a preset or a size.

    Args:
        kind: presets or sizes.
        name: One of `known_names`, or a path that ends with .yaml.

    Raises:
        ConfigError: for an unknown name, with the known ones.
    """
    if is_path(name):
        return Path(name).expanduser().absolute()
    files = _files(kind)
    if name not in files:
        raise ConfigError(
            f"no {kind.removesuffix('s')} {name!r} ({nearest(name, files)}; or a path to a .yaml)"
        )
    return files[name]


def size_reference(name: str) -> str:
    """A size in words that hold in any folder and environment: its name, or its absolute path.

    Raises:
        ConfigError: as `find_file`.
    """
    path = find_file("sizes", name)
    return path.stem if path.parent == config_dir() / "sizes" else str(path)


def _files(kind: str) -> dict[str, Path]:
    """Name -> file: those of config/<kind>, and the sizes that policies bring in their folders."""
    folders = [config_dir() / kind]
    folders += policy_folders().values() if kind == "sizes" else []
    files: dict[str, Path] = {}
    for folder in folders:
        for path in sorted(folder.glob("*.yaml")):
            if path.stem in files:
                raise ConfigError(
                    f"{path}: {kind}: there is one of this name in {files[path.stem].parent} "
                    "(rename one)"
                )
            files[path.stem] = path
    return files

# SPDX-License-Identifier: Apache-2.0
"""Configuration files by name: those of config/, those of other folders, and any file by its path.

A task and a robot are found alike, so that one from outside the package needs no line inside it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from expo_ft_ros.configuration import ConfigError, config_dir, nearest


def is_path(text: str) -> bool:
    """Whether a file is given by its path and not by its name."""
    return os.sep in text or text.endswith((".yaml", ".yml"))


def folders_of(variable: str) -> list[Path]:
    """The folders of an environment variable, which are separated as in PATH.

    Raises:
        ConfigError: for one that is none.
    """
    given = os.environ.get(variable, "").split(os.pathsep)
    folders = [Path(text).expanduser().absolute() for text in given if text]
    for folder in folders:
        if not folder.is_dir():
            raise ConfigError(f"{variable}={folder}: no such folder (create or unset it)")
    return folders


@dataclass(frozen=True)
class NamedFiles:
    """The files of one kind.

    In a folder <name> is <name>.yaml, or <name>/<name>.yaml.

    Attributes:
        kind: What a file describes, for errors.
        folder: Those of the package: a folder of config/.
        variable: Environment variable with more folders, separated as in PATH.
    """

    kind: str
    folder: str
    variable: str

    def known(self) -> dict[str, Path]:
        """Name -> file, sorted by name.

        Raises:
            ConfigError: for a folder of the variable that is none, or a name in two folders.
        """
        files: dict[str, Path] = {}
        for folder in (config_dir() / self.folder, *folders_of(self.variable)):
            nested = (path for path in folder.glob("*/*.yaml") if path.stem == path.parent.name)
            for path in sorted({*folder.glob("*.yaml"), *nested}):
                if path.stem in files:
                    raise ConfigError(
                        f"{path}: {self.kind}: there is one of this name in "
                        f"{files[path.stem].parent} (rename one)"
                    )
                files[path.stem] = path
        return dict(sorted(files.items()))

    def find(self, name_or_path: str | Path) -> Path:
        """The file that is meant.

        Args:
            name_or_path: A known name; or, with a / or ending with .yaml, a file, or its folder.

        Raises:
            ConfigError: where there is none.
        """
        text = str(name_or_path)
        if not is_path(text):
            return self._of_name(text)
        path = Path(text).expanduser().absolute()
        return self._in_folder(path) if path.is_dir() else path

    def reference(self, name_or_path: str | Path) -> str:
        """The same in words that hold in any folder and environment: name, or absolute path.

        Raises:
            ConfigError: as `find`.
        """
        path = self.find(name_or_path)
        return path.stem if path.parent == config_dir() / self.folder else str(path)

    def _of_name(self, name: str) -> Path:
        files = self.known()
        if name not in files:
            raise ConfigError(
                f"no {self.kind} {name!r} ({nearest(name, files)}; or a path to a .yaml, or a "
                f"folder of such in {self.variable})"
            )
        return files[name]

    def _in_folder(self, folder: Path) -> Path:
        """The file of a folder: of its name, in it or beside it, or its only one."""
        for path in (folder / f"{folder.name}.yaml", folder.with_name(f"{folder.name}.yaml")):
            if path.is_file():
                return path
        found = sorted(folder.glob("*.yaml"))
        if len(found) != 1:
            names = ", ".join(path.name for path in found) or "no .yaml"
            raise ConfigError(
                f"{folder}: {self.kind}: which file? It has {names} (name the file itself, or add "
                f"{folder.name}.yaml)"
            )
        return found[0]

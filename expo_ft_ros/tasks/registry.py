# SPDX-License-Identifier: Apache-2.0
"""Which tasks there are, and the code of each: found by folder, imported when it is asked for.

A task is a YAML file and a folder with reward.py, and for the simulation scene.py and expert.py.
The folder is looked for beside the file, in the folders of EXPO_FT_TASKS and in this package; a
robot needs reward.py only.
"""

from __future__ import annotations

import hashlib
import importlib
import re
import sys
import traceback
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import create_model

from expo_ft_ros.configuration import Config, ConfigError, YamlFile
from expo_ft_ros.named_files import NamedFiles, folders_of
from expo_ft_ros.tasks.config import NAME, ClassifierConfig, Part, TaskConfig

TASKS = NamedFiles(kind="task", folder="tasks", variable="EXPO_FT_TASKS")

_PACKAGE = Path(__file__).parent
_HINT = "see docs/adding_a_task.md"


def known_tasks() -> list[str]:
    """Names of the tasks that have a file, sorted.

    Raises:
        ConfigError: as `NamedFiles.known`.
    """
    return list(TASKS.known())


def load_task(name_or_path: str | Path, overrides: Mapping[str, Any] | None = None) -> TaskConfig:
    """The task of a name, or of a file; its classifier's parameters are checked, too.

    Args:
        name_or_path: A name of `known_tasks`, or the path of a file or folder.
        overrides: As in `configuration.YamlFile`.

    Raises:
        ConfigError: for an unknown task, listing the known ones, a file that is not valid, or a
            reward.py that is missing or can't be imported.
    """
    path = TASKS.find(name_or_path)
    file = YamlFile(path, overrides)
    task = file.read_as(_model(_parameters(file)))
    if task.name != path.stem:
        raise file.error(("name",), f"{task.name!r} is not the file's name (write {path.stem})")
    task._file = path
    return task


def find_part(task: TaskConfig, part: Part) -> Path:
    """The file with that part of a task's code.

    Raises:
        ConfigError: where there is none.
    """
    try:
        return _find(task.file, task.code(part), part)
    except ConfigError as error:
        raise ConfigError(f"{task.file}: {part}: {error}") from None


def load_part(task: TaskConfig, part: Part, name: str) -> Any:
    """What that part of a task's code calls `name`.

    Raises:
        ConfigError: where there is none, or it can't be imported.
    """
    return _named(find_part(task, part), name)


def _parameters(file: YamlFile) -> type[Config]:
    """The class of the parameters of the classifier that a file names."""
    given = file.data.get("classifier")
    name = given.get("name") if isinstance(given, dict) else None
    if not (isinstance(name, str) and re.fullmatch(NAME, name)):
        name = None
    try:
        path = _find(file.path, name or file.path.stem, "reward")
        found = _named(path, "Parameters")
        if not (isinstance(found, type) and issubclass(found, Config)):
            raise ConfigError(f"{path}: Parameters is no Config ({_HINT})")
    except ConfigError as error:
        raise file.error(("classifier", *(["name"] if name else [])), str(error)) from error
    return found


@cache
def _model(parameters: type[Config]) -> type[TaskConfig]:
    """TaskConfig whose classifier has these parameters."""
    field = TaskConfig.model_fields["classifier"]
    return create_model(
        TaskConfig.__name__,
        __base__=TaskConfig,
        __module__=TaskConfig.__module__,
        classifier=(ClassifierConfig[parameters], field),  # type: ignore[valid-type]
    )


def _find(file: Path, name: str, part: Part) -> Path:
    """The part's file in the folder `name` that the task's file means."""
    folders = [*_folders(file, name)]
    for folder in folders:
        path = folder / f"{part}.py"
        if path.is_file():
            return path
    known = sorted(path.parent.name for path in _PACKAGE.glob(f"*/{part}.py"))
    raise ConfigError(
        f"{name!r} has none (write {folders[0] / part}.py, or name one of {', '.join(known)})"
    )


def _folders(file: Path, name: str) -> Iterator[Path]:
    """Where the code called `name` may be: the task's own, beside it, outside, in the package."""
    beside = file.parent / file.stem
    inside = file.parent.name == file.stem or (file.parent / "reward.py").is_file()
    own = file.parent if inside and not beside.is_dir() else beside
    yield own if name == file.stem else own.parent / name
    yield from (folder / name for folder in folders_of(TASKS.variable))
    yield _PACKAGE / name


def _named(path: Path, name: str) -> Any:
    module = _imported(path)
    try:
        return getattr(module, name)
    except AttributeError:
        raise ConfigError(f"{path}: no {name} in it ({_HINT})") from None


def _imported(path: Path) -> ModuleType:
    """The module of a file of a task's folder. Files of a folder import each other relatively."""
    folder = path.parent
    package = f"{__package__}.{folder.name}"
    if folder.parent != _PACKAGE:
        digest = hashlib.sha256(str(folder).encode()).hexdigest()[:8]
        package = f"expo_ft_task_{re.sub(r'[^a-zA-Z0-9_]', '_', folder.name)}_{digest}"
        if package not in sys.modules:
            sys.modules[package] = ModuleType(package)
            sys.modules[package].__path__ = [str(folder)]
    try:
        return importlib.import_module(f"{package}.{path.stem}")
    except Exception as error:
        words = " ".join(str(error).split())
        raise ConfigError(
            f"{_place(path, error)}: {type(error).__name__}: {words} (mend it, {_HINT})"
        ) from error


def _place(path: Path, error: Exception) -> str:
    """The file, and the line of it where the error is."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == str(path)]
    if isinstance(error, SyntaxError) and error.filename == str(path):
        lines.append(error.lineno)
    return f"{path}:{lines[-1]}" if lines else str(path)

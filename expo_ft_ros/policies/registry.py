# SPDX-License-Identifier: Apache-2.0
"""Which policies there are: folders of policies/, of the folders in EXPO_FT_POLICIES, and the one
that a size's file lies in.

A policy `<name>/` holds config.py, free of torch, whose CONFIG is its `PolicyConfig` with
`kind: Literal["<name>"]`; and model.py, whose `build(config, views, device)` makes the `VLA`. Sizes
that it brings lie beside them as <size>.yaml. It is imported as expo_ft_ros.policies.<name> and
needs an entry nowhere.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from expo_ft_ros import policies
from expo_ft_ros.configuration import ConfigError, nearest
from expo_ft_ros.named_files import folders_of
from expo_ft_ros.policies.config import PolicyConfig
from expo_ft_ros.robots import ViewConfig

if TYPE_CHECKING:
    import torch

    from expo_ft_ros.policies.base import VLA

FOLDERS_VARIABLE = "EXPO_FT_POLICIES"
"""Environment variable: more folders with a folder for each policy, separated as in PATH."""

_HERE = Path(__file__).resolve().parent
_CONFIG = "config.py"


def known_policies() -> list[str]:
    """Names of the policies, sorted.

    Raises:
        ConfigError: for a folder of EXPO_FT_POLICIES that is none, or a name in two of them.
    """
    return sorted(policy_folders())


def config_class(kind: str, beside: Path | None = None) -> type[PolicyConfig]:
    """The configuration of a policy.

    Args:
        kind: One of `known_policies`, or the name of the folder `beside`.
        beside: Folder of the file that names it.

    Raises:
        ConfigError: for an unknown one, listing the known, or one that can't be imported.
    """
    folders = policy_folders()
    if beside is not None and (beside / _CONFIG).is_file():
        _add(folders, beside)
    if kind not in folders:
        raise ConfigError(
            f"no policy {kind!r} ({nearest(kind, folders)}; or a folder of such in "
            f"{FOLDERS_VARIABLE})"
        )
    path = folders[kind] / _CONFIG
    found = getattr(_imported(path), "CONFIG", None)
    if not (isinstance(found, type) and issubclass(found, PolicyConfig)):
        raise ConfigError(f"{path}: CONFIG: not a PolicyConfig (assign the policy's class to it)")
    if found.model_fields["kind"].default != kind:
        raise ConfigError(
            f'{path}: kind: its default is not the folder\'s name (write kind: Literal["{kind}"] '
            f'= "{kind}")'
        )
    return found


def build_policy(config: PolicyConfig, views: Sequence[ViewConfig], device: torch.device) -> VLA:
    """Makes a policy.

    Args:
        config: Of the class that `config_class` gave for its kind.
        views: The robot's cameras, in the order in which observations will have them.
        device: Where its weights are.

    Raises:
        ConfigError: when it can't be imported, or for what it can't do with that configuration.
    """
    path = Path(inspect.getfile(type(config))).with_name("model.py")
    build = getattr(_imported(path), "build", None)
    if build is None:
        raise ConfigError(f"{path}: build: missing (add build(config, views, device) -> VLA)")
    made: VLA = build(config, tuple(views), device)
    return made


def policy_folders() -> dict[str, Path]:
    """Name -> folder.

    Raises:
        ConfigError: as `known_policies`.
    """
    found: dict[str, Path] = {}
    for folder in (_HERE, *folders_of(FOLDERS_VARIABLE)):
        for path in sorted(folder.glob(f"*/{_CONFIG}")):
            _add(found, path.parent)
    return found


def _add(folders: dict[str, Path], folder: Path) -> None:
    other = folders.setdefault(folder.name, folder)
    if not other.samefile(folder):
        raise ConfigError(
            f"{folder}: policy: there is one of this name in {other.parent} (rename one)"
        )


def _imported(path: Path) -> ModuleType:
    """The module of a policy's file, wherever its folder is."""
    folder = path.parent
    roots = [_HERE, *folders_of(FOLDERS_VARIABLE), folder.parent.absolute()]
    policies.__path__ = list(dict.fromkeys(map(str, roots)))
    try:
        return importlib.import_module(f"{policies.__name__}.{folder.name}.{path.stem}")
    except (ImportError, SyntaxError) as error:
        raise ConfigError(f"{path}: can't be imported: {error} (mend or remove it)") from error

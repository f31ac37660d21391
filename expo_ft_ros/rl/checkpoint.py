# SPDX-License-Identifier: Apache-2.0
"""Nested state (tensors, numbers, lists, dicts) to one safetensors file and back; never pickle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from expo_ft_ros.data.files import replacing
from expo_ft_ros.data.tensor_files import save_tensors
from expo_ft_ros.rl.checkpoint_files import CHECKSUM, SKELETON, UNSEALED, VERSION, seal

_TENSOR = "__tensor__"


def save_state(path: Path, state: dict[str, Any], version: int | None = None) -> None:
    """Writes a state in place of what the file held.

    Args:
        path: The file.
        state: Nested tensors, numbers, text, lists and dicts.
        version: Of the weights, by which checkpoints are ordered; None: it is no checkpoint.

    Raises:
        TypeError: naming the place of what is neither tensor nor JSON.
        DiskError: where it can't be written; the file is as it was.
    """
    tensors: dict[str, torch.Tensor] = {}
    skeleton = _flatten(state, "", tensors, {})
    partial = path.with_suffix(".partial")
    about = {SKELETON: json.dumps(skeleton), CHECKSUM: UNSEALED}
    if version is not None:
        about[VERSION] = str(version)
    with replacing(partial, path):
        path.parent.mkdir(parents=True, exist_ok=True)
        save_tensors(partial, tensors, about)
        seal(partial)


def load_state(path: Path) -> dict[str, Any]:
    """Reads what `save_state` wrote.

    Raises:
        ValueError: naming a file that isn't a whole one.
    """
    try:
        with safe_open(path, framework="pt") as file:
            skeleton = json.loads(file.metadata()[SKELETON])
            # By the same handle: the file may be replaced by a newer one meanwhile.
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        state: dict[str, Any] = _unflatten(skeleton, tensors)
    except (OSError, SafetensorError, LookupError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"{path}: not a whole checkpoint ({error}); use an older one") from error
    return state


def _flatten(value: Any, name: str, tensors: dict[str, torch.Tensor], names: dict[int, str]) -> Any:
    """The skeleton of a value; its tensors go into `tensors`, one that stands in two places once
    (`names`: id -> name)."""
    if isinstance(value, torch.Tensor):
        if id(value) not in names:
            names[id(value)] = name
            tensors[name] = value.detach().cpu().contiguous().clone()
        return {_TENSOR: names[id(value)]}
    if isinstance(value, dict):
        # Optimiser states have integer keys, which JSON would turn into text: pairs keep them.
        pairs = [[k, _flatten(v, f"{name}/{k}", tensors, names)] for k, v in value.items()]
        return {"pairs": pairs}
    if isinstance(value, list | tuple):
        return [_flatten(v, f"{name}/{i}", tensors, names) for i, v in enumerate(value)]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"checkpoint field {name} is a {type(value).__name__}: tensor or JSON needed")


def _unflatten(value: Any, tensors: dict[str, torch.Tensor]) -> Any:
    if isinstance(value, dict):
        if _TENSOR in value:
            return tensors[value[_TENSOR]]
        return {k: _unflatten(v, tensors) for k, v in value["pairs"]}
    if isinstance(value, list):
        return [_unflatten(v, tensors) for v in value]
    return value

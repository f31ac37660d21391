# SPDX-License-Identifier: Apache-2.0
"""Quantile statistics beside a checkpoint's weights, read and written as openpi and lerobot do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.data.files import replacing, write_atomically
from expo_ft_ros.data.tensor_files import save_tensors
from expo_ft_ros.policies.base import Statistics

ASSET = "expo_ft"
"""Folder in assets/ of what is exported for openpi."""

_NORM_STATS = "norm_stats.json"
_MARGIN = 1e-6  # openpi adds it to a range: (x - q01) / (q99 - q01 + 1e-6) * 2 - 1
_QUANTILES = "QUANTILES"  # lerobot's name for this normalisation
_NORMAL_QUANTILE = 2.326  # the 99% one

_PROCESSORS = {
    "policy_preprocessor": "normalizer_processor",
    "policy_postprocessor": "unnormalizer_processor",
}
_STATE, _ACTION = "observation.state", "action"


def read_statistics(folder: Path, asset: str | None) -> tuple[Path, Statistics] | None:
    """What a checkpoint normalises by, of as many numbers as it was made for, and its file.

    Args:
        folder: The checkpoint's.
        asset: Folder in assets/ of an openpi checkpoint; None: the only one.

    Returns:
        None where there is none.

    Raises:
        ConfigError: for several to choose from, an asset that isn't there, or a file with
            something else in it.
    """
    processor = folder / "policy_preprocessor.json"
    if processor.is_file():
        return _of_lerobot(processor)
    assets = folder / "assets"
    there = {str(p.parent.relative_to(assets)): p for p in assets.glob(f"**/{_NORM_STATS}")}
    if asset is not None and asset not in there:
        raise ConfigError(
            f"{assets}: expected {asset}/{_NORM_STATS}, found {', '.join(sorted(there)) or 'none'} "
            "(set vla.asset to one there is)"
        )
    if asset is None and len(there) > 1:
        raise ConfigError(
            f"{assets}: expected the statistics of one robot, found {', '.join(sorted(there))} "
            "(set vla.asset to one of them)"
        )
    path = there[asset] if asset else next(iter(there.values()), None)
    return _of_openpi(path) if path else None


def _of_openpi(path: Path) -> tuple[Path, Statistics]:
    try:
        told = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: can't be read: {error} (fetch it again)") from error

    def quantile(part: str, name: str) -> Tensor:
        values = told
        for key in ("norm_stats", part, name):
            values = values.get(key) if isinstance(values, dict) else None
        return _vector(path, f"norm_stats.{part}.{name}", values)

    state, action = (
        (quantile(part, "q01"), quantile(part, "q99") + _MARGIN) for part in ("state", "actions")
    )
    return _ordered(path, Statistics(*state, *action))


def _of_lerobot(processor: Path) -> tuple[Path, Statistics] | None:
    try:
        steps = json.loads(processor.read_text())["steps"]
        wanted = _PROCESSORS[processor.stem]
        step = next(s for s in steps if s.get("registry_name") == wanted)
        if "state_file" not in step:  # lerobot writes it where a step has something to keep
            return None
        path = processor.with_name(step["state_file"])
        told = load_file(path)
    except (OSError, ValueError, LookupError, TypeError, StopIteration, SafetensorError) as error:
        raise ConfigError(
            f"{processor}: expected a step {_PROCESSORS[processor.stem]} and its state_file, "
            f"found: {error!r} (fetch the checkpoint again)"
        ) from error
    low_state, high_state, low_action, high_action = (
        _vector(path, f"{part}.{name}", told.get(f"{part}.{name}"))
        for part in (_STATE, _ACTION)
        for name in ("q01", "q99")
    )
    modes = step.get("config", {}).get("norm_map", {})
    for kind in ("STATE", "ACTION"):
        if modes.get(kind, _QUANTILES) != _QUANTILES:
            raise ConfigError(
                f"{processor}: norm_map.{kind}: expected {_QUANTILES}, found {modes[kind]} (take a "
                "checkpoint that was trained with quantiles)"
            )
    known = Statistics(low_state, high_state, low_action, high_action)
    return _ordered(path, known)


def _ordered(path: Path, known: Statistics) -> tuple[Path, Statistics]:
    """The statistics, whose upper quantiles lie above the lower ones, by a margin where a number
    never changed."""
    ranges = []
    for part in ("state", "action"):
        low, high = getattr(known, f"{part}_low"), getattr(known, f"{part}_high")
        if len(low) != len(high):
            raise ConfigError(
                f"{path}: {part}: expected as many numbers of q01 as of q99, found {len(low)} and "
                f"{len(high)} (compute the statistics anew)"
            )
        for at in torch.nonzero(high < low).flatten().tolist():
            raise ConfigError(
                f"{path}: {part}: expected q01 up to q99, found {low[at]:g} and {high[at]:g} in "
                f"dimension {at} (compute the statistics anew)"
            )
        ranges += [low, high.maximum(low + _MARGIN * low.abs().clamp_min(1.0))]
    return path, Statistics(*ranges)


def _vector(path: Path, key: str, values: Any) -> Tensor:
    try:
        vector = torch.as_tensor(values, dtype=torch.float32).flatten()
    except (TypeError, ValueError, RuntimeError):
        vector = torch.empty(0)
    if len(vector) == 0 or not torch.isfinite(vector).all():
        found = "nothing" if values is None else str(values)[:60]
        raise ConfigError(
            f"{path}: {key}: expected a list of numbers, found {found} (openpi's "
            "scripts/compute_norm_stats.py and lerobot's lerobot-train write it)"
        )
    return vector


def write_openpi_statistics(folder: Path, statistics: Statistics) -> None:
    """Writes assets/expo_ft/norm_stats.json. pi0.5 is normalised by its quantiles; mean and
    deviation, which openpi wants as well, are those of a normal distribution with the same."""

    def about(low: Tensor, high: Tensor) -> dict[str, list[float]]:
        q99 = high - _MARGIN
        return {
            "mean": ((low + q99) / 2).tolist(),
            "std": ((q99 - low) / 2 / _NORMAL_QUANTILE).tolist(),
            "q01": low.tolist(),
            "q99": q99.tolist(),
        }

    path = folder / "assets" / ASSET / _NORM_STATS
    path.parent.mkdir(parents=True, exist_ok=True)
    known = statistics
    content = {
        "state": about(known.state_low, known.state_high),
        "actions": about(known.action_low, known.action_high),
    }
    write_atomically(path, {"norm_stats": content})


def write_lerobot_statistics(folder: Path, statistics: Statistics, features: Any) -> None:
    """Writes the processors that lerobot runs before and after its policy.

    Args:
        folder: The checkpoint's.
        statistics: What they normalise by.
        features: Name of each input and output -> {"type", "shape"}, as in its config.json.
    """
    known = statistics
    quantiles = {
        f"{_STATE}.q01": known.state_low,
        f"{_STATE}.q99": known.state_high,
        f"{_ACTION}.q01": known.action_low,
        f"{_ACTION}.q99": known.action_high,
    }
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in quantiles.items()}
    normalisation = {
        "eps": 1e-8,
        "features": features,
        "norm_map": {"VISUAL": "IDENTITY", "STATE": _QUANTILES, "ACTION": _QUANTILES},
    }
    device = {"registry_name": "device_processor", "config": {"device": "cpu", "float_dtype": None}}
    tokenizer = {
        "tokenizer_name": "google/paligemma-3b-pt-224",
        "max_length": 200,
        "task_key": "task",
        "padding_side": "right",
        "padding": "max_length",
        "truncation": True,
    }
    around: dict[str, tuple[list[Any], list[Any]]] = {
        "policy_preprocessor": (
            [
                {"registry_name": "rename_observations_processor", "config": {"rename_map": {}}},
                {"registry_name": "to_batch_processor", "config": {}},
            ],
            [
                {
                    "registry_name": "pi05_prepare_state_tokenizer_processor_step",
                    "config": {},
                },
                {"registry_name": "tokenizer_processor", "config": tokenizer},
                device,
            ],
        ),
        "policy_postprocessor": ([], [device]),
    }
    for name, (before, after) in around.items():
        step = _PROCESSORS[name]
        state_file = f"{name}_step_{len(before)}_{step}.safetensors"
        entry = {"registry_name": step, "config": normalisation, "state_file": state_file}
        write_atomically(folder / f"{name}.json", {"name": name, "steps": [*before, entry, *after]})
        partial = folder / f"{state_file}.partial"
        with replacing(partial, folder / state_file):
            save_tensors(partial, tensors)

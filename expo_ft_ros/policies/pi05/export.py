# SPDX-License-Identifier: Apache-2.0
"""A whole checkpoint of pi0.5 for openpi or lerobot."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from expo_ft_ros.data.files import write_atomically, writing
from expo_ft_ros.data.types import ACTION_DIM, STATE_DIM
from expo_ft_ros.policies.base import Statistics
from expo_ft_ros.policies.pi05.checkpoint import LAYOUTS, CheckpointFile, Layout, write_weights
from expo_ft_ros.policies.pi05.config import Pi05Config, config_of
from expo_ft_ros.policies.pi05.lora import updates
from expo_ft_ros.policies.pi05.network import Pi05Network
from expo_ft_ros.policies.pi05.statistics import write_lerobot_statistics, write_openpi_statistics
from expo_ft_ros.robots import ViewConfig

_log = logging.getLogger(__name__)


def layout_of(name: str) -> Layout:
    """The layout of this name.

    Raises:
        ValueError: for one that isn't known, with those that are.
    """
    for layout in LAYOUTS:
        if layout == name:
            return layout
    raise ValueError(f"layout {name!r} isn't known (known: {', '.join(LAYOUTS)})")


def write_checkpoint(
    folder: Path,
    layout: Layout,
    config: Pi05Config,
    views: Sequence[ViewConfig],
    network: Pi05Network,
    statistics: Statistics,
) -> None:
    """Writes weights, statistics and config.json.

    Args:
        folder: Of the checkpoint; made where there is none.
        layout: Who is to read it.
        config: Of the policy; what its own checkpoint's config.json says besides is kept where
            that is of the same layout.
        views: The robot's, in order.
        network: What learned of it is written as it is now, low-rank updates merged; what is
            frozen, and every type, as its own checkpoint has it.
        statistics: What the policy normalises by.

    Raises:
        DiskError: where it can't be written.
    """
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    source = CheckpointFile(config.checkpoint) if config.checkpoint else None
    same = source is not None and source.layout == layout
    told = config_of(config.checkpoint) if config.checkpoint and same else {}
    unused_head = source.unused_head() if source else None
    write_weights(folder, layout, _merged(network, source), unused_head)
    if layout == "openpi":
        content = told | _openpi_config(config)
        write_openpi_statistics(folder, statistics)
    else:
        content = told | _lerobot_config(config, views)
        features = content["input_features"] | content["output_features"]
        write_lerobot_statistics(folder, statistics, features)
    write_atomically(folder / "config.json", content)


def _merged(network: Pi05Network, source: CheckpointFile | None) -> Iterator[tuple[str, Tensor]]:
    own = {name: value.detach().cpu() for name, value in network.named_parameters()}
    update = updates(network)
    shapes = {name: tuple(value.shape) for name, value in own.items() if ".lora_" not in name}
    learned = {name for name, value in network.named_parameters() if value.requires_grad}
    stored = source.tensors(shapes) if source else ((name, own[name]) for name in shapes)
    moved = lost = 0.0
    for name, tensor in stored:
        if name not in update and name not in learned:
            yield name, tensor
            continue
        # Onto what is stored: the network may have rounded it.
        wanted = tensor.float() + update[name].cpu() if name in update else own[name].float()
        written = wanted.to(tensor.dtype)
        moved += float((wanted - tensor.float()).square().sum())
        lost += float((wanted - written.float()).square().sum())
        yield name, written
    if lost:
        _log.warning(
            "the checkpoint's weights are of lower precision: %.0f%% of what was learned (root "
            "mean square) is rounded away; begin from one in float32 where that is too much",
            100 * math.sqrt(lost / moved) if moved else 0.0,
        )


def _variants(config: Pi05Config) -> dict[str, str]:
    """What openpi calls the transformers' sizes; "custom" is no size of theirs."""
    fields = Pi05Config.model_fields
    common = all(
        getattr(config, name) == fields[name].default for name in ("depth", "heads", "head_dim")
    )
    names = {}
    for key, name, variant in (
        ("paligemma_variant", "vlm", "gemma_2b"),
        ("action_expert_variant", "expert", "gemma_300m"),
    ):
        full = fields[name].get_default(call_default_factory=True)
        names[key] = variant if common and getattr(config, name) == full else "custom"
    return names


def _openpi_config(config: Pi05Config) -> dict[str, Any]:
    return {
        "action_dim": config.action_dim,
        "action_horizon": config.horizon,
        "precision": config.dtype,
        **_variants(config),
    }


def _lerobot_config(config: Pi05Config, views: Sequence[ViewConfig]) -> dict[str, Any]:
    image = {"type": "VISUAL", "shape": [3, config.image_size, config.image_size]}
    names = [f"{view.role}_0_rgb" if view.role else view.name for view in views]
    return {
        "type": "pi05",
        "input_features": {
            **{f"observation.images.{name}": image for name in names},
            "observation.state": {"type": "STATE", "shape": [STATE_DIM]},
        },
        "output_features": {"action": {"type": "ACTION", "shape": [ACTION_DIM]}},
        "chunk_size": config.horizon,
        "n_action_steps": config.horizon,
        "max_action_dim": config.action_dim,
        "num_inference_steps": config.euler_steps,
        "tokenizer_max_length": config.max_tokens,
        "image_resolution": [config.image_size, config.image_size],
        "dtype": config.dtype,
        **_variants(config),
    }

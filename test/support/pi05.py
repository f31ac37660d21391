# SPDX-License-Identifier: Apache-2.0
"""A pi0.5 of a few thousand weights, and what openpi's own code gave for one."""

from __future__ import annotations

import json
import math
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file

from expo_ft_ros.policies.pi05.small_tokenizer import SMALL_VOCABULARY, small_tokenizer

TINY: dict[str, Any] = {
    "horizon": 4,
    "image_size": 28,
    "vocabulary": SMALL_VOCABULARY,
    "max_tokens": 96,
    "vision": {"width": 16, "mlp": 32, "depth": 2, "heads": 2},
    "vlm": {"width": 32, "mlp": 64},
    "expert": {"width": 32, "mlp": 64},
    "depth": 2,
    "heads": 4,
    "head_dim": 8,
    "recompute": False,
}


def write_tokenizer(path: Path, **options: int) -> Path:
    """Writes the small tokenizer, as a file like PaliGemma's; options: see `small_tokenizer`."""
    path.write_bytes(small_tokenizer(**options))
    return path


class Reference:
    """Numbers of openpi's own code for a tiny model (test/policies/pi05_reference/README.txt)."""

    def __init__(self) -> None:
        folder = Path(__file__).parents[1] / "policies" / "pi05_reference"
        self.told = json.loads((folder / "pi05_tiny_openpi.json").read_text())
        self._numbers = np.load(folder / "pi05_tiny_openpi.npz", allow_pickle=False)

    def __getitem__(self, name: str) -> torch.Tensor:
        return torch.from_numpy(self._numbers[name])

    @property
    def size(self) -> dict[str, Any]:
        """Of the model, as `Pi05Config` has it."""
        vision, vlm, expert = (self.told[part] for part in ("vision", "vlm", "expert"))
        return {
            "horizon": 10,
            "vocabulary": self.told["vocab"],
            "vision": {
                "width": vision["hidden_size"],
                "mlp": vision["intermediate_size"],
                "depth": vision["num_hidden_layers"],
                "heads": vision["num_attention_heads"],
            },
            "vlm": {"width": vlm["width"], "mlp": vlm["mlp_dim"]},
            "expert": {"width": expert["width"], "mlp": expert["mlp_dim"]},
            "depth": vlm["depth"],
            "heads": vlm["num_heads"],
            "head_dim": vlm["head_dim"],
        }

    def weights(self) -> dict[str, torch.Tensor]:
        """What openpi's converter writes: of the tied table the head's name only."""
        made = {name: _drawn(name, shape) for name, shape in self.told["shapes"].items()}
        table = made.pop("paligemma_with_expert.paligemma.model.language_model.embed_tokens.weight")
        return {**made, "paligemma_with_expert.paligemma.lm_head.weight": table}

    def write(self, folder: Path) -> Path:
        """A checkpoint of openpi with these weights."""
        folder.mkdir()
        save_file(self.weights(), folder / "model.safetensors")
        told = {"action_dim": 32, "action_horizon": 10, "precision": "float32"}
        (folder / "config.json").write_text(json.dumps(told))
        return folder

    def images(self) -> torch.Tensor:
        """(2, 2, 3, 224, 224) in [-1, 1], of the views that aren't masked."""
        pixels = self["in_images_16x16_uint8"][:, :2].permute(0, 1, 4, 2, 3)
        return pixels.repeat_interleave(14, -1).repeat_interleave(14, -2).float() / 127.5 - 1

    def tokens(self) -> torch.Tensor:
        """(2, 48), padded with 0."""
        return (self["in_tokens"] * self["in_token_mask"]).long()


def _drawn(name: str, shape: list[int]) -> torch.Tensor:
    scale = {2: shape[-1], 4: math.prod(shape[1:])}.get(len(shape), 100) ** -0.5
    drawn = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape) * scale
    if name.endswith(".weight") and ("layer_norm" in name or "post_layernorm" in name):
        drawn = drawn + 1
    return torch.from_numpy(drawn.astype(np.float32))

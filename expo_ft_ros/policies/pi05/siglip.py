# SPDX-License-Identifier: Apache-2.0
"""SigLIP's vision transformer, pi0.5's image encoder (Zhai et al. 2023; openpi's modeling_siglip).

Its modules bear the names that they have in checkpoints.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from expo_ft_ros.policies.pi05.config import PATCH, SiglipSize

_EPSILON = 1e-6


class _Embeddings(nn.Module):
    """Patches and where they are; in float32, as openpi keeps them in a bfloat16 model."""

    def __init__(self, width: int, patches: int) -> None:
        super().__init__()
        self.patch_embedding = nn.Conv2d(3, width, PATCH, stride=PATCH)
        # Not drawn, as a new one would be: a checkpoint's comes.
        empty = torch.empty(patches, width)
        self.position_embedding = nn.Embedding(patches, width, _weight=empty)

    def forward(self, images: Tensor) -> Tensor:
        patches = self.patch_embedding(images.to(self.patch_embedding.weight.dtype))
        embedded: Tensor = patches.flatten(2).transpose(1, 2) + self.position_embedding.weight
        return embedded


class _Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self._heads = heads
        self.k_proj = nn.Linear(width, width)
        self.v_proj = nn.Linear(width, width)
        self.q_proj = nn.Linear(width, width)
        self.out_proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (
            projection(x).unflatten(-1, (self._heads, -1)).transpose(1, 2)
            for projection in (self.q_proj, self.k_proj, self.v_proj)
        )
        attended = functional.scaled_dot_product_attention(q, k, v)
        out: Tensor = self.out_proj(attended.transpose(1, 2).flatten(2))
        return out


class _MLP(nn.Module):
    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.fc2(functional.gelu(self.fc1(x), approximate="tanh"))
        return out


class _Layer(nn.Module):
    def __init__(self, size: SiglipSize) -> None:
        super().__init__()
        self.layer_norm1 = nn.LayerNorm(size.width, eps=_EPSILON)
        self.self_attn = _Attention(size.width, size.heads)
        self.layer_norm2 = nn.LayerNorm(size.width, eps=_EPSILON)
        self.mlp = _MLP(size.width, size.mlp)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.self_attn(self.layer_norm1(x))
        out: Tensor = x + self.mlp(self.layer_norm2(x))
        return out


class _Encoder(nn.Module):
    def __init__(self, size: SiglipSize) -> None:
        super().__init__()
        self.layers = nn.ModuleList([_Layer(size) for _ in range(size.depth)])


class Siglip(nn.Module):
    """Images to one embedding a patch.

    Args:
        size: Its size.
        patches: How many patches an image has.
    """

    def __init__(self, size: SiglipSize, patches: int) -> None:
        super().__init__()
        self.embeddings = _Embeddings(size.width, patches)
        self.encoder = _Encoder(size)
        self.post_layernorm = nn.LayerNorm(size.width, eps=_EPSILON)

    @property
    def dtype(self) -> torch.dtype:
        """Of its layers, and of what it gives."""
        return self.post_layernorm.weight.dtype

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, s, s) in [-1, 1] to (N, patches, width)."""
        x = self.embeddings(images).to(self.dtype)
        for layer in self.encoder.layers:
            x = layer(x)
        out: Tensor = self.post_layernorm(x)
        return out

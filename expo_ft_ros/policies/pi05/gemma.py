# SPDX-License-Identifier: Apache-2.0
"""The two Gemma transformers of pi0.5: the VLM's, which reads the prefix, and the action expert's.

Both have as many layers, and layer i of the expert attends to what layer i of the VLM made of the
prefix (pi0, Black et al. 2024, appendix B). Attention is multi-query: one head of keys and values
(openpi's gemma_2b and gemma_300m). Modules bear the names that they have in checkpoints.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from expo_ft_ros.policies.pi05.config import Pi05Config

_EPSILON = 1e-6
_ROTARY_BASE = 10_000.0

KeyValue = tuple[Tensor, Tensor]
"""Keys, after their rotation, and values of one layer: (B, 1, L, head_dim) each."""
Rotary = tuple[Tensor, Tensor]
"""Cosines and sines of positions: (B, 1, S, head_dim / 2) float32 each."""


@dataclass(frozen=True)
class PrefixCache:
    """What the expert needs of B observations.

    Attributes:
        layers: Of each layer, keys and values of the prefix.
        mask: (B, L) bool, false where a prompt is shorter than the longest of its batch.
    """

    layers: tuple[KeyValue, ...]
    mask: Tensor

    def __len__(self) -> int:
        """B."""
        return int(self.mask.shape[0])


class RMSNorm(nn.Module):
    """Root mean square normalisation in float32 (Zhang and Sennrich 2019); Gemma's scale is 1 +
    weight."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor, modulation: Tensor | None = None) -> tuple[Tensor, None]:
        """(..., width) to the same, normalised, and no gate; there is nothing to modulate."""
        return (_normalised(x) * (1 + self.weight.float())).to(x.dtype), None


class AdaptiveRMSNorm(nn.Module):
    """One whose scale, shift and gate come of the flow's time (pi0.5, appendix E; openpi)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.dense = nn.Linear(width, 3 * width)

    def forward(self, x: Tensor, modulation: Tensor) -> tuple[Tensor, Tensor]:
        """x (B, S, width); modulation (B or 1, 1, 3 * width), which `dense` made.

        Returns:
            x normalised; and (B or 1, 1, width), what the residual branch is multiplied by.
        """
        scale, shift, gate = modulation.float().chunk(3, dim=-1)
        return (_normalised(x) * (1 + scale) + shift).to(x.dtype), gate.to(x.dtype)


def _normalised(x: Tensor) -> Tensor:
    x = x.float()
    return x * torch.rsqrt(x.square().mean(dim=-1, keepdim=True) + _EPSILON)


def rotary(positions: Tensor, head_dim: int) -> Rotary:
    """Of positions (B, S) (Su et al. 2021)."""
    exponents = torch.arange(0, head_dim, 2, device=positions.device).float() / head_dim
    angles = positions[:, None, :, None].float() / _ROTARY_BASE**exponents
    return angles.cos(), angles.sin()


def _rotated(x: Tensor, at: Rotary) -> Tensor:
    """(B, heads, S, head_dim); numbers i and i + head_dim / 2 are a pair."""
    cos, sin = at
    first, second = x.float().chunk(2, dim=-1)
    turned = torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)
    return turned.to(x.dtype)


class Attention(nn.Module):
    """Multi-query attention with rotary positions."""

    def __init__(self, width: int, heads: int, head_dim: int) -> None:
        super().__init__()
        self._heads = heads
        self.q_proj = nn.Linear(width, heads * head_dim, bias=False)
        self.k_proj = nn.Linear(width, head_dim, bias=False)
        self.v_proj = nn.Linear(width, head_dim, bias=False)
        self.o_proj = nn.Linear(heads * head_dim, width, bias=False)

    def key_value(self, x: Tensor, at: Rotary) -> KeyValue:
        """Of (B, S, width)."""
        return _rotated(self.k_proj(x)[:, None], at), self.v_proj(x)[:, None]

    def forward(self, x: Tensor, at: Rotary, key_value: KeyValue, mask: Tensor) -> Tensor:
        """x (B, S, width) attends to keys and values of L positions where mask (B, 1, S or 1, L)
        is true."""
        query = _rotated(self.q_proj(x).unflatten(-1, (self._heads, -1)).transpose(1, 2), at)
        # Expanded, not repeated: all heads read the same memory.
        key, value = (part.expand(-1, self._heads, -1, -1) for part in key_value)
        attended = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        out: Tensor = self.o_proj(attended.transpose(1, 2).flatten(2))
        return out


class MLP(nn.Module):
    """Gemma's gated feed-forward layer."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(width, hidden, bias=False)
        self.up_proj = nn.Linear(width, hidden, bias=False)
        self.down_proj = nn.Linear(hidden, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(..., width) to the same."""
        gate = functional.gelu(self.gate_proj(x), approximate="tanh")
        out: Tensor = self.down_proj(gate * self.up_proj(x))
        return out


class Layer(nn.Module):
    """A layer of either transformer.

    Args:
        width: Of its tokens.
        hidden: Width within its feed-forward layer.
        heads: Of its queries.
        head_dim: Width of each.
        norm: Kind of its normalisation.
    """

    def __init__(
        self, width: int, hidden: int, heads: int, head_dim: int, norm: Callable[[int], nn.Module]
    ) -> None:
        super().__init__()
        self.self_attn = Attention(width, heads, head_dim)
        self.mlp = MLP(width, hidden)
        self.input_layernorm = norm(width)
        self.post_attention_layernorm = norm(width)

    def key_value(self, x: Tensor, at: Rotary) -> KeyValue:
        """What others see of tokens (B, S, width)."""
        return self.self_attn.key_value(self.input_layernorm(x)[0], at)

    def forward(
        self,
        x: Tensor,
        at: Rotary,
        mask: Tensor,
        past: KeyValue | None = None,
        modulation: tuple[Tensor, Tensor] | None = None,
    ) -> tuple[Tensor, KeyValue]:
        """Tokens (B, S, width) after the layer, and their own keys and values.

        Args:
            x: The tokens.
            at: Their positions.
            mask: What each may see, first of the past, then of themselves.
            past: Keys and values before them.
            modulation: Of its two norms, where they are adaptive.
        """
        of_attention, of_mlp = modulation or (None, None)
        normed, gate = self.input_layernorm(x, of_attention)
        own = self.self_attn.key_value(normed, at)
        seen = own if past is None else _joined(past, own)
        x = _residual(x, self.self_attn(normed, at, seen, mask), gate)
        normed, gate = self.post_attention_layernorm(x, of_mlp)
        return _residual(x, self.mlp(normed), gate), own


def _joined(past: KeyValue, own: KeyValue) -> KeyValue:
    keys, values = (torch.cat(pair, dim=2) for pair in zip(past, own, strict=True))
    return keys, values


def _residual(x: Tensor, branch: Tensor, gate: Tensor | None) -> Tensor:
    return x + branch if gate is None else x + branch * gate


def _run(layer: nn.Module, recompute: bool, *inputs: Any) -> tuple[Tensor, KeyValue]:
    """The layer; where that is wanted, its activations are made again for the gradient."""
    if recompute and torch.is_grad_enabled():
        result: tuple[Tensor, KeyValue] = checkpoint(layer, *inputs, use_reentrant=False)
        return result
    made: tuple[Tensor, KeyValue] = layer(*inputs)
    return made


class PrefixModel(nn.Module):
    """The VLM's transformer: images and prompt to keys and values.

    Of the last layer these are all that is used; the rest of it, and `norm`, is kept because
    checkpoints have it.
    """

    def __init__(self, config: Pi05Config) -> None:
        super().__init__()
        size = config.vlm
        self._recompute, self._head_dim = config.recompute, config.head_dim
        # Not drawn, as a new one would be: a checkpoint's comes.
        empty = torch.empty(config.vocabulary, size.width)
        self.embed_tokens = nn.Embedding(config.vocabulary, size.width, _weight=empty)
        self.layers = nn.ModuleList(
            Layer(size.width, size.mlp, config.heads, config.head_dim, RMSNorm)
            for _ in range(config.depth)
        )
        self.norm = RMSNorm(size.width)

    def embed(self, tokens: Tensor) -> Tensor:
        """(B, L) to (B, L, width), scaled as Gemma does."""
        width = self.embed_tokens.embedding_dim
        embedded: Tensor = self.embed_tokens(tokens) * width**0.5
        return embedded

    def forward(self, x: Tensor, mask: Tensor) -> PrefixCache:
        """Tokens (B, L, width), all of which see all where mask (B, L) is true; what is masked
        comes last."""
        at = rotary(torch.arange(x.shape[1], device=x.device)[None], self._head_dim)
        visible, layers = mask[:, None, None], []
        for layer in self.layers[:-1]:
            x, key_value = _run(layer, self._recompute, x, at, visible)
            layers.append(key_value)
        last: Any = self.layers[-1]
        return PrefixCache((*layers, last.key_value(x, at)), mask)


class ActionExpert(nn.Module):
    """The expert's transformer: actions, which see the prefix and each other."""

    def __init__(self, config: Pi05Config) -> None:
        super().__init__()
        size = config.expert
        self._recompute, self._head_dim = config.recompute, config.head_dim
        self.layers = nn.ModuleList(
            Layer(size.width, size.mlp, config.heads, config.head_dim, AdaptiveRMSNorm)
            for _ in range(config.depth)
        )
        self.norm = AdaptiveRMSNorm(size.width)

    def modulation(self, condition: Tensor) -> Tensor:
        """Conditions (T, width) to what all its norms are modulated by: (norms, T, 1, 3 * width).

        A fourth of the expert's weights: made once for all steps and chunks.
        """
        norms = [module for module in self.modules() if isinstance(module, AdaptiveRMSNorm)]
        made = [norm.dense(condition) for norm in norms]
        return torch.stack(made)[:, :, None]

    def forward(self, x: Tensor, chunks: int, prefix: PrefixCache, modulation: Tensor) -> Tensor:
        """Tokens of n chunks an observation, folded into one sequence over its one prefix.

        Args:
            x: (B, n * H, width).
            chunks: n; a chunk sees the prefix and itself.
            prefix: Of B observations.
            modulation: (norms, B or 1, 1, 3 * width), see `modulation`.

        Returns:
            (B, n * H, width), normalised.
        """
        length = x.shape[1]
        steps = torch.arange(length, device=x.device)
        own = steps // (length // chunks)
        sees = (own[:, None] == own).expand(len(prefix), -1, -1)
        mask = torch.cat([prefix.mask[:, None].expand(-1, length, -1), sees], dim=2)[:, None]
        start = prefix.mask.sum(dim=1, keepdim=True)
        at = rotary(start + steps % (length // chunks), self._head_dim)
        for i, layer in enumerate(self.layers):
            both = (modulation[2 * i], modulation[2 * i + 1])
            x, _ = _run(layer, self._recompute, x, at, mask, prefix.layers[i], both)
        out: Tensor = self.norm(x, modulation[-1])[0]
        return out

# SPDX-License-Identifier: Apache-2.0
"""REDQ ensemble of Q networks as batched matrix products."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from expo_ft_ros.rl.config import CriticConfig
from expo_ft_ros.rl.encoders import embedding
from expo_ft_ros.rl.value_config import ValueConfig


def _of(parameter: Tensor, members: Tensor | None) -> Tensor:
    """The members' share; the parameter itself for all of them, which spares a copy."""
    return parameter if members is None else parameter[members]


def _dropped(x: Tensor, rate: float) -> Tensor:
    return functional.dropout(x, rate) if rate else x


class _EnsembleLayer(nn.Module):
    """Linear, LayerNorm, ReLU of E members: (E, R, in) to (E, R, out).

    beside: inputs of the same layer that another product is responsible for.
    """

    def __init__(self, members: int, fan_in: int, fan_out: int, beside: int = 0) -> None:
        super().__init__()
        bound = 1 / math.sqrt(fan_in + beside)
        self.weight = nn.Parameter(torch.empty(members, fan_in, fan_out).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(members, 1, fan_out).uniform_(-bound, bound))
        self.scale = nn.Parameter(torch.ones(members, 1, fan_out))
        self.shift = nn.Parameter(torch.zeros(members, 1, fan_out))

    def product(self, x: Tensor, members: Tensor | None) -> Tensor:
        return torch.baddbmm(_of(self.bias, members), x, _of(self.weight, members))

    def normalise(self, x: Tensor, members: Tensor | None) -> Tensor:
        x = functional.layer_norm(x, x.shape[-1:])
        # In place: fresh memory costs a CPU as much as the product before it.
        return torch.addcmul(_of(self.shift, members), x, _of(self.scale, members)).relu_()

    def forward(self, x: Tensor, members: Tensor | None, dropout: float = 0.0) -> Tensor:
        return self.normalise(_dropped(self.product(x, members), dropout), members)

    def normalise_of(self, x: Tensor, member: int) -> Tensor:
        """`normalise` of one member, (R, out), without gradients."""
        scale, shift = self.scale[member, 0], self.shift[member, 0]
        return functional.layer_norm(x, x.shape[-1:], scale, shift).relu_()

    def of_member(self, x: Tensor, member: int) -> Tensor:
        """`forward` of one member, (R, in) to (R, out), without gradients."""
        product = torch.addmm(self.bias[member], x, self.weight[member])
        return self.normalise_of(product, member)


class QEnsemble(nn.Module):
    """Q(s, a_{t:t+C}) of every member: three layers of LayerNorm and ReLU on [features, chunk].

    Args:
        config: How large.
        feature_dim: F.
        chunk_dim: C * 7, or whatever else Q is a function of.
        minimum_of: Members whose minimum is a value.
        value: What else Q is made of.
    """

    def __init__(
        self,
        config: CriticConfig,
        feature_dim: int,
        chunk_dim: int,
        minimum_of: int,
        value: ValueConfig | None = None,
    ) -> None:
        super().__init__()
        value = value or ValueConfig()
        e, h = value.members, config.hidden
        self.members, self.minimum_of = e, minimum_of
        self.dropout = value.dropout
        self.of_chunk: nn.Module = nn.Identity()
        if value.chunk_embedding:
            self.of_chunk = embedding(chunk_dim, value.chunk_embedding)
            chunk_dim = value.chunk_embedding
        # The first layer's weights in two: slices of one cost a copy, and zeros in the gradient.
        self.first = _EnsembleLayer(e, feature_dim, h, beside=chunk_dim)
        bound = 1 / math.sqrt(feature_dim + chunk_dim)
        self.first_of_chunk = nn.Parameter(torch.empty(e, chunk_dim, h).uniform_(-bound, bound))
        self.second = _EnsembleLayer(e, h, h)
        self.third = _EnsembleLayer(e, h, h)
        bound = 1 / math.sqrt(h)
        self.weight = nn.Parameter(torch.empty(e, h, 1).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(e, 1, 1))

    def forward(
        self,
        features: Tensor,
        chunks: Tensor,
        members: Tensor | None = None,
        *,
        learning: bool = False,
    ) -> Tensor:
        """Q of K chunks an observation, whose share of the first layer is computed once.

        Args:
            features: (B, F).
            chunks: (B, K, C * 7).
            members: (M,) indices; None: all of them.
            learning: In the critic's own gradient step: with dropout.

        Returns:
            (M, B, K).
        """
        chunks = self.of_chunk(chunks)
        if torch.is_grad_enabled() or features.device.type != "cpu":
            return self._of_all_at_once(features, chunks, members, self.dropout * learning)
        drawn = range(self.members) if members is None else members.tolist()
        return torch.stack([self._of_member(features, chunks, member) for member in drawn])

    def _of_all_at_once(
        self, features: Tensor, chunks: Tensor, members: Tensor | None, dropout: float
    ) -> Tensor:
        """One product a layer for all members: for gradients, and on a GPU."""
        b, k, _ = chunks.shape
        m = self.members if members is None else len(members)
        of_features = self.first.product(features.expand(m, -1, -1), members)
        rows = chunks.reshape(b * k, -1).expand(m, -1, -1)
        of_chunks = torch.bmm(rows, _of(self.first_of_chunk, members))
        x = of_chunks.view(m, b, k, -1).add_(of_features[:, :, None])
        h = self.first.normalise(_dropped(x.view(m, b * k, -1), dropout), members)
        h = self.third(self.second(h, members, dropout), members, dropout)
        # In full precision: bfloat16's steps of 0.004 would make candidates equal.
        with torch.autocast(h.device.type, enabled=False):
            q = torch.baddbmm(_of(self.bias, members), h.float(), _of(self.weight, members))
        values: Tensor = q.view(m, b, k)
        return values

    def _of_member(self, features: Tensor, chunks: Tensor, member: int) -> Tensor:
        """(B, K) of one member, on a CPU and without gradients: its rows stay in the cache, and no
        weights of those drawn are copied."""
        b, k, _ = chunks.shape
        first = self.first
        of_features = torch.addmm(first.bias[member], features, first.weight[member])
        x = torch.mm(chunks.reshape(b * k, -1), self.first_of_chunk[member])
        x = x.view(b, k, -1).add_(of_features[:, None])
        h = first.normalise_of(x.view(b * k, -1), member)
        h = self.third.of_member(self.second.of_member(h, member), member)
        return torch.addmm(self.bias[member], h, self.weight[member]).view(b, k)

    def draw(self, generator: torch.Generator | None = None) -> Tensor | None:
        """Indices (minimum_of,) of distinct members (REDQ); None where that is all of them."""
        if self.minimum_of == self.members:
            return None
        return torch.randperm(
            self.members,
            generator=generator,
            device=None if generator is None else generator.device,
        )[: self.minimum_of]

    def pessimistic(
        self, features: Tensor, chunks: Tensor, generator: torch.Generator | None = None
    ) -> Tensor:
        """Minimum over freshly drawn members: (B, K)."""
        lowest: Tensor = self(features, chunks, self.draw(generator)).amin(dim=0)
        return lowest

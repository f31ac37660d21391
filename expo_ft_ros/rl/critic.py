# SPDX-License-Identifier: Apache-2.0
"""REDQ ensemble of Q networks as batched matrix products."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from expo_ft_ros.rl.config import CriticConfig


def _of(parameter: Tensor, members: Tensor | None) -> Tensor:
    """The members' share; the parameter itself for all of them, which spares a copy."""
    return parameter if members is None else parameter[members]


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

    def forward(self, x: Tensor, members: Tensor | None) -> Tensor:
        return self.normalise(self.product(x, members), members)


class QEnsemble(nn.Module):
    """Q(s, a_{t:t+C}) of every member: three layers of LayerNorm and ReLU on [features, chunk]."""

    def __init__(
        self, config: CriticConfig, feature_dim: int, chunk_dim: int, minimum_of: int
    ) -> None:
        super().__init__()
        e, h = config.members, config.hidden
        self.members, self.minimum_of = e, minimum_of
        # The first layer's weights in two: slices of one cost a copy, and zeros in the gradient.
        self.first = _EnsembleLayer(e, feature_dim, h, beside=chunk_dim)
        bound = 1 / math.sqrt(feature_dim + chunk_dim)
        self.first_of_chunk = nn.Parameter(torch.empty(e, chunk_dim, h).uniform_(-bound, bound))
        self.second = _EnsembleLayer(e, h, h)
        self.third = _EnsembleLayer(e, h, h)
        bound = 1 / math.sqrt(h)
        self.weight = nn.Parameter(torch.empty(e, h, 1).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(e, 1, 1))

    def forward(self, features: Tensor, chunks: Tensor, members: Tensor | None = None) -> Tensor:
        """Q of K chunks an observation, whose share of the first layer is computed once.

        Args:
            features: (B, F).
            chunks: (B, K, C * 7).
            members: (M,) indices; None: all of them.

        Returns:
            (M, B, K).
        """
        b, k, _ = chunks.shape
        m = self.members if members is None else len(members)
        of_features = self.first.product(features.expand(m, -1, -1), members)
        rows = chunks.reshape(b * k, -1).expand(m, -1, -1)
        of_chunks = torch.bmm(rows, _of(self.first_of_chunk, members))
        x = of_chunks.view(m, b, k, -1).add_(of_features[:, :, None])
        h = self.first.normalise(x.view(m, b * k, -1), members)
        h = self.third(self.second(h, members), members)
        # In full precision: bfloat16's steps of 0.004 would make candidates equal.
        with torch.autocast(h.device.type, enabled=False):
            q = torch.baddbmm(_of(self.bias, members), h.float(), _of(self.weight, members))
        values: Tensor = q.view(m, b, k)
        return values

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

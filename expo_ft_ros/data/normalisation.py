# SPDX-License-Identifier: Apache-2.0
"""Normalisation statistics, kept with the weights they belong to."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class RangeNormaliser(nn.Module):
    """Maps a range of each dimension onto [-1, 1]; transform and inverse keep shape (..., dim)."""

    low: Tensor
    high: Tensor

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.register_buffer("low", -torch.ones(dim))
        self.register_buffer("high", torch.ones(dim))

    def set_range(self, low: Tensor, high: Tensor) -> None:
        """Takes up the values (dim,) that become -1 and +1."""
        self.low.copy_(low)
        self.high.copy_(high)

    def transform(self, values: Tensor) -> Tensor:
        """Raw units to normalised."""
        return 2 * (values - self.low) / (self.high - self.low) - 1

    def inverse(self, values: Tensor) -> Tensor:
        """Normalised to raw units."""
        return (values + 1) / 2 * (self.high - self.low) + self.low


class QuantileNormaliser(RangeNormaliser):
    """The range from the 1% to the 99% quantile (openpi's quantile statistics).

    A range narrower than `floor` is widened to it about its middle, so that a dimension the
    demonstrations hardly use is not blown up.
    """

    def __init__(self, dim: int, floor: float) -> None:
        super().__init__(dim)
        self._floor = floor

    def fit(self, samples: Tensor) -> None:
        """Takes the statistics of samples (n, dim)."""
        low, high = torch.quantile(
            samples.float(), torch.tensor([0.01, 0.99], device=samples.device), dim=0
        )
        middle, half = (low + high) / 2, ((high - low) / 2).clamp_min(self._floor / 2)
        self.set_range(middle - half, middle + half)

"""Normalisation statistics, kept with the weights they belong to."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class QuantileNormaliser(nn.Module):
    """Maps each dimension's 1%..99% range onto [-1, 1] (openpi's quantile statistics).

    A range narrower than `floor` is widened to it about its middle, so that a dimension the
    demonstrations hardly use is not blown up. transform and inverse keep shape (..., dim).
    """

    low: Tensor
    high: Tensor

    def __init__(self, dim: int, floor: float) -> None:
        super().__init__()
        self._floor = floor
        self.register_buffer("low", -torch.ones(dim))
        self.register_buffer("high", torch.ones(dim))

    def fit(self, samples: Tensor) -> None:
        """Takes the statistics of samples (n, dim)."""
        low, high = torch.quantile(
            samples.float(), torch.tensor([0.01, 0.99], device=samples.device), dim=0
        )
        middle, half = (low + high) / 2, ((high - low) / 2).clamp_min(self._floor / 2)
        self.low.copy_(middle - half)
        self.high.copy_(middle + half)

    def transform(self, values: Tensor) -> Tensor:
        """Raw units to normalised."""
        return 2 * (values - self.low) / (self.high - self.low) - 1

    def inverse(self, values: Tensor) -> Tensor:
        """Normalised to raw units."""
        return (values + 1) / 2 * (self.high - self.low) + self.low

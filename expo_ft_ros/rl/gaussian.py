# SPDX-License-Identifier: Apache-2.0
"""A tanh-squashed Gaussian over vectors within +-scale: edits, whole chunks, or initial noise."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

LOG_STD_RANGE = (-5.0, 2.0)
_LAYERS = 3


class TanhGaussian(nn.Module):
    """x = scale * tanh(u), u Gaussian, given a condition (..., in_dim) (paper, eq. 1 and 4).

    Three layers of LayerNorm and ReLU.

    Args:
        in_dim: Numbers of the condition.
        out_dim: Numbers that are drawn.
        hidden: Width of the layers.
        scale: Bound of each number.
        moved: Which of the out_dim dimensions are drawn; the others are 0 and have no density
            (None: all).
    """

    moved: Tensor

    def __init__(
        self,
        in_dim: int,
        out_dim: int,
        hidden: int,
        scale: float,
        moved: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.scale = scale
        layers: list[nn.Module] = []
        for fan_in in (in_dim, *[hidden] * (_LAYERS - 1)):
            layers += [nn.Linear(fan_in, hidden), nn.LayerNorm(hidden), nn.ReLU()]
        self.trunk = nn.Sequential(*layers)
        self.head = nn.Linear(hidden, 2 * out_dim)
        mask = torch.ones(out_dim) if moved is None else moved.float()
        self.register_buffer("moved", mask, persistent=False)
        nn.init.zeros_(self.head.bias)
        with torch.no_grad():
            # It begins near the middle and wide.
            self.head.weight.mul_(0.1)

    @property
    def free_dims(self) -> int:
        """d: how many dimensions are drawn."""
        return int(self.moved.sum())

    def distribution(self, condition: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log standard deviation of u: (..., out_dim) each."""
        mean, log_std = self.head(self.trunk(condition)).chunk(2, -1)
        return mean, log_std.clamp(*LOG_STD_RANGE)

    def sample(
        self, condition: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """A draw (..., out_dim) and its log-density (...), corrected for tanh and for scale."""
        mean, log_std = self.distribution(condition)
        noise = torch.randn(mean.shape, generator=generator, device=mean.device)
        u = mean + log_std.exp() * noise
        gaussian = -0.5 * noise.square() - log_std - 0.5 * math.log(2 * math.pi)
        # log(1 - tanh(u)^2), stable for large |u|.
        squash = 2 * (math.log(2) - u - functional.softplus(-2 * u))
        density = (gaussian - squash - math.log(self.scale)) * self.moved
        return self.scale * torch.tanh(u) * self.moved, density.sum(dim=-1)

    def mode(self, condition: Tensor) -> Tensor:
        """The draw at the Gaussian's mean: (..., out_dim)."""
        return self.scale * torch.tanh(self.distribution(condition)[0]) * self.moved


def target_entropy(dims: int, scale: float, *, shifted: bool) -> float:
    """-d/2, and shifted by d * log(scale) where asked, so that it can be reached."""
    return -dims / 2 + (dims * math.log(scale) if shifted else 0.0)

"""Edit policy: a tanh-squashed Gaussian over corrections to a base chunk, within +-beta."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from expo_ft_ros.rl.config import EditConfig

LOG_STD_RANGE = (-5.0, 2.0)


class EditPolicy(nn.Module):
    """pi_edit(e | s, a): e = beta * tanh(u), u Gaussian (paper, eq. 1 and 4)."""

    def __init__(self, config: EditConfig, feature_dim: int, chunk_dim: int, scale: float) -> None:
        super().__init__()
        h = config.hidden
        self.scale = scale
        self.chunk_dim = chunk_dim
        self.trunk = nn.Sequential(
            nn.Linear(feature_dim + chunk_dim, h),
            nn.LayerNorm(h),
            nn.ReLU(),
            nn.Linear(h, h),
            nn.LayerNorm(h),
            nn.ReLU(),
            nn.Linear(h, h),
            nn.LayerNorm(h),
            nn.ReLU(),
        )
        self.head = nn.Linear(h, 2 * chunk_dim)
        nn.init.zeros_(self.head.bias)
        with torch.no_grad():
            self.head.weight.mul_(0.1)

    def distribution(self, features: Tensor, chunks: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log standard deviation of u: (..., chunk_dim) each."""
        mean, log_std = self.head(self.trunk(torch.cat([features, chunks], dim=-1))).chunk(2, -1)
        return mean, log_std.clamp(*LOG_STD_RANGE)

    def sample(
        self, features: Tensor, chunks: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """An edit (..., chunk_dim) and its log-density (...), corrected for tanh and for beta."""
        mean, log_std = self.distribution(features, chunks)
        noise = torch.randn(mean.shape, generator=generator, device=mean.device)
        u = mean + log_std.exp() * noise
        gaussian = -0.5 * noise.square() - log_std - 0.5 * math.log(2 * math.pi)
        # log(1 - tanh(u)^2), stable for large |u|.
        squash = 2 * (math.log(2) - u - functional.softplus(-2 * u))
        log_density = (gaussian - squash - math.log(self.scale)).sum(dim=-1)
        return self.scale * torch.tanh(u), log_density

    def mode(self, features: Tensor, chunks: Tensor) -> Tensor:
        """The edit at the Gaussian's mean: (..., chunk_dim)."""
        return self.scale * torch.tanh(self.distribution(features, chunks)[0])


def target_entropy(chunk_dim: int, scale: float, *, shifted: bool) -> float:
    """-d/2, and shifted by d * log(beta) where asked (ALGORITHM, Losses)."""
    return -chunk_dim / 2 + (chunk_dim * math.log(scale) if shifted else 0.0)

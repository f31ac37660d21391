# SPDX-License-Identifier: Apache-2.0
"""A tanh-squashed Gaussian over vectors within bounds: edits, whole chunks, or initial noise."""

from __future__ import annotations

import math
from collections.abc import Sequence

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
        scale: Bound of every number, or one for each of them, above 0.
        zero_start: The last layer begins at zero, so that the first mode is 0 everywhere.
        initial_std: Standard deviation of u at the start: about 1 fills the bounds evenly, a small
            one keeps to a share of them.
    """

    scale: Tensor
    log_scale: Tensor

    def __init__(
        self,
        in_dim: int,
        out_dim: int,
        hidden: int,
        scale: float | Sequence[float],
        *,
        zero_start: bool = False,
        initial_std: float = 1.0,
    ) -> None:
        super().__init__()
        self.bounds = (scale,) * out_dim if isinstance(scale, int | float) else tuple(scale)
        self.register_buffer("scale", torch.tensor(self.bounds), persistent=False)
        logs = torch.tensor([math.log(bound) for bound in self.bounds])
        self.register_buffer("log_scale", logs, persistent=False)
        layers: list[nn.Module] = []
        for fan_in in (in_dim, *[hidden] * (_LAYERS - 1)):
            layers += [nn.Linear(fan_in, hidden), nn.LayerNorm(hidden), nn.ReLU()]
        self.trunk = nn.Sequential(*layers)
        self.head = nn.Linear(hidden, 2 * out_dim)
        nn.init.zeros_(self.head.bias)
        with torch.no_grad():
            # It begins near the middle.
            self.head.weight.mul_(0.0 if zero_start else 0.1)
            self.head.bias[out_dim:] = math.log(initial_std)

    @property
    def dims(self) -> int:
        """d: how many numbers are drawn."""
        return len(self.bounds)

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
        density = gaussian - squash - self.log_scale
        return self.scale * torch.tanh(u), density.sum(dim=-1)

    def mode(self, condition: Tensor) -> Tensor:
        """The draw at the Gaussian's mean: (..., out_dim)."""
        return self.scale * torch.tanh(self.distribution(condition)[0])

    def size_of(self, drawn: Tensor) -> Tensor:
        """Mean size of draws as a share of their bounds, a scalar: 0.5 for an even spread."""
        return drawn.abs().sum(dim=-1).mean() / math.fsum(self.bounds)


def target_entropy(bounds: Sequence[float], *, shifted: bool) -> float:
    """-d/2 for d numbers, and shifted by the sum of log(bound) where asked, so that it can be
    reached."""
    shift = math.fsum(math.log(bound) for bound in bounds) if shifted else 0.0
    return -len(bounds) / 2 + shift

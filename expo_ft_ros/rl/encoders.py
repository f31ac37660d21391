# SPDX-License-Identifier: Apache-2.0
"""The critic's observation encoders; the edit policy shares them with the gradient stopped.

What they see of an observation, its `visual_shape`, is either all views, (V, 3, s, s) float in
[0, 1], or the features that the VLA's frozen encoder made of them, (F,).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from expo_ft_ros.rl.config import CriticConfig

_DEPTHS = (3, 4, 6, 3)
_GROUPS = 4


def convolutions(views: int, channels: int) -> nn.Sequential:
    """All views stacked to 3 * V channels: (B, V, 3, s, s) to flat features."""
    c = channels
    return nn.Sequential(
        nn.Flatten(1, 2),
        nn.Conv2d(3 * views, c, 5, stride=2, padding=2),
        nn.ReLU(),
        nn.Conv2d(c, c, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(c, c, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(c, c, 3, stride=1, padding=1),
        nn.ReLU(),
        nn.Flatten(),
    )


class _PreActivation(nn.Module):
    """Two 3x3 convolutions, each after GroupNorm and ReLU, and a shortcut."""

    def __init__(self, fan_in: int, fan_out: int, stride: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.GroupNorm(_GROUPS, fan_in),
            nn.ReLU(),
            nn.Conv2d(fan_in, fan_out, 3, stride=stride, padding=1, bias=False),
            nn.GroupNorm(_GROUPS, fan_out),
            nn.ReLU(),
            nn.Conv2d(fan_out, fan_out, 3, padding=1, bias=False),
        )
        same = fan_in == fan_out and stride == 1
        self.shortcut: nn.Module = (
            nn.Identity() if same else nn.Conv2d(fan_in, fan_out, 1, stride=stride, bias=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.layers(x) + self.shortcut(x)
        return out


def resnet(views: int, channels: int) -> nn.Sequential:
    """ResNet of depths (3, 4, 6, 3) in pre-activation form (paper, C.1; the authors' code), all
    views stacked to 3 * V channels: (B, V, 3, s, s) to flat features."""
    layers: list[nn.Module] = [
        nn.Flatten(1, 2),
        nn.Conv2d(3 * views, channels, 7, stride=2, padding=3, bias=False),
        nn.MaxPool2d(3, stride=2, padding=1),
    ]
    fan_in = channels
    for stage, depth in enumerate(_DEPTHS):
        fan_out = channels * 2**stage
        for block in range(depth):
            stride = 2 if stage > 0 and block == 0 else 1
            layers.append(_PreActivation(fan_in, fan_out, stride))
            fan_in = fan_out
    return nn.Sequential(
        *layers, nn.GroupNorm(_GROUPS, fan_in), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    )


def embedding(fan_in: int, fan_out: int) -> nn.Sequential:
    """Dense, LayerNorm, tanh: (..., fan_in) to (..., fan_out)."""
    return nn.Sequential(nn.Linear(fan_in, fan_out), nn.LayerNorm(fan_out), nn.Tanh())


class CriticEncoder(nn.Module):
    """Dense, LayerNorm, tanh on what is seen, and the same on the state.

    Args:
        config: Of the critic.
        visual_shape: See the module.
        state_dim: Numbers of the state.
    """

    def __init__(self, config: CriticConfig, visual_shape: tuple[int, ...], state_dim: int) -> None:
        super().__init__()
        self.backbone: nn.Module = nn.Identity()
        flat = visual_shape[-1]
        if config.encoder != "shared":
            made = {"own": convolutions, "resnet": resnet}[config.encoder]
            self.backbone = made(visual_shape[0], config.channels)
            with torch.no_grad():
                flat = self.backbone(torch.zeros(1, *visual_shape)).shape[1]
        self.image = embedding(flat, config.image_embedding)
        self.state = embedding(state_dim, config.state_embedding)
        self.out_dim = config.image_embedding + config.state_embedding

    def forward(self, visual: Tensor, state: Tensor) -> Tensor:
        """(B, out_dim) of what is seen, (B, *visual_shape), and of the state (B, state_dim),
        normalised. Features may be of any type that a policy keeps."""
        return torch.cat([self.image(self.backbone(visual.float())), self.state(state)], dim=-1)

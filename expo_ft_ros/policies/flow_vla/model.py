# SPDX-License-Identifier: Apache-2.0
"""FlowVLA: a small vision-language-action policy trained by flow matching.

Conventions are openpi's: x_t = t * noise + (1 - t) * action, t = 1 is noise, the target is
noise - action, sampling is Euler from t = 1 to 0.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from expo_ft_ros.data.types import ACTION_DIM, STATE_DIM
from expo_ft_ros.policies.base import PolicyInput, Stage
from expo_ft_ros.policies.flow_vla.config import FlowVLAConfig
from expo_ft_ros.policies.flow_vla.tokens import VOCABULARY, tokenise
from expo_ft_ros.policies.modules import QuantilePolicy, features_of, fork_module
from expo_ft_ros.robots import ViewConfig

_ENCODERS = "image_encoders."  # what is frozen in the stage "rl"
_STATE_FLOOR = 0.02  # least range of a state dimension, SI units


def build(config: FlowVLAConfig, views: Sequence[ViewConfig], device: torch.device) -> FlowVLA:
    """A new one, its weights drawn by torch's global generator."""
    return FlowVLA(config, len(views)).to(device)


class KeypointEncoder(nn.Module):
    """Where things are: the expected image position of each of its channels, and their strength.

    (B, 3, h, w) float in [0, 1] to (B, out_dim). One path looks at shapes, through convolutions;
    the other at colours, pixel by pixel, which places a coloured object to a fraction of a pixel
    after a handful of demonstrations.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.shapes = nn.Sequential(
            nn.Conv2d(3, channels // 2, 5, stride=2, padding=2),
            nn.ReLU(),
            nn.Conv2d(channels // 2, channels, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 1),
        )
        colours = channels // 4
        self.colours = nn.Conv2d(3, colours, 1)
        # Sharp from the start: a soft maximum over thousands of pixels is nearly their mean.
        self.sharpness = nn.Parameter(torch.full((colours,), 10.0))
        self.out_dim = 3 * (channels + colours)

    def forward(self, image: Tensor) -> Tensor:
        """See the class."""
        image = image * 2 - 1
        # Convolutions are two to three times faster on a CPU in this layout; nothing else is.
        fast = image.contiguous(memory_format=torch.channels_last)
        shapes = _keypoints(self.shapes(fast).contiguous())
        # Halved for speed; a centroid survives averaging.
        colours = self.colours(functional.avg_pool2d(image, 2)) * self.sharpness[:, None, None]
        return torch.cat([shapes, _keypoints(colours)], dim=-1)


def _keypoints(features: Tensor) -> Tensor:
    """(B, C, h, w) to (B, 3 * C): spatial softmax's expected x and y in [-1, 1], and the peak."""
    b, c, h, w = features.shape
    flat = features.reshape(b, c, h * w)
    attention = torch.softmax(flat, dim=-1)
    ys = torch.linspace(-1, 1, h, device=features.device).repeat_interleave(w)
    xs = torch.linspace(-1, 1, w, device=features.device).repeat(h)
    return torch.cat([attention @ xs, attention @ ys, torch.tanh(flat.amax(dim=-1) / 10)], dim=-1)


class _Block(nn.Module):
    """Residual MLP block whose normalisation is modulated by the condition (FiLM)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.modulation = nn.Linear(width, 2 * width)
        self.layers = nn.Sequential(
            nn.Linear(width, 2 * width), nn.SiLU(), nn.Linear(2 * width, width)
        )

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        scale, shift = self.modulation(condition).chunk(2, dim=-1)
        out: Tensor = x + self.layers(self.norm(x) * (1 + scale) + shift)
        return out


class FlowVLA(QuantilePolicy):
    """Images, state and instruction in; chunks of `horizon` x 7 out. Implements `VLA`.

    Args:
        config: Its size.
        views: V, how many images an observation has; each has an encoder of its own.
    """

    def __init__(self, config: FlowVLAConfig, views: int) -> None:
        super().__init__(config.action_floor, _STATE_FLOOR)
        self.config = config
        width = config.width
        self.image_encoders = nn.ModuleList(
            [KeypointEncoder(config.channels) for _ in range(views)]
        )
        self._feature_dim = views * KeypointEncoder(config.channels).out_dim
        self.words = nn.EmbeddingBag(VOCABULARY, 32, mode="mean", padding_idx=0)
        self.fuse = nn.Sequential(
            nn.Linear(self._feature_dim + STATE_DIM + 32, width),
            nn.LayerNorm(width),
            nn.SiLU(),
            nn.Linear(width, width),
        )
        self.time = nn.Sequential(nn.Linear(64, width), nn.SiLU(), nn.Linear(width, width))
        self.action_in = nn.Linear(config.horizon * ACTION_DIM, width)
        self.blocks = nn.ModuleList([_Block(width) for _ in range(config.depth)])
        self.action_out = nn.Linear(width, config.horizon * ACTION_DIM)

    @property
    def horizon(self) -> int:
        """See VLA."""
        return self.config.horizon

    @property
    def noise_dim(self) -> int:
        """See VLA."""
        return ACTION_DIM

    @property
    def feature_shape(self) -> tuple[int]:
        """See VLA: where each channel of each view's encoder sees what it looks for."""
        return (self._feature_dim,)

    @property
    def feature_dtype(self) -> torch.dtype:
        """See VLA."""
        return torch.float32

    def prepare(
        self, instructions: Sequence[str], state: Tensor, views: Tensor | None
    ) -> PolicyInput:
        """See VLA: images are taken in any size, in [0, 1]."""
        tokens = torch.stack([tokenise(instruction) for instruction in instructions])
        return PolicyInput(views, state, tokens.to(state.device))

    def image_features(self, images: Tensor) -> Tensor:
        """(B, V, 3, h, w) float in [0, 1] to (B, *feature_shape)."""
        features = [encoder(images[:, v]) for v, encoder in enumerate(self.image_encoders)]
        return torch.cat(features, dim=-1)

    def encode(self, observation: PolicyInput) -> Tensor:
        """The prefix shared by all chunks of an observation: (B, width)."""
        features = features_of(observation, self.image_features)
        state = self.state_stats.transform(observation.state).clamp(-3, 3)
        words = self.words(observation.tokens)
        prefix: Tensor = self.fuse(torch.cat([features, state, words], dim=-1))
        return prefix

    def velocity(self, prefix: Tensor, x: Tensor, t: Tensor) -> Tensor:
        """Flow's velocity at x (B, n, H, 7), n chunks an observation; t: (B,), or (1,) for all.

        What chunks of one observation share is computed once.
        """
        condition = functional.silu(prefix + self.time(_time_features(t)))[:, None]
        h = self.action_in(x.flatten(2))
        for block in self.blocks:
            h = block(h, condition)
        velocity: Tensor = self.action_out(h)
        return velocity.view_as(x)

    @torch.no_grad()
    def sample(
        self, observation: PolicyInput, n: int, generator: torch.Generator | None = None
    ) -> Tensor:
        """n chunks an observation, (B, n, H, 7) normalised; all denoised as one batch."""
        prefix = self.encode(observation)
        shape = (len(prefix), n, self.horizon, ACTION_DIM)
        noise = torch.randn(shape, generator=generator, device=prefix.device)
        return self.denoise(prefix, noise)

    def denoise(self, prefix: Tensor, noise: Tensor) -> Tensor:
        """Euler from noise (B, n, H, 7) at t = 1 to the chunks at t = 0; prefix: (B, width)."""
        x, dt = noise, 1.0 / self.config.euler_steps
        for k in range(self.config.euler_steps):
            t = torch.full((1,), 1.0 - k * dt, device=x.device)
            x = x - dt * self.velocity(prefix, x, t)
        return x

    @torch.no_grad()
    def invert(self, prefix: Tensor, chunk: Tensor) -> Tensor:
        """The noise that `denoise` turns into about the chunks (B, n, H, 7): Euler from 0 to 1."""
        x, dt = chunk, 1.0 / self.config.euler_steps
        for k in range(self.config.euler_steps):
            t = torch.full((1,), (k + 1) * dt, device=x.device)
            x = x + dt * self.velocity(prefix, x, t)
        return x

    def loss_draws(self, actions: Tensor) -> dict[str, Tensor]:
        """See VLA: the flow's noise and times."""
        noise = torch.randn_like(actions)
        return {"noise": noise, "t": torch.rand(len(actions), device=actions.device)}

    def imitation_loss(
        self,
        observation: PolicyInput,
        actions: Tensor,
        draws: Mapping[str, Tensor] | None = None,
    ) -> Tensor:
        """See VLA: flow matching."""
        drawn = self.loss_draws(actions) if draws is None else draws
        noise, t = drawn["noise"], drawn["t"]
        x = t[:, None, None] * noise + (1 - t[:, None, None]) * actions
        predicted = self.velocity(self.encode(observation), x[:, None], t).squeeze(1)
        return (predicted - (noise - actions)).square().mean(dim=(1, 2))

    def trainable(self, stage: Stage) -> dict[str, nn.Parameter]:
        """See VLA: all of it, but for the image encoders in the stage "rl"."""
        return {
            name: parameter
            for name, parameter in self.named_parameters()
            if stage != "rl" or not name.startswith(_ENCODERS)
        }

    def weights(self) -> dict[str, Tensor]:
        """See VLA: all of it, since imitation trains it from nothing."""
        return self.state_dict()

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """See VLA."""
        self.load_state_dict(weights)
        self._loaded = True

    def fork(self, stage: Stage) -> FlowVLA:
        """See VLA."""
        return fork_module(self, self.trainable(stage))


def _time_features(t: Tensor) -> Tensor:
    """(B,) in [0, 1] to (B, 64) sines and cosines over periods 0.004 to 4 (openpi)."""
    periods = torch.logspace(math.log10(4e-3), math.log10(4.0), 32, device=t.device)
    angle = 2 * math.pi * t[:, None] / periods
    return torch.cat([angle.sin(), angle.cos()], dim=-1)

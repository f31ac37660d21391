# SPDX-License-Identifier: Apache-2.0
"""Sees eight by eight pixels through a frozen projection; nine numbers of noise a step.

Its prefix is a pair, the state is part of its prompt, it normalises by mean and deviation, keeps no
features, and publishes what is trained alone.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from expo_ft_ros.policies.pixel_vla.config import PixelVLAConfig
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from expo_ft_ros.data.types import ACTION_DIM, STATE_DIM
from expo_ft_ros.policies.base import PolicyInput, Stage, Statistics
from expo_ft_ros.policies.modules import fork_module
from expo_ft_ros.robots import ViewConfig

SIZE, NOISE, BINS, STEPS = 8, 9, 32, 4


def build(config: PixelVLAConfig, views: Sequence[ViewConfig], device: torch.device) -> "PixelVLA":
    """Its frozen projection is the same for every seed, as a file's weights are."""
    return PixelVLA(config, len(views)).to(device)


class PixelVLA(nn.Module):
    """Implements `VLA`."""

    feature_shape = None
    feature_dtype = torch.float32
    noise_dim = NOISE

    def __init__(self, config: PixelVLAConfig, views: int) -> None:
        super().__init__()
        self.horizon, width = config.horizon, config.width
        frozen = torch.randn(
            views * 3 * SIZE * SIZE,
            width,
            generator=torch.Generator().manual_seed(config.pretrained_seed),
        )
        self.projection = nn.Parameter(frozen / 10, requires_grad=False)
        self.prompt = nn.EmbeddingBag(BINS + 2, width, mode="sum", padding_idx=0)
        self.inner = nn.Linear(self.horizon * NOISE + 2 * width + 1, width)
        self.out = nn.Linear(width, self.horizon * NOISE)
        for name, size in (("state", STATE_DIM), ("action", ACTION_DIM)):
            self.register_buffer(f"{name}_mean", torch.zeros(size))
            self.register_buffer(f"{name}_std", torch.ones(size))
        self.loaded = False

    def prepare(
        self, instructions: Sequence[str], state: Tensor, views: Tensor | None
    ) -> PolicyInput:
        words = torch.tensor([[1 + len(text) % BINS] for text in instructions]).to(state.device)
        scaled = ((state - self.state_mean) / self.state_std).clamp(-3, 3)
        bins = 1 + ((scaled + 3) / 6 * BINS).long()
        images = None
        if views is not None:
            small = functional.adaptive_avg_pool2d(views.flatten(0, 1), SIZE)
            images = small.view(*views.shape[:3], SIZE, SIZE) * 2 - 1
        return PolicyInput(images, state, torch.cat([words, bins], dim=1))

    def image_features(self, images: Tensor) -> Tensor:
        raise NotImplementedError("it keeps none")

    def encode(self, observation: PolicyInput) -> tuple[Tensor, Tensor]:
        images = torch.tanh(observation.images.flatten(1) @ self.projection)
        return images, self.prompt(observation.tokens)

    def velocity(self, prefix: tuple[Tensor, Tensor], x: Tensor, t: Tensor) -> Tensor:
        shared = torch.cat(prefix, dim=-1)[:, None].expand(-1, x.shape[1], -1)
        time = t.view(-1, 1, 1).expand(*x.shape[:2], 1)
        hidden = functional.silu(self.inner(torch.cat([x.flatten(2), shared, time], dim=-1)))
        return self.out(hidden).view_as(x)

    def denoise(self, prefix: tuple[Tensor, Tensor], noise: Tensor) -> Tensor:
        x = noise
        for k in range(STEPS):
            x = x - self.velocity(prefix, x, x.new_full((1,), 1 - k / STEPS)) / STEPS
        return x[..., :ACTION_DIM]

    def invert(self, prefix: tuple[Tensor, Tensor], chunk: Tensor) -> Tensor:
        x = functional.pad(chunk, (0, NOISE - ACTION_DIM))
        for k in range(STEPS):
            x = x + self.velocity(prefix, x, x.new_full((1,), (k + 1) / STEPS)) / STEPS
        return x

    @torch.no_grad()
    def sample(
        self, observation: PolicyInput, n: int, generator: torch.Generator | None = None
    ) -> Tensor:
        shape = (len(observation), n, self.horizon, NOISE)
        noise = torch.randn(shape, generator=generator, device=observation.state.device)
        return self.denoise(self.encode(observation), noise)

    def loss_draws(self, actions: Tensor) -> dict[str, Tensor]:
        noise = torch.randn(*actions.shape[:2], NOISE, device=actions.device)
        return {"noise": noise, "t": torch.rand(len(noise), device=noise.device)}

    def imitation_loss(
        self,
        observation: PolicyInput,
        actions: Tensor,
        draws: Mapping[str, Tensor] | None = None,
    ) -> Tensor:
        goal = functional.pad(actions, (0, NOISE - ACTION_DIM))
        drawn = self.loss_draws(actions) if draws is None else draws
        noise, t = drawn["noise"], drawn["t"]
        x = t[:, None, None] * noise + (1 - t[:, None, None]) * goal
        velocity = self.velocity(self.encode(observation), x[:, None], t).squeeze(1)
        return (velocity - (noise - goal)).square().mean(dim=(1, 2))

    def normalise(self, actions: Tensor) -> Tensor:
        return (actions - self.action_mean) / self.action_std

    def denormalise(self, actions: Tensor) -> Tensor:
        return (actions * self.action_std + self.action_mean).clamp(-1, 1)

    def statistics(self) -> Statistics:
        mean, std = self.action_mean, self.action_std
        state_mean, state_std = self.state_mean, self.state_std
        return Statistics(state_mean - state_std, state_mean + state_std, mean - std, mean + std)

    def fit_statistics(self, actions: Tensor, state: Tensor, *, keep_loaded: bool) -> None:
        if keep_loaded and self.loaded:
            return
        for name, samples in (("state", state), ("action", actions)):
            getattr(self, f"{name}_mean").copy_(samples.mean(dim=0))
            getattr(self, f"{name}_std").copy_(samples.std(dim=0).clamp_min(0.05))

    def trainable(self, stage: Stage) -> dict[str, nn.Parameter]:
        return {n: p for n, p in self.named_parameters() if n != "projection"}

    def weights(self) -> dict[str, Tensor]:
        return {n: value for n, value in self.state_dict().items() if n != "projection"}

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        self.load_state_dict({**weights, "projection": self.projection})
        self.loaded = True

    def fork(self, stage: Stage) -> "PixelVLA":
        return fork_module(self, self.trainable(stage))

    def export(self, path: Path, layout: str) -> None:
        if layout != "pixels":
            raise ValueError(f"layout {layout!r} isn't known (known: pixels)")
        save_file(self.state_dict(), path)

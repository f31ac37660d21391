# SPDX-License-Identifier: Apache-2.0
"""pi0.5's network and its flow (pi0.5, Physical Intelligence 2025; openpi's pi0_pytorch).

Actions here are normalised and padded to `action_dim`. x_t = t * noise + (1 - t) * action, t = 1 is
noise, the target is noise - action.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from expo_ft_ros.policies.pi05.config import Pi05Config
from expo_ft_ros.policies.pi05.gemma import ActionExpert, PrefixCache, PrefixModel
from expo_ft_ros.policies.pi05.siglip import Siglip

_BUCKET = 16  # prompts are cut to a multiple, so that few lengths are compiled
_PERIODS = (4e-3, 4.0)  # of the time's embedding (openpi)


class Pi05Network(nn.Module):
    """Images and tokens to a prefix; a prefix and noise to actions.

    Args:
        config: Its size.
    """

    def __init__(self, config: Pi05Config) -> None:
        super().__init__()
        self._steps = config.euler_steps
        width = config.expert.width
        self.vision = Siglip(config.vision, config.patches)
        self.projector = nn.Linear(config.vision.width, config.vlm.width)
        self.vlm = PrefixModel(config)
        self.expert = ActionExpert(config)
        self.action_in_proj = nn.Linear(config.action_dim, width)
        self.action_out_proj = nn.Linear(width, config.action_dim)
        self.time_mlp_in = nn.Linear(width, width)
        self.time_mlp_out = nn.Linear(width, width)

    @property
    def dtype(self) -> torch.dtype:
        """That the transformers compute in."""
        return self.vlm.embed_tokens.weight.dtype

    def is_used(self, name: str) -> bool:
        """Whether anything follows from a part, by its name or its parameter's: of the VLM's last
        layer only keys and values are read."""
        last = f"vlm.layers.{len(self.vlm.layers) - 1}."
        read = ("self_attn.k_proj", "self_attn.v_proj", "input_layernorm")
        if name.startswith(last):
            return name.removeprefix(last).startswith(read)
        return not name.startswith("vlm.norm")

    def image_features(self, images: Tensor) -> Tensor:
        """(B, V, 3, s, s) in [-1, 1] to the VLM's image tokens, (B, V, patches, width)."""
        features: Tensor = self.projector(self.vision(images.flatten(0, 1)))
        return features.view(*images.shape[:2], *features.shape[1:])

    def prefix(self, features: Tensor, tokens: Tensor) -> PrefixCache:
        """Of image features (B, V, patches, width) and a prompt (B, L), padded with 0 at its end;
        padding that all share is cut."""
        longest = int((tokens != 0).sum(dim=1).max())
        tokens = tokens[:, : math.ceil(longest / _BUCKET) * _BUCKET]
        images = features.flatten(1, 2).to(self.dtype)
        x = torch.cat([images, self.vlm.embed(tokens)], dim=1)
        seen = tokens.new_ones(images.shape[:2], dtype=torch.bool)
        cache: PrefixCache = self.vlm(x, torch.cat([seen, tokens != 0], dim=1))
        return cache

    def modulation(self, t: Tensor) -> Tensor:
        """What the expert's norms make of times (T,): (norms, T, 1, 3 * width)."""
        with _full_precision(t):
            embedded = time_embedding(t, self.time_mlp_in.in_features)
            hidden = functional.silu(self.time_mlp_in(embedded))
            return self.expert.modulation(functional.silu(self.time_mlp_out(hidden)))

    def velocity(self, prefix: PrefixCache, x: Tensor, modulation: Tensor) -> Tensor:
        """Of the flow at x (B, n, H, action_dim); modulation is of times (B,), or one for all."""
        with _full_precision(x):
            tokens = self.action_in_proj(x.flatten(1, 2)).to(self.dtype)
        out = self.expert(tokens, x.shape[1], prefix, modulation)
        with _full_precision(x):
            velocity: Tensor = self.action_out_proj(out.to(x.dtype))
        return velocity.view_as(x)

    def denoise(self, prefix: PrefixCache, noise: Tensor) -> Tensor:
        """Euler from noise (B, n, H, action_dim) at t = 1 to actions at t = 0."""
        return self._integrate(prefix, noise, [1 - k / self._steps for k in range(self._steps)], -1)

    def invert(self, prefix: PrefixCache, actions: Tensor) -> Tensor:
        """Euler from actions (B, n, H, action_dim) at t = 0 to noise at t = 1."""
        times = [(k + 1) / self._steps for k in range(self._steps)]
        return self._integrate(prefix, actions, times, 1)

    def _integrate(self, prefix: PrefixCache, x: Tensor, times: list[float], sign: int) -> Tensor:
        modulation = self.modulation(torch.tensor(times, device=x.device))
        for k in range(len(times)):
            x = x + sign / len(times) * self.velocity(prefix, x, modulation[:, k : k + 1])
        return x

    def flow_loss(self, prefix: PrefixCache, actions: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """Squared error of the velocity at times (B,), between actions and noise of (B, H,
        action_dim): the same shape."""
        at = t[:, None, None]
        x = at * noise + (1 - at) * actions
        velocity = self.velocity(prefix, x[:, None], self.modulation(t)).squeeze(1)
        return (velocity - (noise - actions)).square()


def _full_precision(x: Tensor) -> torch.autocast:
    """Float32 for what surrounds actions and times, in an autocast as well."""
    return torch.autocast(x.device.type, enabled=False)


def time_embedding(t: Tensor, width: int) -> Tensor:
    """(T,) in [0, 1] to (T, width) float32: sines and cosines over periods from 0.004 to 4."""
    low, high = map(math.log, _PERIODS)
    periods = torch.linspace(low, high, width // 2, dtype=torch.float64, device=t.device).exp()
    angles = 2 * math.pi * t.double()[:, None] / periods
    return torch.cat([angles.sin(), angles.cos()], dim=-1).float()


def draw_times(count: int, device: torch.device) -> Tensor:
    """(count,) times to learn from: Beta(1.5, 1) * 0.999 + 0.001 (openpi), by its inverse."""
    return torch.rand(count, device=device) ** (1 / 1.5) * 0.999 + 0.001


def keeps_full_precision(name: str) -> bool:
    """Whether a parameter is float32 in a bfloat16 network: norms of both transformers, the
    embeddings of patches and positions, and the layers around actions and time (openpi)."""
    if name.startswith("vision."):
        return name.startswith("vision.embeddings.")
    return "norm." in name or name.startswith(("action_", "time_mlp_"))

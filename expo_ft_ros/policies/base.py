"""The VLA as EXPO-FT sees it: draw chunks, and its own imitation loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


@dataclass(frozen=True)
class PolicyInput:
    """A batch of observations as tensors.

    images: (B, 2, 3, h, w) float in [0, 1], side then wrist; state: (B, STATE_DIM) float32 in SI
    units; tokens: (B, TOKENS) int64; features: (B, F) what the frozen image encoder made of the
    images, kept from before, or None to encode them.
    """

    images: Tensor
    state: Tensor
    tokens: Tensor
    features: Tensor | None = None

    def __len__(self) -> int:
        return int(self.state.shape[0])


class VLA(Protocol):
    """A pretrained policy that EXPO-FT improves. Chunks are in its own normalised space."""

    horizon: int
    feature_dim: int

    def image_features(self, images: Tensor) -> Tensor:
        """(B, 2, 3, h, w) float in [0, 1] to (B, feature_dim): the part frozen during RL."""
        ...

    def sample(
        self, observation: PolicyInput, n: int, generator: torch.Generator | None = None
    ) -> Tensor:
        """n chunks an observation: (B, n, horizon, 7), the observation encoded once."""
        ...

    def imitation_loss(self, observation: PolicyInput, actions: Tensor) -> Tensor:
        """Its own training loss on chunks (B, horizon, 7), normalised: (B,)."""
        ...

    def normalise(self, actions: Tensor) -> Tensor:
        """Robot-normalised actions (..., 7) to its normalised space."""
        ...

    def denormalise(self, actions: Tensor) -> Tensor:
        """Its normalised space to robot-normalised actions (..., 7) within [-1, 1]."""
        ...

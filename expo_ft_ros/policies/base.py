# SPDX-License-Identifier: Apache-2.0
"""The contract between a policy and everything else: what a VLA is to EXPO-FT.

A policy is a folder behind `policies/registry.py`. Learning, acting, caches and checkpoints use it
by what stands here only; `test/policies/conformance.py` holds any policy against it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Protocol, Self, runtime_checkable

import torch
from torch import Tensor
from torch.nn import Parameter

Stage = Literal["sft", "rl", "encoder"]
"""What learns: supervised finetuning on demonstrations; online, the image encoder frozen (paper,
C.1); online, the image encoder as well."""

Prefix = Any
"""What `encode` made of observations, for `denoise` and `invert`. Opaque: a tensor, or keys and
values and their padding; never stored."""


@dataclass(frozen=True)
class PolicyInput:
    """B observations as one policy wants them; made by its `prepare` alone.

    Attributes:
        images: (B, V, 3, h, w) in the policy's own size and scale, the views in the robot's order;
            None where features stand in for them.
        state: (B, STATE_DIM) float32, SI units, as measured.
        tokens: (B, L) int64, the prompt; 0 is padding.
        features: (B, *feature_shape), what `image_features` makes of the images; None to encode
            them when they are needed.
    """

    images: Tensor | None
    state: Tensor
    tokens: Tensor
    features: Tensor | None = None

    def __len__(self) -> int:
        """B."""
        return int(self.state.shape[0])

    def rows(self, which: slice) -> PolicyInput:
        """Some of the observations."""
        features, images = self.features, self.images
        return PolicyInput(
            images=None if images is None else images[which],
            state=self.state[which],
            tokens=self.tokens[which],
            features=None if features is None else features[which],
        )

    def with_features(self, features: Tensor) -> PolicyInput:
        """The same observations with their features at hand, (B, *feature_shape)."""
        return replace(self, features=features)


@dataclass(frozen=True)
class Statistics:
    """What a policy normalises by: the values of each dimension that become -1 and +1.

    Attributes:
        state_low: (STATE_DIM,) SI units.
        state_high: (STATE_DIM,) SI units.
        action_low: (7,) in robot-normalised units.
        action_high: (7,) in robot-normalised units.
    """

    state_low: Tensor
    state_high: Tensor
    action_low: Tensor
    action_high: Tensor


class VLA(Protocol):
    """A pretrained policy that EXPO-FT improves. Chunks are in its own normalised space."""

    @property
    def horizon(self) -> int:
        """H, steps of a chunk."""
        ...

    @property
    def noise_dim(self) -> int:
        """Numbers of noise for a step of a chunk: 7, or what actions are padded to."""
        ...

    @property
    def feature_shape(self) -> tuple[int, ...] | None:
        """Shape of an observation's image features; None where they aren't apart from the rest:
        then none are kept, and `image_features` isn't called."""
        ...

    @property
    def feature_dtype(self) -> torch.dtype:
        """The type that kept features have."""
        ...

    def prepare(
        self, instructions: Sequence[str], state: Tensor, views: Tensor | None
    ) -> PolicyInput:
        """Makes its input: the one way there is, for acting and for learning.

        Args:
            instructions: B texts.
            state: (B, STATE_DIM) float32, SI units.
            views: (B, V, 3, s, s) float in [0, 1], in the order in which the policy was built;
                None where features will stand in for them.
        """
        ...

    def image_features(self, images: Tensor) -> Tensor:
        """(B, *feature_shape) of `PolicyInput.images`: what is frozen in the stage "rl"."""
        ...

    def encode(self, observation: PolicyInput) -> Prefix:
        """What all chunks of an observation share."""
        ...

    def denoise(self, prefix: Prefix, noise: Tensor) -> Tensor:
        """Noise (B, n, H, noise_dim) to chunks (B, n, H, 7)."""
        ...

    def invert(self, prefix: Prefix, chunk: Tensor) -> Tensor:
        """Noise (B, n, H, noise_dim) that `denoise` turns into about the chunks (B, n, H, 7)."""
        ...

    def sample(
        self, observation: PolicyInput, n: int, generator: torch.Generator | None = None
    ) -> Tensor:
        """n chunks an observation, (B, n, H, 7); the observation is encoded once."""
        ...

    def loss_draws(self, actions: Tensor) -> dict[str, Tensor]:
        """What `imitation_loss` draws at random for normalised chunks (B, H, 7), by name: noise,
        times, each (B, ...). Its rows go wherever those of the chunks do."""
        ...

    def imitation_loss(
        self,
        observation: PolicyInput,
        actions: Tensor,
        draws: Mapping[str, Tensor] | None = None,
    ) -> Tensor:
        """Its own training loss on normalised chunks (B, H, 7): (B,).

        Args:
            observation: What the chunks followed.
            actions: The chunks.
            draws: What `loss_draws` gave for them; None: it is drawn now.
        """
        ...

    def normalise(self, actions: Tensor) -> Tensor:
        """Robot-normalised actions (..., 7) to the space of its chunks; linear."""
        ...

    def denormalise(self, actions: Tensor) -> Tensor:
        """The space of its chunks to robot-normalised actions (..., 7) within [-1, 1]."""
        ...

    def statistics(self) -> Statistics:
        """What it normalises by."""
        ...

    def fit_statistics(self, actions: Tensor, state: Tensor, *, keep_loaded: bool) -> None:
        """Takes its statistics from data, before it is imitated.

        Args:
            actions: (n, 7) robot-normalised.
            state: (n, STATE_DIM) SI units.
            keep_loaded: Statistics that came with loaded weights stay: those weights were trained
                by them.
        """
        ...

    def trainable(self, stage: Stage) -> dict[str, Parameter]:
        """The parameters that learn in a stage, by name, in an order that never changes.

        "sft" and "encoder" hold all of "rl"; where there is no encoder to train, "encoder" is "rl".
        """
        ...

    def weights(self) -> dict[str, Tensor]:
        """What is trained in any stage, and the statistics: what is published and checkpointed.

        Weights that are never trained belong to a file that the policy's configuration names.
        """
        ...

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Takes up what `weights` gave.

        Raises:
            KeyError: where something is missing or unknown.
            RuntimeError: where a shape differs, or one of the above.
        """
        ...

    def fork(self, stage: Stage) -> Self:
        """A policy with parameters of its own for what learns in a stage, and all else shared:
        what an average or a target is."""
        ...


@runtime_checkable
class Exports(Protocol):
    """A policy that other projects can read."""

    def export(self, path: Path, layout: str) -> None:
        """Writes a whole checkpoint, with everything trained merged into it.

        Raises:
            ValueError: for a layout that it doesn't know, with those it does.
        """
        ...

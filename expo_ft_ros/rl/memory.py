"""What the learner draws batches from: replay, and what the VLA made of each slot beside it."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from expo_ft_ros.data.episode import Episode
from expo_ft_ros.data.replay import CandidateCache, FeatureCache, ReplayBuffer, Window
from expo_ft_ros.policies.base import VLA, PolicyInput
from expo_ft_ros.rl.augment import augment
from expo_ft_ros.rl.config import AgentConfig

_CHUNK = 64  # slots encoded at once


class Memory:
    """Replay with the candidate cache and the features that the VLA's image encoder makes.

    steps: C. Slots are indices into the replay buffer; `fill` makes what is missing beside them.
    """

    def __init__(
        self,
        config: AgentConfig,
        vla: VLA,
        steps: int,
        device: torch.device,
        rng: np.random.Generator,
    ) -> None:
        self._config, self._vla, self._steps = config, vla, steps
        self._device, self._rng = device, rng
        capacity = config.replay_capacity
        self.replay = ReplayBuffer(capacity, config.image_size)
        self.candidates = CandidateCache(capacity, config.candidates, steps)
        self.features = FeatureCache(capacity, 1 + config.augmented_features)

    def add(self, episode: Episode) -> None:
        """Takes an episode into replay."""
        slots = self.replay.add(episode)
        self.candidates.forget(slots)
        self.features.forget(slots)

    def fill(self, version: int) -> None:
        """Makes the features and candidates that slots lack, by VLA weights of that version."""
        slots = self.replay.slots
        # A frozen encoder's features stay true; another one has moved since they were made.
        stale = self.features.missing(slots) if self._config.freeze_vla_encoder else slots
        for part in _parts(stale) if self._config.keeps_features else []:
            self.features.put(part, self._encode(part))
        self.draw_candidates(self.candidates.missing(slots), version)

    def refresh(self, count: int, version: int) -> None:
        """Draws the candidates of the `count` slots anew whose candidates are the oldest."""
        self.draw_candidates(self.candidates.oldest(self.replay.slots, count), version)

    @torch.no_grad()
    def draw_candidates(self, slots: NDArray[np.int64], version: int) -> None:
        """Draws base chunks at those slots."""
        for part in _parts(slots):
            inputs = self.known(part) if self._config.keeps_features else self.seen(part)
            chunks = self._vla.sample(inputs, self._config.candidates)[:, :, : self._steps]
            self.candidates.put(part, chunks.cpu().numpy(), version)

    @torch.no_grad()
    def _encode(self, slots: NDArray[np.int64]) -> NDArray[np.float32]:
        plain = self.seen(slots).images
        draws = [plain] + [self._augment(plain) for _ in range(self._config.augmented_features)]
        return np.stack([self._vla.image_features(d).cpu().numpy() for d in draws], axis=1)

    def seen(self, slots: NDArray[np.int64], *, augmented: bool = False) -> PolicyInput:
        """Observations with their images, float in [0, 1]."""
        images = torch.from_numpy(self.replay.images[slots]).to(self._device).float() / 255
        return PolicyInput(self._augment(images) if augmented else images, *self._rest(slots))

    def known(self, slots: NDArray[np.int64], *, augmented: bool = False) -> PolicyInput:
        """Observations with the kept features in place of images."""
        features = self.features.get(slots, self._rng if augmented else None)
        nothing = torch.empty(0, device=self._device)
        return PolicyInput(nothing, *self._rest(slots), torch.from_numpy(features).to(self._device))

    def _rest(self, slots: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        state = torch.from_numpy(self.replay.state[slots]).to(self._device)
        return state, torch.from_numpy(self.replay.tokens[slots]).to(self._device)

    def _augment(self, images: Tensor) -> Tensor:
        return augment(images) if self._config.augmentation == "openpi" else images

    def sample(
        self, horizon: int, starts: NDArray[np.int64] | None = None, batch: int | None = None
    ) -> Window:
        """Windows of C steps with actions out to `horizon`; `batch` of them, as configured."""
        count = self._config.batch if batch is None else batch
        return self.replay.sample(
            count, self._steps, horizon, self._config.gamma, self._rng, starts
        )


def _parts(slots: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    return [p for p in np.array_split(slots, max(1, math.ceil(len(slots) / _CHUNK))) if len(p)]

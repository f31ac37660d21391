"""What the learner draws batches from: replay, and what the VLA made of each slot beside it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from expo_ft_ros.data.episode import Episode
from expo_ft_ros.policies.base import VLA, PolicyInput
from expo_ft_ros.rl.augment import augment
from expo_ft_ros.rl.config import AgentConfig, Augmentation
from expo_ft_ros.rl.replay_buffer import CandidateCache, FeatureCache, ReplayBuffer, Window

_CHUNK = 64  # slots encoded at once


@dataclass(frozen=True)
class Transitions:
    """B windows of C steps as tensors.

    visual, next_visual: what the encoders module calls so, augmented independently; state,
    next_state: (B, STATE_DIM); chunk: (B, C * 7) executed, in the VLA's normalised space; reward,
    bootstrap: (B,) as in `replay.Window`; start, after: (B,) slots.
    """

    visual: Tensor
    state: Tensor
    chunk: Tensor
    reward: Tensor
    bootstrap: Tensor
    next_visual: Tensor
    next_state: Tensor
    start: NDArray[np.int64]
    after: NDArray[np.int64]


class Memory:
    """Replay with the candidate cache and the features that the VLA's image encoder makes.

    steps: C. Slots are indices into the replay buffer; what the VLA makes of them lies beside.
    target_vla: draws the base chunks of the TD target.
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
        self.target_vla = vla
        self._device, self.rng = device, rng
        capacity = config.replay_capacity
        self.replay = ReplayBuffer(capacity, config.image_size)
        self.candidates = CandidateCache(capacity, config.candidates, steps)
        self.features = FeatureCache(capacity, 1 + config.augmented_features)
        self._caches: list[FeatureCache | CandidateCache] = [self.candidates, self.features]

    def register_cache(self, cache: FeatureCache) -> None:
        """Has another cache forget the slots that an episode takes."""
        self._caches.append(cache)

    def add(self, episode: Episode) -> None:
        """Takes an episode into replay."""
        slots = self.replay.add(episode)
        for cache in self._caches:
            cache.forget(slots)

    def state_dict(self) -> dict[str, Any]:
        """Features and candidates of the slots in use; replay itself is rebuilt from episodes."""
        slots = self.replay.slots
        known = slots[~np.isin(slots, self.features.missing(slots))]
        drawn = slots[~np.isin(slots, self.candidates.missing(slots))]
        state = {
            "slots": torch.from_numpy(slots),
            "states": torch.from_numpy(self.replay.state[slots]),
            "drawn": torch.from_numpy(drawn),
            "chunks": torch.from_numpy(self.candidates.chunks[drawn]),
            "version": torch.from_numpy(self.candidates.version[drawn]),
            "known": torch.from_numpy(known),
        }
        if len(known):
            state["features"] = torch.from_numpy(self.features.every(known))
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes up a state_dict where replay is what it was then.

        What was drawn for slots that hold something else now, or nothing, is left out: an episode
        may have been discarded since, which moves all later ones.
        """
        slots, states = state["slots"].numpy(), state["states"].numpy()
        there = slots < len(self.replay.state)
        slots, states = slots[there], states[there]
        same = (self.replay.state[slots] == states).all(axis=1)
        kept = np.intersect1d(slots[same], self.replay.slots)
        drawn, known = state["drawn"].numpy(), state["known"].numpy()
        here = np.isin(drawn, kept)
        self.candidates.put(
            drawn[here], state["chunks"].numpy()[here], state["version"].numpy()[here]
        )
        if len(known):
            here = np.isin(known, kept)
            self.features.put(known[here], state["features"].numpy()[here])

    def fill_candidates(self, version: int) -> None:
        """Draws the candidates that slots lack, by VLA weights of that version."""
        self.draw_candidates(self.candidates.missing(self.replay.slots), version)

    def fill_features(self) -> None:
        """Makes the features that slots lack."""
        slots = self.replay.slots
        # A frozen encoder's features stay true; another one has moved since they were made.
        stale = self.features.missing(slots) if self._config.freeze_vla_encoder else slots
        for part in _parts(stale) if self._config.keeps_features else []:
            self.features.put(part, self._encode(part))

    def refresh(self, count: int, version: int) -> None:
        """Draws the candidates of the `count` slots anew whose candidates are the oldest."""
        self.draw_candidates(self.candidates.oldest(self.replay.slots, count), version)

    @torch.no_grad()
    def draw_candidates(self, slots: NDArray[np.int64], version: int) -> None:
        """Draws base chunks at those slots, by VLA weights of that version."""
        for part in _parts(slots):
            inputs = (
                self.cached_features(part) if self._config.keeps_features else self.images(part)
            )
            chunks = self.target_vla.sample(inputs, self._config.candidates)[:, :, : self._steps]
            self.candidates.put(part, chunks.cpu().numpy(), version)

    @torch.no_grad()
    def _encode(self, slots: NDArray[np.int64]) -> NDArray[np.float32]:
        plain = self.images(slots).images
        kind = self._config.augmentation
        draws = [plain] + [_augmented(plain, kind) for _ in range(self._config.augmented_features)]
        return np.stack([self._vla.image_features(d).cpu().numpy() for d in draws], axis=1)

    def images(self, slots: NDArray[np.int64], *, augmented: bool = False) -> PolicyInput:
        """Observations with their images, float in [0, 1]."""
        images = torch.from_numpy(self.replay.images[slots]).to(self._device).float().div_(255)
        if augmented:
            images = _augmented(images, self._config.augmentation)
        return PolicyInput(images, *self._rest(slots))

    def cached_features(self, slots: NDArray[np.int64], *, augmented: bool = False) -> PolicyInput:
        """Observations with the kept features in place of images."""
        features = self.features.get(slots, self.rng if augmented else None)
        nothing = torch.empty(0, device=self._device)
        return PolicyInput(nothing, *self._rest(slots), torch.from_numpy(features).to(self._device))

    def critic_input(self, slots: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """What the critic's encoder sees at those slots, augmented, and the state."""
        if self._config.critic.encoder == "shared":
            inputs = self.cached_features(slots, augmented=True)
            return cast(Tensor, inputs.features), inputs.state
        inputs = self.images(slots)
        kind = self._config.critic.augmentation or self._config.augmentation
        return _augmented(inputs.images, kind), inputs.state

    def base_chunks(self, slots: NDArray[np.int64], version: int) -> Tensor:
        """(B, N, C * 7) base chunks at those slots: kept ones, or drawn now where configured."""
        if self._config.target_candidates == "fresh":
            self.draw_candidates(np.unique(slots), version)
        return torch.from_numpy(self.candidates.chunks[slots]).to(self._device).flatten(2)

    def chunk(self, window: Window) -> Tensor:
        """(B, C * 7) executed actions of a window, in the VLA's normalised space."""
        actions = torch.from_numpy(window.actions[:, : self._steps]).to(self._device)
        return self._vla.normalise(actions).flatten(1)

    def batch(self) -> Window:
        """A batch of windows for the critic and the actor, from everywhere that may be."""
        whole = 0 if self._config.window_end == "exact" else self._steps
        return self.sample(self._steps, self.replay.starts(whole=whole))

    def windows(self, starts: NDArray[np.int64], horizon: int) -> Window:
        """The windows from these slots, with actions out to `horizon`."""
        config = self._config
        return self.replay.window(
            starts,
            self._steps,
            horizon,
            config.gamma,
            truncation_ends=not config.bootstrap_on_truncation,
        )

    def transitions(self, window: Window) -> Transitions:
        """A batch of windows as the critic sees them."""
        visual, state = self.critic_input(window.start)
        next_visual, next_state = self.critic_input(window.after)
        return Transitions(
            visual=visual,
            state=state,
            chunk=self.chunk(window),
            reward=torch.from_numpy(window.reward).to(self._device),
            bootstrap=torch.from_numpy(window.bootstrap).to(self._device),
            next_visual=next_visual,
            next_state=next_state,
            start=window.start,
            after=window.after,
        )

    def _rest(self, slots: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        state = torch.from_numpy(self.replay.state[slots]).to(self._device)
        return state, torch.from_numpy(self.replay.tokens[slots]).to(self._device)

    def sample(
        self, horizon: int, starts: NDArray[np.int64] | None = None, batch: int | None = None
    ) -> Window:
        """Windows of C steps with actions out to `horizon`, uniform over `starts` (default: every
        step held), with replacement; `batch` of them, as configured.

        Raises ValueError when there is nothing to draw from.
        """
        pool = self.replay.starts() if starts is None else starts
        if len(pool) == 0:
            raise ValueError("replay buffer has no window to draw: add an episode first")
        count = self._config.batch if batch is None else batch
        return self.windows(self.rng.choice(pool, size=count), horizon)


def _augmented(images: Tensor, kind: Augmentation) -> Tensor:
    return images if kind == "none" else augment(images, moved=kind == "openpi")


def _parts(slots: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    return [p for p in np.array_split(slots, max(1, math.ceil(len(slots) / _CHUNK))) if len(p)]

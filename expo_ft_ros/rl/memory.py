# SPDX-License-Identifier: Apache-2.0
"""What the learner draws batches from: replay, and what the VLA made of each slot beside it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from expo_ft_ros.data.episode import Episode
from expo_ft_ros.data.types import ACTION_DIM, FloatArray, ImageArray, Observation
from expo_ft_ros.policies.base import VLA, PolicyInput
from expo_ft_ros.rl.cache_budget import CacheBudget
from expo_ft_ros.rl.candidate_cache import CandidateCache
from expo_ft_ros.rl.config import AgentConfig
from expo_ft_ros.rl.feature_cache import FeatureCache
from expo_ft_ros.rl.input_builder import InputBuilder, augmented
from expo_ft_ros.rl.replay_buffer import ReplayBuffer, Window
from expo_ft_ros.rl.transitions import Transitions
from expo_ft_ros.tasks import TaskConfig

_ENCODED_AT_ONCE = 64  # slots


class _SlotCache(Protocol):
    def forget(self, slots: NDArray[np.int64]) -> None: ...


class Memory:
    """Replay with the candidate cache and the features that the VLA's image encoder makes.

    Slots are indices into the replay buffer; what the VLA makes of them lies beside.

    Args:
        config: Of the agent.
        vla: The policy that acts.
        views: Names of the views, in the order in which it was built.
        task: What is learned.
        device: Of the batches.
        rng: Draws windows and augmentations.

    Attributes:
        target_vla: Draws the base chunks of the TD target.
        candidates: Base chunks by slot; None where they are drawn anew for each batch.
        features: Image features by slot; None where they are made when they are needed.
        budget: Of caches, also of those that algorithms register.
    """

    def __init__(
        self,
        config: AgentConfig,
        vla: VLA,
        views: Sequence[str],
        task: TaskConfig,
        device: torch.device,
        rng: np.random.Generator,
    ) -> None:
        self._config, self._vla = config, vla
        self._execute_steps, self._max_steps = task.execute_steps, task.max_steps
        self.target_vla = vla
        self.device, self.rng = device, rng
        seen = task.max_steps if config.value.time_left else None
        self.inputs = InputBuilder(vla, views, config.image_size, device, seen)
        self.replay = ReplayBuffer(config.replay_capacity, config.image_size, views, config.gamma)
        self._steps_left: FloatArray = np.zeros(config.replay_capacity, dtype=np.float32)
        self.budget = CacheBudget(config.cache_bytes)
        self._caches: list[_SlotCache] = []
        self.candidates = self._candidate_cache()
        shape = vla.feature_shape if config.keeps_features else None
        self.features = (
            self.new_cache("features", 1 + config.augmented_features, shape, vla.feature_dtype)
            if shape is not None
            else None
        )

    def _candidate_cache(self) -> CandidateCache | None:
        capacity = self._config.replay_capacity
        shape = (self._config.candidates, self._execute_steps, ACTION_DIM)
        size = CandidateCache.size_of(capacity, shape)
        if self._config.target_candidates != "cached":
            return None
        if not self.budget.grants("candidates", size):
            return None
        cache = CandidateCache(capacity, shape)
        self._caches.append(cache)
        return cache

    def new_cache(
        self, name: str, draws: int, shape: Sequence[int], dtype: torch.dtype
    ) -> FeatureCache | None:
        """A cache that forgets the slots which an episode takes; None where it would not fit.

        Args:
            name: What it holds, for the log.
            draws: Of each slot.
            shape: Of one slot's values.
            dtype: Of the values.
        """
        capacity = self._config.replay_capacity
        if not self.budget.grants(name, FeatureCache.size_of(capacity, draws, shape, dtype)):
            return None
        cache = FeatureCache(capacity, draws, shape, dtype)
        self._caches.append(cache)
        return cache

    @property
    def visual_shape(self) -> tuple[int, ...]:
        """What the critic's encoder sees of an observation: images (V, 3, s, s), or features (F,).

        Raises:
            ValueError: where it shares an encoder that gives no features.
        """
        if self._config.critic.encoder != "shared":
            size = self._config.image_size
            return (len(self.inputs.views), 3, size, size)
        shape = self._vla.feature_shape
        if shape is None:
            raise ValueError("critic.encoder is shared, but the policy gives no features")
        return (shape[-1],)

    def add(self, episode: Episode) -> None:
        """Takes an episode into replay."""
        slots = self.replay.add(episode)
        self._steps_left[slots] = episode.steps_left_of(self._max_steps)
        for cache in self._caches:
            cache.forget(slots)

    def state_dict(self) -> dict[str, Any]:
        """Features and candidates of the slots in use; replay itself is rebuilt from episodes."""
        slots = self.replay.slots
        state: dict[str, Any] = {
            "slots": torch.from_numpy(slots),
            "states": torch.from_numpy(self.replay.state[slots]),
        }
        if self.candidates is not None:
            state["candidates"] = self.candidates.state_dict(slots)
        if self.features is not None:
            state["features"] = self.features.state_dict(slots)
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes up a state_dict where replay is what it was then.

        What was drawn for slots that hold something else now, or nothing, is left out: an episode
        may have been discarded since, which moves all later ones. A cache that wasn't kept then is
        filled anew.

        Raises:
            KeyError: where something is missing.
        """
        slots, states = state["slots"].numpy(), state["states"].numpy()
        there = slots < len(self.replay.state)
        slots, states = slots[there], states[there]
        same = (self.replay.state[slots] == states).all(axis=1)
        unchanged = np.intersect1d(slots[same], self.replay.slots)
        if self.candidates is not None and "candidates" in state:
            self.candidates.load_state_dict(state["candidates"], unchanged)
        if self.features is not None and "features" in state:
            self.features.load_state_dict(state["features"], unchanged)

    # --- what the VLA makes of slots ------------------------------------------------------------

    def fill_candidates(self, version: int) -> None:
        """Draws the candidates that slots lack, by VLA weights of that version."""
        if self.candidates is not None:
            self._keep_candidates(self.candidates.missing(self.replay.slots), version)

    def refresh_candidates(self, count: int, version: int) -> None:
        """Draws the candidates of the `count` slots anew whose candidates are the oldest."""
        if self.candidates is not None:
            self._keep_candidates(self.candidates.oldest(self.replay.slots, count), version)

    def _keep_candidates(self, slots: NDArray[np.int64], version: int) -> None:
        if self.candidates is not None and len(slots):
            self.candidates.put(slots, self.draw_candidates(slots), version)

    def fill_features(self) -> None:
        """Makes the features that slots lack."""
        if self.features is None:
            return
        slots = self.replay.slots
        # A frozen encoder's features stay true; another one has moved since they were made.
        stale = self.features.missing(slots) if self._config.freeze_vla_encoder else slots
        for part in _parts(stale):
            self.features.put(part, self._encode(part))

    def encoder_has_learned(self) -> None:
        """Marks as stale what the image encoder made: features, and where so configured what was
        drawn by them."""
        if self.features is not None:
            self.features.forget(self.replay.slots)
        if self.candidates is not None and self._config.redraw_after_encoder_phase:
            self.candidates.forget(self.replay.slots)

    @torch.no_grad()
    def draw_candidates(self, slots: NDArray[np.int64], count: int = 0) -> Tensor:
        """Base chunks drawn now, (len(slots), count, C, 7) float32; 0: N of them."""
        count = count or self._config.candidates
        drawn = [self.target_vla.sample(self.policy_input(part), count) for part in _parts(slots)]
        return torch.cat(drawn)[:, :, : self._execute_steps].float()

    def base_chunks(self, slots: NDArray[np.int64], count: int = 0) -> Tensor:
        """(B, count, C * 7) base chunks at those slots: kept ones, else drawn now.

        Args:
            slots: (B,).
            count: So many of the N, the same ones for all slots: any of them are samples of one
                policy; 0: all.
        """
        if self.candidates is not None:
            chunks = self.candidates.get(slots)
            if count:
                chunks = chunks[:, torch.from_numpy(self.rng.permutation(chunks.shape[1])[:count])]
            chunks = chunks.to(self.device)
        else:
            unique, inverse = np.unique(slots, return_inverse=True)
            chunks = self.draw_candidates(unique, count)
            chunks = chunks[torch.from_numpy(inverse).to(self.device)]
        return chunks.flatten(2)

    @torch.no_grad()
    def _encode(self, slots: NDArray[np.int64]) -> Tensor:
        plain, kind = self._plain_images(slots), self._config.augmentation
        draws = [plain, *(augmented(plain, kind) for _ in range(self._config.augmented_features))]
        return torch.stack([self._features_of(self._input(slots, draw)) for draw in draws], dim=1)

    def _features_of(self, inputs: PolicyInput) -> Tensor:
        if inputs.images is None:
            raise ValueError("observations without images have no features to be made")
        return self._vla.image_features(inputs.images)

    # --- what networks see ----------------------------------------------------------------------

    def of_observation(self, observation: Observation) -> tuple[Tensor, Tensor, PolicyInput]:
        """What networks see of one observation.

        Returns:
            What the critic's encoder sees, (1, *visual_shape), its state, and the policy's input.

        Raises:
            ValueError: when it lacks a view, or the steps left where the critic sees them.
        """
        kept, state = self.inputs.kept(observation.views), observation.proprio.vector()
        left = np.array([observation.steps_left], dtype=np.float32)  # None becomes NaN
        return self.of_kept(kept[None], state[None], [observation.instruction], left)

    def of_kept(
        self, kept: ImageArray, state: FloatArray, instructions: Sequence[str], left: FloatArray
    ) -> tuple[Tensor, Tensor, PolicyInput]:
        """As `of_observation`, of B observations as replay keeps them.

        Args:
            kept: (B, V, 3, s, s) uint8.
            state: (B, STATE_DIM) float32, SI units.
            instructions: B texts.
            left: (B,) steps left, NaN where that isn't known.
        """
        images, of_critic = self.inputs.images(kept), self.inputs.critic_state(state, left)
        inputs = self.inputs.policy_input(images, state, instructions)
        if self._vla.feature_shape is not None:
            inputs = inputs.with_features(self._features_of(inputs))
        if self._config.critic.encoder == "shared" and inputs.features is not None:
            return _pooled(inputs.features), of_critic, inputs
        return images, of_critic, inputs

    def images(self, slots: NDArray[np.int64], *, augment: bool = False) -> PolicyInput:
        """Observations with their images."""
        images = self._plain_images(slots)
        if augment:
            images = augmented(images, self._config.augmentation)
        return self._input(slots, images)

    def policy_input(self, slots: NDArray[np.int64], *, augment: bool = False) -> PolicyInput:
        """Observations with features in place of images where these are kept."""
        if self.features is None:
            return self.images(slots, augment=augment)
        features = self.features.get(slots, self.rng if augment else None)
        return self._input(slots, None).with_features(features.to(self.device))

    def critic_input(self, slots: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """What the critic's encoder sees at those slots, augmented, and its state."""
        state = self.inputs.critic_state(self.replay.state[slots], self._steps_left[slots])
        if self._config.critic.encoder == "shared":
            return _pooled(self._augmented_features(slots)), state
        kind = self._config.critic.augmentation or self._config.augmentation
        return augmented(self._plain_images(slots), kind), state

    def _augmented_features(self, slots: NDArray[np.int64]) -> Tensor:
        if self.features is not None:
            return self.features.get(slots, self.rng).to(self.device)
        with torch.no_grad():
            return self._features_of(self.images(slots, augment=True))

    def _plain_images(self, slots: NDArray[np.int64]) -> Tensor:
        return self.inputs.images(self.replay.images[slots])

    def _input(self, slots: NDArray[np.int64], images: Tensor | None) -> PolicyInput:
        replay = self.replay
        return self.inputs.policy_input(images, replay.state[slots], replay.instructions(slots))

    # --- windows --------------------------------------------------------------------------------

    def chunk(self, window: Window) -> Tensor:
        """(B, C * 7) executed actions of a window, in the VLA's normalised space."""
        actions = torch.from_numpy(window.actions[:, : self._execute_steps]).to(self.device)
        return self._vla.normalise(actions).flatten(1)

    def batch(self) -> Window:
        """A batch of windows for the critic and the actor, from everywhere that may be, the
        configured share of them from successful episodes."""
        whole = 0 if self._config.window_end == "exact" else self._execute_steps
        count = self._config.batch
        share = round(count * self._config.value.success_share)
        successes = self.replay.starts(successful=True, whole=whole) if share else ()
        if len(successes) == 0:
            share = 0
        parts = [self._draw(self.replay.starts(whole=whole), count - share)]
        if share:
            parts.append(self.rng.choice(successes, size=share))
        return self.value_windows(np.concatenate(parts))

    def value_windows(self, starts: NDArray[np.int64]) -> Window:
        """The windows from these slots as the critic learns from them, with C actions."""
        return self.windows(starts, self._execute_steps, takeover_ends=self._takeover_ends)

    def windows(
        self, starts: NDArray[np.int64], horizon: int, *, takeover_ends: bool = False
    ) -> Window:
        """The windows from these slots, with actions out to `horizon`: `ReplayBuffer.window`."""
        return self.replay.window(
            starts,
            self._execute_steps,
            horizon,
            truncation_ends=not self._config.bootstrap_on_truncation,
            takeover_ends=takeover_ends,
        )

    @property
    def _takeover_ends(self) -> bool:
        return self._config.value.before_takeover == "terminal"

    def transitions(self, window: Window) -> Transitions:
        """A batch of windows as the critic sees them."""
        visual, state = self.critic_input(window.start)
        next_visual, next_state = self.critic_input(window.after)
        return Transitions(
            visual=visual,
            state=state,
            chunk=self.chunk(window),
            reward=torch.from_numpy(window.reward).to(self.device),
            bootstrap=torch.from_numpy(window.bootstrap).to(self.device),
            least=torch.from_numpy(
                self.replay.return_bound(
                    window, self._config.value.return_bound, takeover_ends=self._takeover_ends
                )
            ).to(self.device),
            next_visual=next_visual,
            next_state=next_state,
            start=window.start,
            after=window.after,
        )

    def sample(
        self, horizon: int, starts: NDArray[np.int64] | None = None, batch: int | None = None
    ) -> Window:
        """Windows of C steps, drawn uniformly with replacement.

        Args:
            horizon: Steps of their actions.
            starts: Slots to draw from; None: every step held.
            batch: How many; None: as configured.

        Raises:
            ValueError: when there is nothing to draw from.
        """
        pool = self.replay.starts() if starts is None else starts
        count = self._config.batch if batch is None else batch
        return self.windows(self._draw(pool, count), horizon)

    def _draw(self, pool: NDArray[np.int64], count: int) -> NDArray[np.int64]:
        if len(pool) == 0:
            raise ValueError("replay buffer has no window to draw: add an episode first")
        drawn: NDArray[np.int64] = self.rng.choice(pool, size=count)
        return drawn


def _pooled(features: Tensor) -> Tensor:
    """(B, F) of features (B, ..., F): the mean over image tokens, where there are any."""
    return features if features.dim() == 2 else features.flatten(1, -2).mean(dim=1)


def _parts(slots: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    count = max(1, math.ceil(len(slots) / _ENCODED_AT_ONCE))
    return [part for part in np.array_split(slots, count) if len(part)]

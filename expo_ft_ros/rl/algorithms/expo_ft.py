# SPDX-License-Identifier: Apache-2.0
"""EXPO-FT: the VLA proposes chunks, an edit policy corrects them, a critic chooses on the fly."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from expo_ft_ros.data.normalisation import RangeNormaliser
from expo_ft_ros.data.types import ACTION_DIM
from expo_ft_ros.policies.base import Statistics
from expo_ft_ros.rl.actor_critic import ActorCritic, Metrics
from expo_ft_ros.rl.algorithms.base import (
    ActionSelection,
    AlgorithmContext,
    EncodedObservation,
    WithNetworks,
    base_choice,
)
from expo_ft_ros.rl.config import AgentConfig
from expo_ft_ros.rl.gaussian import TanhGaussian, target_entropy

_ROTATIONS = slice(3, 6)


@dataclass(frozen=True)
class Selection:
    """On-the-fly choice for B observations among K candidates (eq. 2).

    Attributes:
        chunks: (B, K, C * 7), the base chunks first, then their edits.
        q: (B, K).
        chosen: (B,) index of the greatest.
    """

    chunks: Tensor
    q: Tensor
    chosen: Tensor

    @property
    def best(self) -> Tensor:
        """The chosen chunks: (B, C * 7)."""
        rows = torch.arange(len(self.chosen), device=self.chosen.device)
        return self.chunks[rows, self.chosen]


class EditedCritic(ActorCritic):
    """The networks: Q of a chunk, and edits of it within +-beta.

    Args:
        config: Of the agent.
        chunk_dim: C * 7; chunks are flat.
        edit_scale: beta.
        visual_shape: What the critic's encoder sees of an observation.
    """

    def __init__(
        self,
        config: AgentConfig,
        chunk_dim: int,
        edit_scale: float,
        visual_shape: tuple[int, ...],
    ) -> None:
        edit = config.edit
        length = chunk_dim // ACTION_DIM
        moved = torch.ones(length, ACTION_DIM)
        if not edit.rotations:
            moved[:, _ROTATIONS] = 0
        super().__init__(
            config,
            chunk_dim,
            visual_shape,
            lambda in_dim: TanhGaussian(
                in_dim + chunk_dim, chunk_dim, edit.hidden, edit_scale, moved.flatten()
            ),
            alpha=edit.alpha,
            entropy=lambda actor: target_entropy(
                actor.free_dims, edit_scale, shifted=edit.shifted_target
            ),
        )
        self._length = length
        self.action_stats = RangeNormaliser(ACTION_DIM)

    def set_normalization(self, statistics: Statistics) -> None:
        """See ActorCritic."""
        super().set_normalization(statistics)
        self.action_stats.set_range(statistics.action_low, statistics.action_high)

    def executable(self, action: Tensor) -> Tensor:
        """Chunks (..., C * 7) within +-1 of the robot's range, which is all that is ever executed
        and replayed: of anything beyond the critic learns nothing."""
        limit = torch.ones(ACTION_DIM, device=action.device)
        low, high = self.action_stats.transform(-limit), self.action_stats.transform(limit)
        return action.clamp(low.repeat(self._length), high.repeat(self._length))

    @torch.no_grad()
    def select(
        self,
        visual: Tensor,
        state: Tensor,
        base: Tensor,
        *,
        mode: bool,
        edited: bool = True,
        generator: torch.Generator | None = None,
    ) -> Selection:
        """Scores base chunks and one edit of each by the minimum over freshly drawn target members.

        Args:
            visual: (B, *visual_shape).
            state: (B, STATE_DIM) SI units.
            base: (B, N, C * 7).
            mode: Edits are the edit policy's mode instead of samples.
            edited: False leaves edits out.
            generator: Of what is drawn; None: torch's global one.
        """
        base = self.executable(base)
        chunks = base
        if edited:
            features = self.features(self.value, visual, state)[:, None]
            condition = torch.cat([features.expand(-1, base.shape[1], -1), base], dim=-1)
            actor = self.actor
            edits = actor.mode(condition) if mode else actor.sample(condition, generator)[0]
            chunks = torch.cat([base, self.executable(base + edits)], dim=1)
        of_target = self.features(self.target, visual, state)
        ensemble = self.target.ensemble
        of_members = ensemble(of_target, chunks, ensemble.draw(generator))
        q = of_members.amin(dim=0)
        if edited and self.config.edit.pessimistic_edit_gain:
            of_base, of_edits = of_members.chunk(2, dim=2)
            q = torch.cat([q.chunk(2, dim=1)[0]] * 2, dim=1)
            q[:, base.shape[1] :] += (of_edits - of_base).amin(dim=0)
        return Selection(chunks, q, q.argmax(dim=1))

    @torch.no_grad()
    def td_target(
        self,
        reward: Tensor,
        bootstrap: Tensor,
        next_visual: Tensor,
        next_state: Tensor,
        next_base: Tensor,
        *,
        edited: bool = True,
    ) -> Tensor:
        """y = sum gamma^i r + gamma^n (1 - terminated) min Q'(s', a*), (B,) (eq. 5, C.1).

        a* is selected as when acting; its value is read from freshly drawn members again. Where
        all are drawn these are the same ones.

        Args:
            reward: (B,) as in `Window`.
            bootstrap: (B,) as in `Window`.
            next_visual: (B, *visual_shape).
            next_state: (B, STATE_DIM) SI units.
            next_base: (B, N, C * 7).
            edited: False leaves edits out.
        """
        selection = self.select(next_visual, next_state, next_base, mode=False, edited=edited)
        pessimistic_edit_gain = edited and self.config.edit.pessimistic_edit_gain
        if self.config.minimum_of == self.config.critic.members and not pessimistic_edit_gain:
            value = selection.q.amax(dim=1)
        else:
            features = self.features(self.target, next_visual, next_state)
            best = selection.best[:, None]
            value = self.target.ensemble.pessimistic(features, best).squeeze(1)
        return reward + bootstrap * value


class ExpoFT(WithNetworks):
    """See the module; implements `Algorithm`."""

    networks: EditedCritic
    updates_per_step: None = None

    def __init__(self, context: AlgorithmContext) -> None:
        networks = EditedCritic(
            context.config, context.chunk_dim, context.task.edit_scale, context.visual_shape
        )
        super().__init__(context, networks)

    @property
    def _edits(self) -> bool:
        """Whether edits are candidates by now."""
        config = self._context.config
        return config.edits and self.critic_updates >= config.edits_after

    def choose(
        self, encoded: EncodedObservation, *, mode: bool, generator: torch.Generator | None
    ) -> ActionSelection:
        """Eq. 2; while the critic is untrained the first base chunk, unedited."""
        context, length = self._context, self._context.task.execute_steps
        base = context.vla.sample(encoded.inputs, context.config.candidates, generator)
        if self.critic_updates == 0:
            return base_choice(context, base)
        selection = self.networks.select(
            encoded.visual,
            encoded.inputs.state,
            base[:, :, :length].flatten(2),
            mode=mode,
            edited=self._edits,
            generator=generator,
        )
        count = context.config.candidates
        chosen = int(selection.chosen)
        candidates = selection.chunks[0].view(-1, length, ACTION_DIM)
        whole = base[0, chosen % count].clone()
        whole[:length] = candidates[chosen]
        edited = torch.arange(len(candidates)) >= count
        return ActionSelection(whole, candidates, selection.q[0], edited, chosen)

    @torch.no_grad()
    def values(
        self, encoded: EncodedObservation, chunks: Tensor, generator: torch.Generator | None = None
    ) -> Tensor:
        """What the critic says of any chunks, by the minimum over drawn target members.

        Args:
            encoded: B observations.
            chunks: (B, K, C, 7) in the VLA's normalised space.
            generator: Draws members; None: torch's global one.

        Returns:
            (B, K).
        """
        networks = self.networks
        features = networks.features(networks.target, encoded.visual, encoded.inputs.state)
        executed = networks.executable(chunks.flatten(2))
        return networks.target.ensemble.pessimistic(features, executed, generator)

    def gradient_steps(self, calls: int, *, encoder_phase: bool) -> int:
        """See Algorithm."""
        config = self._context.config
        each = config.critic_steps_per_update + config.vla_steps_per_update
        each += config.edit.steps_per_update if config.edits else 0
        return calls * each + encoder_phase * config.vla_encoder_steps

    def learn(self, calls: int, *, encoder_phase: bool) -> Iterator[Metrics]:
        """See Algorithm."""
        config, memory, vla_trainer = (
            self._context.config,
            self._context.memory,
            self._context.vla_trainer,
        )
        if encoder_phase:
            yield from vla_trainer.encoder_phase(self.imitation_starts)
        memory.fill_features()
        memory.fill_candidates(vla_trainer.updates)
        for _ in range(calls):
            for _ in range(config.critic_steps_per_update):
                yield self._critic_step()
            yield from vla_trainer.online_steps(self.imitation_starts)
            for _ in range(config.edit.steps_per_update if config.edits else 0):
                yield self._edit_step()
            memory.refresh_candidates(config.refresh_per_update, vla_trainer.updates)
        yield self._diagnose()

    def _critic_step(self) -> Metrics:
        memory, networks = self._context.memory, self.networks
        batch = memory.transitions(memory.batch())
        target = networks.td_target(
            batch.reward,
            batch.bootstrap,
            batch.next_visual,
            batch.next_state,
            memory.base_chunks(batch.after),
            edited=self._edits,
        )
        metrics = networks.critic_step(batch.visual, batch.state, batch.chunk, target)
        self.critic_updates += 1
        return metrics

    def _edit_step(self) -> Metrics:
        memory = self._context.memory
        window = memory.batch()
        return self.networks.actor_step(*memory.critic_input(window.start), memory.chunk(window))

    def imitation_starts(self) -> NDArray[np.int64]:
        """First steps of the windows that the VLA imitates online, as `vla_data` says."""
        data = self._context.config.vla_data
        # All that the VLA's loss sees of a window, not the executed part of it.
        horizon = self._context.vla.horizon
        return self._context.memory.replay.starts(
            successful=data != "all",
            exclude_pre_intervention=horizon if data == "exclude_pre_intervention" else 0,
        )

    @torch.no_grad()
    def _diagnose(self) -> Metrics:
        """Age of the cached candidates, and how often the critic misranks them: the share of
        corrected windows at which it prefers the base chunks, on average, to what the human did.
        """
        memory, updates = self._context.memory, self._context.vla_trainer.updates
        slots = memory.replay.slots
        metrics = {}
        if memory.candidates is not None:
            metrics["cache/age"] = float((updates - memory.candidates.version[slots]).mean())
        length = self._context.task.execute_steps
        corrected = memory.replay.starts(
            successful=True, human=length, exclude_pre_intervention=length, demonstrated=False
        )
        if len(corrected):
            window = memory.sample(length, corrected)
            visual, state = memory.critic_input(window.start)
            base = memory.base_chunks(window.start)
            chunks = torch.cat([memory.chunk(window)[:, None], base], dim=1)
            features = self.networks.features(self.networks.value, visual, state)
            q = self.networks.value.ensemble(features, chunks).mean(dim=0)
            metrics["critic/misranked"] = float((q[:, 1:].mean(dim=1) > q[:, 0]).float().mean())
        return metrics

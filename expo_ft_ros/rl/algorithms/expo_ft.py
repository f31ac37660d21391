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
from expo_ft_ros.data.types import ACTION_DIM, GRIPPER, CandidateKind
from expo_ft_ros.policies.base import Statistics
from expo_ft_ros.rl.actor_critic import ActorCritic, Metrics
from expo_ft_ros.rl.advantage import AdvantageWeights
from expo_ft_ros.rl.algorithms.base import (
    ActionSelection,
    AlgorithmContext,
    EncodedObservation,
    WithNetworks,
    base_choice,
)
from expo_ft_ros.rl.candidates import (
    Layout,
    by_agreement,
    gripper_decisions,
    layout,
    uniform_index,
)
from expo_ft_ros.rl.config import AgentConfig
from expo_ft_ros.rl.edit_policy import EditPolicy
from expo_ft_ros.rl.gaussian import target_entropy
from expo_ft_ros.rl.replay_buffer import Window


@dataclass(frozen=True)
class Selection:
    """On-the-fly choice for B observations among K candidates (eq. 2).

    Attributes:
        chunks: (B, K, C * 7), in the order of `layout`.
        q: (B, K).
        chosen: (B,) index of the greatest; drawn, when acting, where `choose_by` says so.
        layout: Which of them is what.
        member_spread: (B, K) standard deviation of Q among the members that were asked.
    """

    chunks: Tensor
    q: Tensor
    chosen: Tensor
    layout: Layout
    member_spread: Tensor

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
        gripper_is_free: Whether gripper decisions may be candidates.
    """

    def __init__(
        self,
        config: AgentConfig,
        chunk_dim: int,
        edit_scale: float,
        visual_shape: tuple[int, ...],
        *,
        gripper_is_free: bool = True,
    ) -> None:
        edit = config.edit
        length = chunk_dim // ACTION_DIM
        super().__init__(
            config,
            chunk_dim,
            visual_shape,
            lambda in_dim: EditPolicy(in_dim + chunk_dim, length, edit_scale, edit),
            alpha=edit.alpha,
            entropy=lambda actor: target_entropy(actor.bounds, shifted=edit.shifted_target),
            alpha_rate=edit.alpha_learning_rate,
        )
        self._length = length
        self._decisions = edit.gripper_decisions if gripper_is_free else 0
        self.action_stats = RangeNormaliser(ACTION_DIM)

    def set_normalization(self, statistics: Statistics) -> None:
        """See ActorCritic."""
        super().set_normalization(statistics)
        self.action_stats.set_range(statistics.action_low, statistics.action_high)

    def executable(self, action: Tensor) -> Tensor:
        """Chunks (..., C * 7) within +-1 of the robot's range, which is all that is ever executed
        and replayed: of anything beyond the critic learns nothing."""
        low, high = self._limits(action.device)
        return action.clamp(low.repeat(self._length), high.repeat(self._length))

    def _limits(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """-1 and +1 of the robot's range, normalised: (7,) each."""
        limit = torch.ones(ACTION_DIM, device=device)
        return self.action_stats.transform(-limit), self.action_stats.transform(limit)

    @property
    def has_alternatives(self) -> bool:
        """Whether anything but base chunks may be a candidate."""
        return self.config.edits or self._decisions > 0

    @torch.no_grad()
    def select(
        self,
        visual: Tensor,
        state: Tensor,
        base: Tensor,
        *,
        mode: bool,
        alternatives: bool = True,
        acting: bool = False,
        generator: torch.Generator | None = None,
    ) -> Selection:
        """Scores base chunks, one edit of each and gripper decisions, as configured: by the minimum
        over freshly drawn target members, when acting as `ValueConfig.acting_value` says; edits,
        where so configured, by their base chunk and their least gain (`pessimistic_edit_gain`).

        Args:
            visual: (B, *visual_shape).
            state: (B, state_dim) as `InputBuilder.critic_state`.
            base: (B, N, C * 7).
            mode: Edits are the edit policy's mode instead of samples.
            alternatives: False leaves all but base chunks out.
            acting: False is the TD target's choice, by the minimum whatever `acting_value` says.
            generator: Of what is drawn; None: torch's global one.
        """
        base = self.executable(base)
        edits = alternatives and self.config.edits
        decisions = self._decisions if alternatives else 0
        parts = [base]
        if edits:
            features = self.features(self.value, visual, state)[:, None]
            condition = torch.cat([features.expand(-1, base.shape[1], -1), base], dim=-1)
            actor = self.actor
            edit = actor.mode(condition) if mode else actor.sample(condition, generator)[0]
            parts.append(self.executable(base + edit))
        if decisions:
            closing, opening = (limit[GRIPPER] for limit in self._limits(base.device))
            parts.append(gripper_decisions(base, decisions, opening, closing))
        chunks = torch.cat(parts, dim=1)
        made = layout(base.shape[1], edits=edits, decisions=decisions, device=base.device)
        of_members, q = self.valued(visual, state, chunks, acting=acting, generator=generator)
        if edits and self.config.edit.pessimistic_edit_gain:
            edited = torch.nonzero(made.kind == CandidateKind.EDITED)[:, 0]
            whose = made.base[edited]
            gain = (of_members[:, :, edited] - of_members[:, :, whose]).amin(dim=0)
            q[:, edited] = q[:, whose] + gain
        if decisions and acting and self.config.edit.agreed_decisions:
            q = by_agreement(q, of_members, made)
        drawn = acting and self.config.choose_by == "random"
        chosen = uniform_index(q, generator) if drawn else q.argmax(dim=1)
        return Selection(chunks, q, chosen, made, of_members.std(dim=0, correction=0))

    @torch.no_grad()
    def valued(
        self,
        visual: Tensor,
        state: Tensor,
        chunks: Tensor,
        *,
        acting: bool,
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Q of chunks (B, K, C * 7) by the target's members that are asked, (M, B, K), and what
        they are worth by these, (B, K); the other arguments are those of `select`."""
        features, ensemble = self.features(self.target, visual, state), self.target.ensemble
        if acting and self.config.value.acting_value == "mean":
            of_members: Tensor = ensemble(features, chunks)
            return of_members, of_members.mean(dim=0)
        of_members = ensemble(features, chunks, ensemble.draw(generator))
        return of_members, of_members.amin(dim=0)

    @torch.no_grad()
    def td_target(
        self,
        reward: Tensor,
        bootstrap: Tensor,
        next_visual: Tensor,
        next_state: Tensor,
        next_base: Tensor,
        *,
        alternatives: bool = True,
    ) -> Tensor:
        """y = sum gamma^i r + gamma^n (1 - terminated) min Q'(s', a*), (B,) (eq. 5, C.1).

        a* is the choice by the minimum over drawn members, also where `acting_value` has the agent
        act by another one; its value is read from freshly drawn members again. Where all are drawn
        these are the same ones.

        Args:
            reward: (B,) as in `Window`.
            bootstrap: (B,) as in `Window`.
            next_visual: (B, *visual_shape).
            next_state: (B, state_dim), the same.
            next_base: (B, N, C * 7).
            alternatives: False leaves all but base chunks out.
        """
        selection = self.select(
            next_visual, next_state, next_base, mode=False, alternatives=alternatives
        )
        other_worth = self.config.edit.pessimistic_edit_gain and alternatives and self.config.edits
        if self.config.minimum_of == self.config.value.members and not other_worth:
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
        task = context.task
        networks = EditedCritic(
            context.config,
            context.chunk_dim,
            task.edit_scale,
            context.visual_shape,
            gripper_is_free=task.gripper_is_free,
        )
        super().__init__(context, networks)
        self._weights: AdvantageWeights | None = None
        if context.config.vla_weighting != "none":
            self._weights = AdvantageWeights(context.config, context.memory, self.networks)

    @property
    def _alternatives(self) -> bool:
        """Whether edits and gripper decisions are candidates by now."""
        return self.critic_updates >= self._context.config.edits_after

    def _explores(self, generator: torch.Generator | None) -> bool:
        """Draws whether a candidate at random is to be executed on this observation."""
        config = self._context.config
        share = config.explore_share if self.critic_updates else config.explore_share_warmup
        if share == 0 or not self.networks.has_alternatives:
            return False
        device = None if generator is None else generator.device
        return float(torch.rand((), generator=generator, device=device)) < share

    def choose(
        self, encoded: EncodedObservation, *, mode: bool, generator: torch.Generator | None
    ) -> ActionSelection:
        """Eq. 2; while the critic is untrained the first base chunk, unedited. In a configured
        share of the chunks outside of evaluations an edit or gripper decision at random."""
        context, length = self._context, self._context.task.execute_steps
        count = context.config.acting_candidates or context.config.candidates
        base = context.vla.sample(encoded.inputs, count, generator)
        explores = not mode and self._explores(generator)
        if self.critic_updates == 0 and not explores:
            return base_choice(context, base)
        selection = self.networks.select(
            encoded.visual,
            encoded.state,
            base[:, :, :length].flatten(2),
            mode=mode and context.config.edit.evaluation == "mode",
            alternatives=explores or self._alternatives,
            acting=True,
            generator=generator,
        )
        made, q = selection.layout, selection.q[0]
        chosen = int(selection.chosen)
        if explores:
            others = torch.nonzero(made.kind != CandidateKind.BASE)[:, 0]
            device = None if generator is None else generator.device
            drawn = torch.randint(len(others), (), generator=generator, device=device)
            chosen = int(others[int(drawn)])
        spread = selection.member_spread[0]
        candidates = selection.chunks[0].view(-1, length, ACTION_DIM)
        whole = base[0, made.base[chosen]].clone()
        whole[:length] = candidates[chosen]
        if self.critic_updates == 0:
            q = spread = torch.full_like(q, torch.nan)
        return ActionSelection(whole, candidates, q, made.kind, chosen, explores, spread)

    @torch.no_grad()
    def values(
        self, encoded: EncodedObservation, chunks: Tensor, generator: torch.Generator | None = None
    ) -> Tensor:
        """What any chunks are worth when acting, but for `edit.pessimistic_edit_gain` and
        `edit.agreed_decisions`, which compare candidates by kind.

        Args:
            encoded: B observations.
            chunks: (B, K, C, 7) in the VLA's normalised space.
            generator: Draws members; None: torch's global one.

        Returns:
            (B, K).
        """
        networks, state = self.networks, encoded.state
        executed = networks.executable(chunks.flatten(2))
        return networks.valued(encoded.visual, state, executed, acting=True, generator=generator)[1]

    def gradient_steps(self, calls: int, *, encoder_phase: bool) -> int:
        """See Algorithm."""
        config = self._context.config
        each = config.critic_steps_per_update
        each += 0 if self._vla_waits() else config.vla_steps_per_update
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
            yield from vla_trainer.online_steps(self.imitation_starts, self._weights)
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
            memory.base_chunks(batch.after, self._context.config.target_candidates_of),
            alternatives=self._alternatives,
        )
        target = networks.bounded(target, batch.least)
        metrics = networks.critic_step(batch.visual, batch.state, batch.chunk, target)
        self.critic_updates += 1
        return metrics

    def _edit_step(self) -> Metrics:
        memory = self._context.memory
        window = memory.batch()
        visual, state = memory.critic_input(window.start)
        return self.networks.actor_step(visual, state, self._chunks_to_edit(window))

    def _chunks_to_edit(self, window: Window) -> Tensor:
        """(B, C * 7) that the edit policy learns to edit, as `trained_on` says."""
        memory, trained_on = self._context.memory, self._context.config.edit.trained_on
        executed = memory.chunk(window)
        if trained_on == "executed":
            return executed
        base = memory.base_chunks(window.start)
        rows = np.arange(len(executed))
        drawn = base[rows, memory.rng.integers(base.shape[1], size=len(rows))]
        drawn = self.networks.executable(drawn)
        if trained_on == "vla":
            return drawn
        even = torch.from_numpy(rows % 2 == 0).to(drawn.device)
        return torch.where(even[:, None], executed, drawn)

    def imitation_starts(self) -> NDArray[np.int64]:
        """First steps of windows to imitate online: as `vla_data` says, none of them explored; none
        at all while the VLA waits for a correction."""
        config, replay = self._context.config, self._context.memory.replay
        if self._vla_waits():
            return np.zeros(0, dtype=np.int64)
        # All that the VLA's loss sees of a window, not the executed part of it.
        horizon = self._context.vla.horizon
        mended = config.vla_data == "exclude_pre_intervention"
        return replay.starts(
            successful=config.vla_data != "all",
            exclude_explored=horizon,
            exclude_pre_intervention=horizon if mended else 0,
        )

    def _vla_waits(self) -> bool:
        """Whether the VLA still waits for an operator's correction that led to a success."""
        if not self._context.config.vla_waits:
            return False
        replay = self._context.memory.replay
        return not len(replay.starts(successful=True, human=1, demonstrated=False))

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

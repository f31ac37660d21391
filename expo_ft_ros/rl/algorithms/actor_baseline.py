# SPDX-License-Identifier: Apache-2.0
"""What HIL-SERL and DSRL share: Q and a squashed Gaussian actor, no selection among candidates."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator

import torch
from torch import Tensor

from expo_ft_ros.rl.actor_critic import ActorCritic, Metrics
from expo_ft_ros.rl.algorithms.base import (
    ActionSelection,
    AlgorithmContext,
    EncodedObservation,
    WithNetworks,
)
from expo_ft_ros.rl.gaussian import TanhGaussian, target_entropy
from expo_ft_ros.rl.replay_buffer import Window
from expo_ft_ros.rl.transitions import Transitions


class ActorBaseline(WithNetworks, ABC):
    """Q and the actor are functions of `dim` numbers within +-scale.

    Implements `Algorithm`, but for what these numbers are.
    """

    def __init__(self, context: AlgorithmContext, dim: int, scale: float) -> None:
        config = context.config
        self.updates_per_step = config.baseline.updates_per_step
        networks = ActorCritic(
            config.model_copy(update={"minimum_of": config.baseline.minimum_of}),
            dim,
            context.visual_shape,
            lambda in_dim: TanhGaussian(in_dim, dim, config.edit.hidden, scale),
            alpha=config.baseline.alpha,
            entropy=lambda actor: target_entropy(actor.bounds, shifted=False),
        )
        super().__init__(context, networks)

    @abstractmethod
    def choose(
        self, encoded: EncodedObservation, *, mode: bool, generator: torch.Generator | None
    ) -> ActionSelection:
        """See Algorithm."""

    def draw_windows(self) -> Window:
        """The windows of a batch, drawn at random."""
        return self._context.memory.batch()

    @abstractmethod
    def _actions(self, batch: Transitions) -> Tensor:
        """(B, dim) that stand for what was executed."""

    def gradient_steps(self, calls: int, *, encoder_phase: bool) -> int:
        """See Algorithm."""
        return calls * (self._context.config.baseline.critic_steps_per_update + 1)

    def learn(self, calls: int, *, encoder_phase: bool) -> Iterator[Metrics]:
        """See Algorithm."""
        config, memory = self._context.config, self._context.memory
        self._prepare()
        for _ in range(calls):
            for _ in range(config.baseline.critic_steps_per_update):
                yield self._critic_step()
            yield self.networks.actor_step(*memory.critic_input(self.draw_windows().start))

    def _prepare(self) -> None:
        """Makes what batches need and slots lack."""
        self._context.memory.fill_features()

    def _critic_step(self) -> Metrics:
        networks = self.networks
        batch = self._context.memory.transitions(self.draw_windows())
        target = networks.td_target_of_actor(
            batch.reward, batch.bootstrap, batch.next_visual, batch.next_state
        )
        target = networks.bounded(target, batch.least)
        metrics = networks.critic_step(batch.visual, batch.state, self._actions(batch), target)
        self.critic_updates += 1
        return metrics

    def _drawn(
        self, encoded: EncodedObservation, *, mode: bool, generator: torch.Generator | None
    ) -> Tensor:
        """(1, dim) the actor's mode or a draw of it."""
        actor = self.networks.actor
        networks = self.networks
        features = networks.features(networks.value, encoded.visual, encoded.state)
        return actor.mode(features) if mode else actor.sample(features, generator)[0]

    def _choice(
        self,
        encoded: EncodedObservation,
        drawn: Tensor,
        chunk: Tensor,
        generator: torch.Generator | None,
    ) -> ActionSelection:
        """The chunk (H, 7) that was made of what was drawn, with its value once there is one."""
        networks = self.networks
        features = networks.features(networks.target, encoded.visual, encoded.state)
        ensemble = networks.target.ensemble
        of_members = ensemble(features, drawn[:, None], ensemble.draw(generator))[:, 0]
        q, spread = of_members.amin(dim=0), of_members.std(dim=0, correction=0)
        if self.critic_updates == 0:
            q = spread = torch.full_like(q, torch.nan)
        executed = chunk[None, : self._context.task.execute_steps]
        base = torch.zeros(1, dtype=torch.uint8)
        return ActionSelection(chunk, executed, q, base, 0, False, spread)

"""What HIL-SERL and DSRL share: Q and a squashed Gaussian actor, no selection among candidates."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator

import torch
from torch import Tensor

from expo_ft_ros.rl.actor_critic import ActorCritic, Metrics
from expo_ft_ros.rl.algorithms.base import Choice, Parts, Seen, WithNetworks
from expo_ft_ros.rl.gaussian import TanhGaussian, target_entropy
from expo_ft_ros.rl.memory import Transitions
from expo_ft_ros.rl.replay_buffer import Window


class ActorBaseline(WithNetworks, ABC):
    """Q and the actor are functions of `dim` numbers within +-scale; implements `Algorithm`, but
    for what these numbers are."""

    def __init__(self, parts: Parts, dim: int, scale: float) -> None:
        config = parts.config
        self.updates_per_step = config.baseline.updates_per_step
        networks = ActorCritic(
            config.model_copy(update={"minimum_of": config.baseline.minimum_of}),
            dim,
            parts.feature_dim,
            lambda known: TanhGaussian(known, dim, config.edit.hidden, scale),
            alpha=config.baseline.alpha,
            entropy=lambda actor: target_entropy(dim, scale, shifted=False),
        )
        super().__init__(parts, networks)

    @abstractmethod
    def choose(self, seen: Seen, *, mode: bool, generator: torch.Generator | None) -> Choice:
        """See Algorithm."""

    def _window(self) -> Window:
        """A batch's windows."""
        return self._parts.memory.batch()

    @abstractmethod
    def _actions(self, batch: Transitions) -> Tensor:
        """(B, dim) that stand for what was executed."""

    def gradient_steps(self, calls: int, *, burst: bool) -> int:
        """See Algorithm."""
        return calls * (self._parts.config.baseline.critic_steps_per_update + 1)

    def learn(self, calls: int, *, burst: bool) -> Iterator[Metrics]:
        """See Algorithm."""
        config, memory = self._parts.config, self._parts.memory
        self._prepare()
        for _ in range(calls):
            for _ in range(config.baseline.critic_steps_per_update):
                yield self._critic_step()
            yield self.networks.actor_step(*memory.visual(self._window().start))

    def _prepare(self) -> None:
        """Makes what batches need and slots lack."""
        self._parts.memory.fill_features()

    def _critic_step(self) -> Metrics:
        networks = self.networks
        batch = self._parts.memory.transitions(self._window())
        target = networks.td_target_of_actor(
            batch.reward, batch.bootstrap, batch.next_visual, batch.next_state
        )
        metrics = networks.critic_step(batch.visual, batch.state, self._actions(batch), target)
        self.critic_updates += 1
        return metrics

    def _drawn(self, seen: Seen, *, mode: bool, generator: torch.Generator | None) -> Tensor:
        """(1, dim) the actor's mode or a draw of it."""
        actor = self.networks.actor
        known = self.networks.features(self.networks.value, seen.visual, seen.inputs.state)
        return actor.mode(known) if mode else actor.sample(known, generator)[0]

    def _choice(
        self, seen: Seen, drawn: Tensor, chunk: Tensor, generator: torch.Generator | None
    ) -> Choice:
        """The chunk (H, 7) that was made of what was drawn, with its value once there is one."""
        known = self.networks.features(self.networks.target, seen.visual, seen.inputs.state)
        q = self.networks.target.ensemble.pessimistic(known, drawn[:, None], generator)[0]
        if self.critic_updates == 0:
            q = torch.full_like(q, torch.nan)
        executed = chunk[None, : self._parts.task.execute_steps]
        return Choice(chunk, executed, q, torch.zeros(1, dtype=torch.bool), 0)

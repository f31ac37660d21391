"""HIL-SERL, that is RLPD with human corrections: a Gaussian policy from scratch (paper, C.3)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from expo_ft_ros.data.types import ACTION_DIM
from expo_ft_ros.rl.actor_critic import ActorCritic, Metrics
from expo_ft_ros.rl.algorithms.base import Choice, Parts, Seen
from expo_ft_ros.rl.gaussian import TanhGaussian, target_entropy

_REACH = 1.2  # of the demonstrations' range: chunks are normalised to it


class HilSerl:
    """No VLA: the actor's draw is the chunk. Half of each batch is from demonstrations. Implements
    `Algorithm`."""

    learns_vla: bool = False

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        config, dim = parts.config, parts.chunk_dim
        self.networks = ActorCritic(
            config,
            dim,
            parts.feature_dim,
            lambda known: TanhGaussian(known, dim, config.edit.hidden, _REACH),
            alpha=config.baseline.alpha,
            entropy=lambda actor: target_entropy(dim, _REACH, shifted=False),
        )
        self.critic_updates = 0

    def choose(self, seen: Seen, *, mode: bool, generator: torch.Generator | None) -> Choice:
        """The actor's mode or a draw of it, followed by standing still."""
        steps, networks = self._parts.task.execute_steps, self.networks
        features = networks.features(networks.value, seen.visual, seen.inputs.state)
        actor = networks.actor
        drawn = actor.mode(features) if mode else actor.sample(features, generator)[0]
        target = networks.features(networks.target, seen.visual, seen.inputs.state)
        q = networks.target.ensemble.pessimistic(target, drawn[:, None], generator)[0]
        chunk = drawn.view(steps, ACTION_DIM)
        still = self._parts.vla.normalise(torch.zeros(ACTION_DIM, device=chunk.device))
        rest = still.expand(self._parts.vla.horizon - steps, -1)
        return Choice(torch.cat([chunk, rest]), chunk[None], q, torch.zeros(1, dtype=torch.bool), 0)

    def learn(self, calls: int, *, burst: bool) -> Iterator[Metrics]:
        """See Algorithm."""
        config, memory = self._parts.config, self._parts.memory
        memory.fill_features()
        for _ in range(calls):
            for _ in range(config.baseline.critic_steps_per_update):
                yield self._critic_step()
            window = memory.sample(self._parts.task.execute_steps, self._starts())
            yield self.networks.actor_step(*memory.visual(window.start))

    def _critic_step(self) -> Metrics:
        networks = self.networks
        batch = self._parts.memory.transitions(self._starts())
        target = networks.td_target_of_actor(
            batch.reward, batch.bootstrap, batch.next_visual, batch.next_state
        )
        metrics = networks.critic_step(batch.visual, batch.state, batch.chunk, target)
        self.critic_updates += 1
        return metrics

    def _starts(self) -> NDArray[np.int64]:
        """Starts of one batch: the configured share of them from demonstrations."""
        config, memory = self._parts.config, self._parts.memory
        demonstrated = memory.replay.starts(demonstrated=True)
        online = memory.replay.starts(demonstrated=False)
        if not len(demonstrated) or not len(online):
            return demonstrated if len(demonstrated) else online
        share = round(config.batch * config.baseline.demonstration_share)
        rng = memory.rng
        return np.concatenate(
            [rng.choice(demonstrated, size=share), rng.choice(online, size=config.batch - share)]
        )

"""DSRL: a frozen VLA steered by a policy over its initial noise (paper, C.3)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from expo_ft_ros.data.types import ACTION_DIM
from expo_ft_ros.rl.actor_critic import ActorCritic, Metrics
from expo_ft_ros.rl.algorithms.base import Choice, Parts, Seen
from expo_ft_ros.rl.gaussian import TanhGaussian, target_entropy


class Dsrl:
    """Q and the actor are functions of the noise (H * 7) that the VLA denoises.

    The noise of a replayed window is found by running the flow backwards from what was executed,
    so that human steps and windows from every t are learned from as well. Implements `Algorithm`.
    """

    learns_vla: bool = False

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        config, scale = parts.config, parts.config.baseline.noise_scale
        dim = parts.vla.horizon * ACTION_DIM
        self.networks = ActorCritic(
            config,
            dim,
            parts.feature_dim,
            lambda known: TanhGaussian(known, dim, config.edit.hidden, scale),
            alpha=config.baseline.alpha,
            entropy=lambda actor: target_entropy(dim, scale, shifted=False),
        )
        self.critic_updates = 0

    def choose(self, seen: Seen, *, mode: bool, generator: torch.Generator | None) -> Choice:
        """The chunk of the noise that the actor chose; of plain noise while it is untrained."""
        vla, networks = self._parts.vla, self.networks
        state = seen.inputs.state
        shape = (1, vla.horizon, ACTION_DIM)
        if self.critic_updates == 0:
            noise = torch.randn(shape, generator=generator, device=state.device).flatten(1)
        else:
            features = networks.features(networks.value, seen.visual, state)
            actor = networks.actor
            noise = actor.mode(features) if mode else actor.sample(features, generator)[0]
        chunk = vla.denoise(vla.encode(seen.inputs), noise.view(shape))[0]
        target = networks.features(networks.target, seen.visual, state)
        q = networks.target.ensemble.pessimistic(target, noise[:, None], generator)[0]
        executed = chunk[None, : self._parts.task.execute_steps]
        return Choice(chunk, executed, q, torch.zeros(1, dtype=torch.bool), 0)

    def learn(self, calls: int, *, burst: bool) -> Iterator[Metrics]:
        """See Algorithm."""
        config, memory = self._parts.config, self._parts.memory
        memory.fill_features()
        for _ in range(calls):
            for _ in range(config.baseline.critic_steps_per_update):
                yield self._critic_step()
            window = memory.sample(self._parts.task.execute_steps)
            yield self.networks.actor_step(*memory.visual(window.start))

    def _critic_step(self) -> Metrics:
        networks = self.networks
        batch = self._parts.memory.transitions()
        target = networks.td_target_of_actor(
            batch.reward, batch.bootstrap, batch.next_visual, batch.next_state
        )
        noise = self._noise_of(batch.start)
        metrics = networks.critic_step(batch.visual, batch.state, noise, target)
        self.critic_updates += 1
        return metrics

    @torch.no_grad()
    def _noise_of(self, starts: NDArray[np.int64]) -> Tensor:
        """(B, H * 7) noise that the VLA would have denoised into the executed chunks."""
        memory, vla = self._parts.memory, self._parts.vla
        config = self._parts.config
        window = memory.replay.window(starts, config.vla.horizon, config.vla.horizon, config.gamma)
        inputs = memory.known(starts) if config.keeps_features else memory.seen(starts)
        actions = vla.normalise(torch.from_numpy(window.actions).to(inputs.state.device))
        noise = vla.invert(vla.encode(inputs), actions)
        scale = config.baseline.noise_scale
        return noise.clamp(-scale, scale).flatten(1)

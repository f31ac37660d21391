"""DSRL: a frozen VLA steered by a policy over its initial noise (paper, C.3)."""

from __future__ import annotations

import torch
from torch import Tensor

from expo_ft_ros.data.types import ACTION_DIM
from expo_ft_ros.rl.algorithms.actor_baseline import ActorBaseline
from expo_ft_ros.rl.algorithms.base import ActionSelection, AlgorithmContext, EncodedObservation
from expo_ft_ros.rl.memory import Transitions
from expo_ft_ros.rl.replay_buffer import FeatureCache


class Dsrl(ActorBaseline):
    """Q and the actor are functions of the noise (H * 7) that the VLA denoises.

    The noise of a replayed window is found by running the flow backwards from what was executed,
    so that human steps and windows from every t are learned from as well. Implements `Algorithm`.
    """

    def __init__(self, context: AlgorithmContext) -> None:
        super().__init__(
            context, context.vla.horizon * ACTION_DIM, context.config.baseline.noise_scale
        )
        self._noise = FeatureCache(context.config.replay_capacity, 1)
        context.memory.register_cache(self._noise)

    def choose(
        self, encoded: EncodedObservation, *, mode: bool, generator: torch.Generator | None
    ) -> ActionSelection:
        """The chunk of the noise that the actor chose; of plain noise while it is untrained."""
        vla, device = self._context.vla, encoded.inputs.state.device
        shape = (1, 1, vla.horizon, ACTION_DIM)
        if self.critic_updates == 0:
            noise = torch.randn(shape, generator=generator, device=device).flatten(1)
        else:
            noise = self._drawn(encoded, mode=mode, generator=generator)
        chunk = vla.denoise(vla.encode(encoded.inputs), noise.view(shape))[0, 0]
        return self._choice(encoded, noise, chunk, generator)

    @torch.no_grad()
    def _prepare(self) -> None:
        """The noise of an episode is found once, for all its windows: the VLA is frozen."""
        super()._prepare()
        memory, vla = self._context.memory, self._context.vla
        config = self._context.config
        scale = config.baseline.noise_scale
        for slots in memory.replay.episodes:
            starts = slots[:-1]
            if not len(self._noise.missing(starts)):
                continue
            window = memory.windows(starts, vla.horizon)
            inputs = (
                memory.cached_features(starts) if config.keeps_features else memory.images(starts)
            )
            actions = vla.normalise(torch.from_numpy(window.actions).to(inputs.state.device))
            noise = vla.invert(vla.encode(inputs), actions[:, None]).clamp(-scale, scale)
            self._noise.put(starts, noise.flatten(2).cpu().numpy())

    def _actions(self, batch: Transitions) -> Tensor:
        """(B, H * 7) noise that the VLA would have denoised into the executed chunks."""
        return torch.from_numpy(self._noise.get(batch.start, None)).to(batch.state.device)

# SPDX-License-Identifier: Apache-2.0
"""DSRL: a frozen VLA steered by a policy over its initial noise (paper, C.3)."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from expo_ft_ros.rl.algorithms.actor_baseline import ActorBaseline
from expo_ft_ros.rl.algorithms.base import ActionSelection, AlgorithmContext, EncodedObservation
from expo_ft_ros.rl.transitions import Transitions


class Dsrl(ActorBaseline):
    """Q and the actor are functions of the noise (H * noise_dim) that the VLA denoises.

    The noise of a replayed window is found by running the flow backwards from what was executed,
    so that human steps and windows from every t are learned from as well. Implements `Algorithm`.
    """

    def __init__(self, context: AlgorithmContext) -> None:
        dim = context.vla.horizon * context.vla.noise_dim
        super().__init__(context, dim, context.config.baseline.noise_scale)
        self._noise = context.memory.new_cache("noise", 1, (dim,), torch.float32)

    def choose(
        self, encoded: EncodedObservation, *, mode: bool, generator: torch.Generator | None
    ) -> ActionSelection:
        """The chunk of the noise that the actor chose; of plain noise while it is untrained."""
        vla, device = self._context.vla, encoded.inputs.state.device
        shape = (1, 1, vla.horizon, vla.noise_dim)
        if self.critic_updates == 0:
            noise = torch.randn(shape, generator=generator, device=device).flatten(1)
        else:
            noise = self._drawn(encoded, mode=mode, generator=generator)
        chunk = vla.denoise(vla.encode(encoded.inputs), noise.view(shape))[0, 0]
        return self._choice(encoded, noise, chunk, generator)

    def _prepare(self) -> None:
        """The noise of an episode is found once, for all its windows: the VLA is frozen."""
        super()._prepare()
        for slots in self._context.memory.replay.episodes if self._noise is not None else ():
            starts = slots[:-1]
            if self._noise is not None and len(self._noise.missing(starts)):
                self._noise.put(starts, self._noise_of(starts)[:, None])

    @torch.no_grad()
    def _noise_of(self, starts: NDArray[np.int64]) -> Tensor:
        """(B, H * noise_dim) noise that the VLA would have denoised into what was executed."""
        memory, vla = self._context.memory, self._context.vla
        scale = self._context.config.baseline.noise_scale
        inputs, window = memory.policy_input(starts), memory.windows(starts, vla.horizon)
        chunks = vla.normalise(torch.from_numpy(window.actions).to(memory.device))
        noise = vla.invert(vla.encode(inputs), chunks[:, None]).clamp(-scale, scale)
        return noise.flatten(1)

    def _actions(self, batch: Transitions) -> Tensor:
        if self._noise is None:
            return self._noise_of(batch.start)
        return self._noise.get(batch.start, None).to(batch.state.device)

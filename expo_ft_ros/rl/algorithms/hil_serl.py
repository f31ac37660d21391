# SPDX-License-Identifier: Apache-2.0
"""HIL-SERL, that is RLPD with human corrections: a Gaussian policy from scratch (paper, C.3)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from expo_ft_ros.data.types import ACTION_DIM
from expo_ft_ros.rl.algorithms.actor_baseline import ActorBaseline
from expo_ft_ros.rl.algorithms.base import ActionSelection, AlgorithmContext, EncodedObservation
from expo_ft_ros.rl.replay_buffer import Window
from expo_ft_ros.rl.transitions import Transitions

_REACH = 1.2  # of the demonstrations' range: chunks are normalised to it


class HilSerl(ActorBaseline):
    """The actor's draw is the chunk. Half of each batch is from demonstrations and windows that
    hold a correction, which are in the other half's pool as well. Implements `Algorithm`.

    The VLA plays no part, but where the critic's encoder is "shared" its imitated image encoder
    does: HIL-SERL too starts from a pretrained one. Chunks are in the VLA's normalised space.
    """

    def __init__(self, context: AlgorithmContext) -> None:
        super().__init__(context, context.chunk_dim, _REACH)

    def choose(
        self, encoded: EncodedObservation, *, mode: bool, generator: torch.Generator | None
    ) -> ActionSelection:
        """The actor's mode or a draw of it, followed by standing still."""
        vla, length = self._context.vla, self._context.task.execute_steps
        drawn = self._drawn(encoded, mode=mode, generator=generator)
        still = vla.normalise(torch.zeros(ACTION_DIM, device=drawn.device))
        chunk = torch.cat([drawn.view(length, -1), still.expand(vla.horizon - length, -1)])
        return self._choice(encoded, drawn, chunk, generator)

    def _actions(self, batch: Transitions) -> Tensor:
        return batch.chunk

    def draw_windows(self) -> Window:
        """The windows of a batch, the configured share of them from what a human showed."""
        config, memory = self._context.config, self._context.memory
        length = self._context.task.execute_steps
        whole = length if config.window_end == "dropped" else 0
        online = memory.replay.starts(demonstrated=False, whole=whole)
        corrected = memory.replay.starts(demonstrated=False, human=length, whole=whole)
        demonstrated = np.concatenate(
            [memory.replay.starts(demonstrated=True, whole=whole), corrected]
        )
        if not len(demonstrated) or not len(online):
            return memory.batch()
        share = round(config.batch * config.baseline.demonstration_share)
        drawn = [
            memory.rng.choice(demonstrated, size=share),
            memory.rng.choice(online, size=config.batch - share),
        ]
        return memory.value_windows(np.concatenate(drawn))

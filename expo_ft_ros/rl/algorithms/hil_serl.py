"""HIL-SERL, that is RLPD with human corrections: a Gaussian policy from scratch (paper, C.3)."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from expo_ft_ros.data.types import ACTION_DIM
from expo_ft_ros.rl.algorithms.actor_baseline import ActorBaseline
from expo_ft_ros.rl.algorithms.base import Choice, Parts, Seen
from expo_ft_ros.rl.memory import Transitions

_REACH = 1.2  # of the demonstrations' range: chunks are normalised to it


class HilSerl(ActorBaseline):
    """No VLA: the actor's draw is the chunk. Half of each batch is from demonstrations. Implements
    `Algorithm`."""

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts, parts.chunk_dim, _REACH)

    def choose(self, seen: Seen, *, mode: bool, generator: torch.Generator | None) -> Choice:
        """The actor's mode or a draw of it, followed by standing still."""
        vla, steps = self._parts.vla, self._parts.task.execute_steps
        drawn = self._drawn(seen, mode=mode, generator=generator)
        still = vla.normalise(torch.zeros(ACTION_DIM, device=drawn.device))
        chunk = torch.cat([drawn.view(steps, -1), still.expand(vla.horizon - steps, -1)])
        return self._choice(seen, drawn, chunk, generator)

    def _actions(self, batch: Transitions) -> Tensor:
        return batch.chunk

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

# SPDX-License-Identifier: Apache-2.0
"""The baselines that optimise no reward: SFT, and HG-DAgger (paper, C.3)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from expo_ft_ros.policies.base import Statistics
from expo_ft_ros.rl.actor_critic import Metrics
from expo_ft_ros.rl.algorithms.base import (
    ActionSelection,
    AlgorithmContext,
    EncodedObservation,
    base_choice,
)


class SFT:
    """The finetuned VLA as it is: nothing is learned online. Implements `Algorithm`."""

    updates_per_step: None = None

    def __init__(self, context: AlgorithmContext) -> None:
        self._context = context
        self.critic_updates = 0

    def choose(
        self, encoded: EncodedObservation, *, mode: bool, generator: torch.Generator | None
    ) -> ActionSelection:
        """One base chunk."""
        return base_choice(self._context, self._context.vla.sample(encoded.inputs, 1, generator))

    def gradient_steps(self, calls: int, *, encoder_phase: bool) -> int:
        """None."""
        return 0

    def learn(self, calls: int, *, encoder_phase: bool) -> Iterator[Metrics]:
        """Nothing."""
        yield from ()

    def set_normalization(self, statistics: Statistics) -> None:
        """See Algorithm: there is nothing beside the VLA."""

    def state_dict(self, *, learning: bool) -> dict[str, Any]:
        """See Algorithm."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See Algorithm."""
        if state:
            raise KeyError(f"{', '.join(state)} of an algorithm that learns more than the VLA")


class HGDagger(SFT):
    """The VLA's own loss on windows that hold a human step, and on the demonstrations."""

    def gradient_steps(self, calls: int, *, encoder_phase: bool) -> int:
        """See Algorithm."""
        config = self._context.config
        return calls * config.vla_steps_per_update + encoder_phase * config.vla_encoder_steps

    def learn(self, calls: int, *, encoder_phase: bool) -> Iterator[Metrics]:
        """See Algorithm."""
        memory, vla_trainer = self._context.memory, self._context.vla_trainer
        if encoder_phase:
            yield from vla_trainer.encoder_phase(self.imitation_starts)
        memory.fill_features()
        for _ in range(calls):
            yield from vla_trainer.online_steps(self.imitation_starts)

    def imitation_starts(self) -> NDArray[np.int64]:
        """Windows of successful demonstrations, and online ones that hold a correction."""
        replay = self._context.memory.replay
        demonstrated = replay.starts(demonstrated=True, successful=True)
        corrected = replay.starts(demonstrated=False, human=self._context.task.execute_steps)
        return np.concatenate([demonstrated, corrected])

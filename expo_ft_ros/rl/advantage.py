# SPDX-License-Identifier: Apache-2.0
"""Weights of the windows that the VLA imitates: how much better each was than what it does."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from expo_ft_ros.rl.actor_critic import ActorCritic
from expo_ft_ros.rl.config import AgentConfig
from expo_ft_ros.rl.memory import Memory
from expo_ft_ros.rl.replay_buffer import Window


class AdvantageWeights:
    """exp(advantage / temperature), at most the limit, divided by its mean over the batch.

    The advantage is of what was executed over the base chunks at the same observation, whose value
    is the mean of all target members and of all N chunks (`AlgorithmConfig.vla_weighting`).

    Args:
        config: Of the agent, whose vla_weighting isn't none.
        memory: Of the windows.
        networks: Of an algorithm whose Q is a function of chunks.
    """

    def __init__(self, config: AgentConfig, memory: Memory, networks: ActorCritic) -> None:
        self._config, self._memory, self._networks = config, memory, networks

    @torch.no_grad()
    def __call__(self, window: Window) -> Tensor:
        """(B,) of these windows, with mean 1."""
        logits = self._advantage(window) / self._config.vla_weight_temperature
        logits = logits.clamp(max=math.log(self._config.vla_weight_limit))
        return torch.softmax(logits, dim=0) * len(logits)

    def _advantage(self, window: Window) -> Tensor:
        memory, target = self._memory, self._networks.target
        features = self._networks.features(target, *memory.critic_input(window.start))
        base = self._networks.executable(memory.base_chunks(window.start))
        chunks = torch.cat([memory.chunk(window)[:, None], base], dim=1)
        q: Tensor = target.ensemble(features, chunks).mean(dim=0)
        executed, of_base = q[:, 0], q[:, 1:].mean(dim=1)
        if self._config.vla_weighting == "return_advantage":
            returned = memory.replay.return_to_go[window.start]
            executed = torch.from_numpy(returned).to(of_base.device)
        return executed - of_base

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
    """exp(advantage / temperature), divided by its mean over the batch; both at most the limit.

    The advantage is of what was executed over the base chunks at the same observation, whose value
    is the mean of all target members and of all N chunks (`AlgorithmConfig.vla_weighting`). What
    was executed is worth its return where that is its own, else its mean Q.

    Args:
        config: Of the agent, whose vla_weighting isn't none.
        memory: Of the windows.
        networks: Of an algorithm whose Q is a function of chunks.
    """

    def __init__(self, config: AgentConfig, memory: Memory, networks: ActorCritic) -> None:
        self._config, self._memory, self._networks = config, memory, networks

    @torch.no_grad()
    def __call__(self, window: Window) -> Tensor:
        """(B,) of these windows, with mean 1, or less where the limit cuts."""
        limit = self._config.vla_weight_limit
        logits = self._advantage(window) / self._config.vla_weight_temperature
        weights = torch.softmax(logits.clamp(max=math.log(limit)), dim=0) * len(logits)
        return weights.clamp(max=limit)

    def _advantage(self, window: Window) -> Tensor:
        memory, target = self._memory, self._networks.target
        features = self._networks.features(target, *memory.critic_input(window.start))
        base = self._networks.executable(memory.base_chunks(window.start))
        chunks = torch.cat([memory.chunk(window)[:, None], base], dim=1)
        q: Tensor = target.ensemble(features, chunks).mean(dim=0)
        executed, of_base = q[:, 0], q[:, 1:].mean(dim=1)
        if self._config.vla_weighting == "return_advantage":
            truncation_ends = not self._config.bootstrap_on_truncation
            returned = memory.replay.own_return(window.start, truncation_ends=truncation_ends)
            known = torch.from_numpy(returned).to(of_base.device)
            executed = torch.where(known.isnan(), executed, known)
        return executed - of_base

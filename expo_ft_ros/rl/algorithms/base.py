# SPDX-License-Identifier: Apache-2.0
"""What an algorithm is: it chooses a chunk on an observation, and learns after episodes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from expo_ft_ros.data.types import ACTION_DIM, CandidateKind
from expo_ft_ros.policies.base import VLA, PolicyInput, Statistics
from expo_ft_ros.rl.actor_critic import ActorCritic, Metrics, resume_optimiser
from expo_ft_ros.rl.config import AgentConfig
from expo_ft_ros.rl.memory import Memory
from expo_ft_ros.rl.vla_trainer import VLATrainer
from expo_ft_ros.tasks import TaskConfig


@dataclass(frozen=True)
class AlgorithmContext:
    """What algorithms are made from; shared with the agent that made them."""

    config: AgentConfig
    task: TaskConfig
    vla: VLA
    memory: Memory
    vla_trainer: VLATrainer

    @property
    def chunk_dim(self) -> int:
        """C * 7."""
        return self.task.execute_steps * ACTION_DIM

    @property
    def visual_shape(self) -> tuple[int, ...]:
        """What the critic's encoder sees of an observation, see `encoders`."""
        return self.memory.visual_shape


@dataclass(frozen=True)
class EncodedObservation:
    """One observation.

    Attributes:
        visual: What the critic's encoder sees of it, (1, *visual_shape).
        state: The critic's, (1, state_dim), as in `Transitions`.
        inputs: What the VLA sees of it.
    """

    visual: Tensor
    state: Tensor
    inputs: PolicyInput


@dataclass(frozen=True)
class ActionSelection:
    """What to execute, in the VLA's normalised space.

    Attributes:
        chunk: (H, 7), of which C steps are meant.
        candidates: (K, C, 7) it was chosen from.
        q: (K,), NaN where there is no critic to value them.
        kind: (K,) uint8 of CandidateKind.
        chosen: Index of the one in `chunk`.
        explored: It was drawn at random, to be judged and not to be imitated.
        member_spread: (K,) standard deviation of Q among the members that were asked; NaN as `q`.
    """

    chunk: Tensor
    candidates: Tensor
    q: Tensor
    kind: Tensor
    chosen: int
    explored: bool
    member_spread: Tensor


class Algorithm(Protocol):
    """EXPO-FT and its baselines. critic_updates: critic gradient steps so far, counted by it."""

    critic_updates: int

    @property
    def updates_per_step(self) -> float | None:
        """Update calls an environment step; None: as the configured schedule says."""
        ...

    def choose(
        self, encoded: EncodedObservation, *, mode: bool, generator: torch.Generator | None
    ) -> ActionSelection:
        """Chooses on one observation.

        Args:
            encoded: The observation.
            mode: As in an evaluation, without exploration.
            generator: Of what is drawn; None: torch's global one.
        """
        ...

    def gradient_steps(self, calls: int, *, encoder_phase: bool) -> int:
        """About how many `learn` takes, to say how far it is."""
        ...

    def learn(self, calls: int, *, encoder_phase: bool) -> Iterator[Metrics]:
        """Learns by so many update calls, yielding after each gradient step.

        Args:
            calls: How many.
            encoder_phase: The VLA's image encoder has its turn first.

        Raises:
            TrainingDiverged: leaves the last good weights.
        """
        ...

    def set_normalization(self, statistics: Statistics) -> None:
        """Takes up what the VLA normalises by, once its imitation has ended."""
        ...

    def state_dict(self, *, learning: bool) -> dict[str, Any]:
        """What it has learned beside the VLA.

        Args:
            learning: With what going on takes (optimisers).
        """
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on from a state_dict of either kind, at the configured learning rates.

        Raises:
            RuntimeError: where it isn't of this algorithm or of these sizes, or KeyError.
        """
        ...


class WithNetworks:
    """What the algorithms that learn networks beside the VLA share of `Algorithm`."""

    def __init__(self, context: AlgorithmContext, networks: ActorCritic) -> None:
        self._context = context
        self.networks = networks.to(context.memory.device)
        self.critic_updates = 0

    def set_normalization(self, statistics: Statistics) -> None:
        """See Algorithm."""
        self.networks.set_normalization(statistics)

    def state_dict(self, *, learning: bool) -> dict[str, Any]:
        """See Algorithm."""
        networks = self.networks
        state = {"networks": networks.state_dict(), "critic_updates": self.critic_updates}
        if learning:
            state["optimisers"] = {n: made.state_dict() for n, made in networks.optimisers.items()}
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See Algorithm."""
        self.networks.load_state_dict(state["networks"])
        self.critic_updates = int(state["critic_updates"])
        for name, of_file in state.get("optimisers", {}).items():
            resume_optimiser(self.networks.optimisers[name], of_file)


def base_choice(context: AlgorithmContext, base: Tensor) -> ActionSelection:
    """The first of the base chunks (1, N, H, 7), as when there is no critic to value them."""
    count = base.shape[1]
    unknown = torch.full((count,), torch.nan)
    return ActionSelection(
        chunk=base[0, 0],
        candidates=base[0, :, : context.task.execute_steps],
        q=unknown,
        kind=torch.full((count,), int(CandidateKind.BASE), dtype=torch.uint8),
        chosen=0,
        explored=False,
        member_spread=unknown,
    )

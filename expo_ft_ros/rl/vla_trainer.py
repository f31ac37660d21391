# SPDX-License-Identifier: Apache-2.0
"""How the VLA learns, by its own loss: on demonstrations, and on what is executed online."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from expo_ft_ros.policies.base import VLA, PolicyInput, Stage
from expo_ft_ros.rl.actor_critic import Metrics, apply_gradient, parameters_of
from expo_ft_ros.rl.config import AgentConfig
from expo_ft_ros.rl.gradient_processes import GradientProcesses
from expo_ft_ros.rl.memory import Memory
from expo_ft_ros.rl.replay_buffer import Window
from expo_ft_ros.rl.vla_gradient import (
    VLA_LOSS,
    ImitationBatch,
    add_vla_gradient,
    learn_only,
)

Starts = Callable[[], NDArray[np.int64]]
Weights = Callable[[Window], Tensor]
"""Weights (B,) of windows, with mean 1 at most."""
_MAX_NORM = 1.0  # of the gradient (openpi)


class VLATrainer:
    """The VLA's optimiser and its steps; `updates` counts them.

    Attributes:
        trained: The weights that the steps are taken with; the VLA that acts is their average
            (openpi's ema_decay), or the same network where none is configured.
        target: Where the configuration keeps one, their Polyak average for the TD target, else the
            VLA that acts, whose frozen weights it shares.
        processes: Each computes a share of the gradient; None: this one computes all of it.
    """

    def __init__(self, config: AgentConfig, vla: VLA, memory: Memory) -> None:
        self._config, self._vla, self._memory = config, vla, memory
        self._online: Stage = "rl" if config.freeze_vla_encoder else "encoder"
        self.trained = vla.fork("sft") if config.imitation.ema else vla
        learns = self.trained.trainable("encoder" if config.vla_encoder_every else self._online)
        self.optimiser = torch.optim.AdamW(
            learns.items(),
            lr=config.vla_learning_rate,
            weight_decay=config.imitation.weight_decay,
            fused=True,
        )
        self.target = vla
        if config.target_vla == "polyak":
            self.target = vla.fork(self._online)
            for parameter in self.target.trainable(self._online).values():
                parameter.requires_grad_(False)
        self.updates = 0
        self.processes: GradientProcesses | None = None

    @property
    def networks(self) -> dict[str, VLA]:
        """The VLA that acts, and the other sets of weights where there are any."""
        networks = {"vla": self._vla, "trained_vla": self.trained, "target_vla": self.target}
        return {n: one for n, one in networks.items() if n == "vla" or one is not self._vla}

    def finetune(self) -> Iterator[tuple[float, Metrics]]:
        """Supervised finetuning on the successful episodes in replay; yields share and metrics.

        Raises:
            ValueError: when there are none.
        """
        config, replay = self._config.imitation, self._memory.replay
        vla, trained, device = self._vla, self.trained, self._memory.device
        starts = replay.driven(replay.starts(successful=True), vla.horizon)
        if len(starts) == 0:
            raise ValueError("no successful demonstration to imitate: collect some first")
        vla.fit_statistics(
            torch.from_numpy(replay.action[starts]).to(device),
            torch.from_numpy(replay.state[starts]).to(device),
            keep_loaded=config.keep_statistics,
        )
        trained.load_weights(vla.weights())
        learns = trained.trainable("sft")
        optimiser = torch.optim.AdamW(
            learns.items(),
            lr=config.learning_rate,
            weight_decay=config.weight_decay,
            fused=True,
        )
        learn_only(self.trained, "sft")
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(
            optimiser, config.steps, eta_min=config.learning_rate / 10
        )
        for step in range(config.steps):
            window = self._memory.sample(vla.horizon, starts, config.batch)
            inputs = self._memory.images(window.start, augment=True)
            inputs = self._from_elsewhere(inputs, config.state_noise)
            loss = self._step("sft", optimiser, inputs, window)
            schedule.step()
            # The first steps are forgotten sooner.
            self._average("sft", min(config.ema, (1 + step) / (10 + step)))
            yield (step + 1) / config.steps, {"vla/loss": loss}
        self.load_weights(vla.weights())

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """All three networks take up these weights.

        Raises:
            RuntimeError: when they don't fit, or KeyError.
        """
        for network in (self._vla, self.trained, self.target):
            network.load_weights(weights)

    def online_steps(self, starts: Starts, weights: Weights | None = None) -> Iterator[Metrics]:
        """The VLA steps of one update call, its image encoder frozen where it is during RL.

        Args:
            starts: First steps of the windows that it imitates.
            weights: Of their losses; None: all alike.
        """
        pool = self._pool(starts)
        learn_only(self.trained, self._online)
        frozen = self._config.freeze_vla_encoder
        inputs = self._memory.policy_input if frozen else self._memory.images
        for _ in range(self._config.vla_steps_per_update if len(pool) else 0):
            window = self._memory.sample(self._vla.horizon, pool)
            seen = inputs(window.start, augment=True)
            if weights is None:
                yield {"vla/loss": self._online_step(self._online, seen, window)}
                continue
            weighed = weights(window)
            loss = self._online_step(self._online, seen, window, weighed)
            yield {"vla/loss": loss, "vla/greatest_weight": weighed.max().item()}

    def encoder_phase(self, starts: Starts) -> Iterator[Metrics]:
        """VLA steps on images, the image encoder learning too; kept features are then stale."""
        pool, config = self._pool(starts), self._config
        learn_only(self.trained, "encoder")
        try:
            for _ in range(config.vla_encoder_steps if len(pool) else 0):
                window = self._memory.sample(self._vla.horizon, pool, config.vla_encoder_batch)
                inputs = self._memory.images(window.start, augment=True)
                yield {"vla/loss": self._online_step("encoder", inputs, window)}
        finally:
            # Also of a phase that was broken off: features are the acting encoder's, for all.
            self._share_encoder()
            self._memory.encoder_has_learned()

    @torch.no_grad()
    def _share_encoder(self) -> None:
        acting = self._vla.trainable("encoder")
        apart = acting.keys() - self._vla.trainable("rl").keys()
        for network in (self.trained, self.target):
            own = network.trainable("encoder")
            for name in apart if network is not self._vla else ():
                own[name].copy_(acting[name])

    def _pool(self, starts: Starts) -> NDArray[np.int64]:
        return self._memory.replay.driven(starts(), self._vla.horizon)

    def _online_step(
        self, stage: Stage, inputs: PolicyInput, window: Window, weights: Tensor | None = None
    ) -> float:
        inputs = self._from_elsewhere(inputs, self._config.vla_state_noise)
        loss = self._step(stage, self.optimiser, inputs, window, weights)
        self.updates += 1
        self._average(stage, self._config.imitation.ema)
        if self.target is not self._vla:
            _blend(self.target, self.trained, self._online, self._config.target_vla_tau)
        return loss

    def _from_elsewhere(self, inputs: PolicyInput, share: float) -> PolicyInput:
        """The same windows from a state with noise, in halves of the demonstrations' range."""
        if not share:
            return inputs
        known = self._vla.statistics()
        scale = share * (known.state_high - known.state_low) / 2
        return replace(inputs, state=inputs.state + scale * torch.randn_like(inputs.state))

    def _average(self, stage: Stage, decay: float) -> None:
        if self.trained is not self._vla:
            _blend(self._vla, self.trained, stage, 1 - decay)

    def _step(
        self,
        stage: Stage,
        optimiser: torch.optim.Optimizer,
        inputs: PolicyInput,
        window: Window,
        weights: Tensor | None = None,
    ) -> float:
        actions = torch.from_numpy(window.actions).to(inputs.state.device)
        batch = ImitationBatch(inputs, self._vla.normalise(actions), weights)
        optimiser.zero_grad(set_to_none=True)
        if self.processes is not None:
            loss = self.processes.add_gradient(self.trained, stage, batch)
        else:
            learns, size = parameters_of(optimiser), self._config.vla_micro_batch
            added = add_vla_gradient(self.trained, learns, batch, count=len(batch), at_once=size)
            loss = added.item()
        apply_gradient(optimiser, VLA_LOSS, _MAX_NORM)
        return loss


@torch.no_grad()
def _blend(average: VLA, trained: VLA, stage: Stage, share: float) -> None:
    """Moves what learns in a stage by `share` of the way to the trained weights."""
    moved, goal = average.trainable(stage), trained.trainable(stage)
    torch._foreach_lerp_(list(moved.values()), [goal[name] for name in moved], share)

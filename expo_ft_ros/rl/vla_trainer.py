"""How the VLA learns, by its own loss: on demonstrations, and on what is executed online."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from expo_ft_ros.policies.base import PolicyInput
from expo_ft_ros.policies.flow_vla import FlowVLA
from expo_ft_ros.rl.actor_critic import Metrics, step_optimiser
from expo_ft_ros.rl.config import AgentConfig
from expo_ft_ros.rl.memory import Memory
from expo_ft_ros.rl.replay_buffer import Window

Starts = Callable[[], NDArray[np.int64]]
_MAX_NORM = 1.0  # of the gradient (openpi)


class VLATrainer:
    """The VLA's optimiser and its steps; `updates` counts them.

    trained: the weights that the steps are taken with; the VLA that acts is their average
    (openpi's ema_decay), or the same network where none is configured. target: where the
    configuration keeps one, their Polyak average for the TD target, else the VLA that acts.
    """

    def __init__(self, config: AgentConfig, vla: FlowVLA, memory: Memory) -> None:
        self._config, self._vla, self._memory = config, vla, memory
        self.trained = copy.deepcopy(vla) if config.imitation.ema else vla
        self.optimiser = torch.optim.AdamW(
            self.trained.named_parameters(),
            lr=config.vla_learning_rate,
            weight_decay=config.imitation.weight_decay,
            fused=True,
        )
        self.target = vla
        if config.target_vla == "polyak":
            self.target = copy.deepcopy(vla).requires_grad_(False)
        self.updates = 0

    def finetune(self) -> Iterator[tuple[float, Metrics]]:
        """Supervised finetuning on the successful episodes in replay; yields share and metrics.

        Raises ValueError when there are none.
        """
        config, replay = self._config.imitation, self._memory.replay
        vla, trained = self._vla, self.trained
        starts = replay.driven(replay.starts(successful=True), vla.horizon)
        if len(starts) == 0:
            raise ValueError("no successful demonstration to imitate: collect some first")
        device = next(vla.parameters()).device
        vla.action_stats.fit(torch.from_numpy(replay.action[starts]).to(device))
        vla.state_stats.fit(torch.from_numpy(replay.state[starts]).to(device))
        trained.load_state_dict(vla.state_dict())
        optimiser = torch.optim.AdamW(
            trained.named_parameters(),
            lr=config.learning_rate,
            weight_decay=config.weight_decay,
            fused=True,
        )
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(
            optimiser, config.steps, eta_min=config.learning_rate / 10
        )
        for step in range(config.steps):
            window = self._memory.sample(vla.horizon, starts, config.batch)
            inputs = self._memory.images(window.start, augmented=True)
            loss = self._step(optimiser, inputs, window)
            schedule.step()
            # The first steps are forgotten sooner.
            self._average(min(config.ema, (1 + step) / (10 + step)))
            yield (step + 1) / config.steps, {"vla/loss": loss}
        self.load_weights(vla.state_dict())

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """All three networks take up these weights. Raises RuntimeError when they don't fit."""
        for network in (self._vla, self.trained, self.target):
            network.load_state_dict(weights)

    def steps(self, starts: Starts) -> Iterator[Metrics]:
        """The VLA steps of one update call, its image encoder frozen where it is during RL."""
        pool = self._pool(starts)
        frozen = self._config.freeze_vla_encoder
        self.trained.image_encoders.requires_grad_(not frozen)
        see = self._memory.cached_features if frozen else self._memory.images
        for _ in range(self._config.vla_steps_per_update if len(pool) else 0):
            window = self._memory.sample(self._vla.horizon, pool)
            yield {"vla/loss": self._online_step(see(window.start, augmented=True), window)}

    def encoder_burst(self, starts: Starts) -> Iterator[Metrics]:
        """VLA steps on images, the image encoder learning too; kept features are then stale."""
        pool = self._pool(starts)
        self.trained.image_encoders.requires_grad_(True)
        try:
            for _ in range(self._config.vla_encoder_steps if len(pool) else 0):
                window = self._memory.sample(
                    self._vla.horizon, pool, self._config.vla_encoder_batch
                )
                inputs = self._memory.images(window.start, augmented=True)
                yield {"vla/loss": self._online_step(inputs, window)}
        finally:
            # Also of a encoder_phase that was broken off: what the encoder makes is kept, for all.
            for network in (self.trained, self.target):
                if network is not self._vla:
                    network.image_encoders.load_state_dict(self._vla.image_encoders.state_dict())
            self._memory.features.forget(self._memory.replay.slots)

    def _pool(self, starts: Starts) -> NDArray[np.int64]:
        return self._memory.replay.driven(starts(), self._vla.horizon)

    def _online_step(self, inputs: PolicyInput, window: Window) -> float:
        loss = self._step(self.optimiser, inputs, window)
        self.updates += 1
        self._average(self._config.imitation.ema)
        if self.target is not self._vla:
            _blend(self.target, self.trained, self._config.target_vla_tau)
        return loss

    def _average(self, decay: float) -> None:
        if self.trained is not self._vla:
            _blend(self._vla, self.trained, 1 - decay)

    def _step(self, optimiser: torch.optim.Optimizer, inputs: PolicyInput, window: Window) -> float:
        actions = torch.from_numpy(window.actions).to(inputs.state.device)
        chunks = self._vla.normalise(actions)
        losses = self.trained.imitation_loss(inputs, chunks)
        known = {"state": inputs.state, "actions": chunks, "losses": losses}
        if inputs.features is not None:
            known = {"features": inputs.features, **known}
        loss = losses.mean()
        step_optimiser(optimiser, loss, "vla loss", known, max_norm=_MAX_NORM)
        return loss.item()


@torch.no_grad()
def _blend(average: FlowVLA, vla: FlowVLA, share: float) -> None:
    """Moves `average` by `share` of the way to the VLA."""
    torch._foreach_lerp_(list(average.parameters()), list(vla.parameters()), share)

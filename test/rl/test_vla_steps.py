# SPDX-License-Identifier: Apache-2.0
"""A VLA step's gradient is the same in one go and in parts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from expo_ft_ros.policies.base import PolicyInput
from expo_ft_ros.policies.flow_vla.model import FlowVLA
from expo_ft_ros.rl.actor_critic import TrainingDiverged
from support.agents import fed

Told = tuple[float, dict[str, Tensor]]


def without_draws(vla: FlowVLA, observation: PolicyInput, actions: Tensor) -> Tensor:
    """The loss halfway between no noise at all and the chunk: what differs is what is summed."""
    t = torch.full(actions.shape[:1], 0.5)
    predicted = vla.velocity(vla.encode(observation), actions[:, None] / 2, t).squeeze(1)
    return (predicted + actions).square().mean(dim=(1, 2))


@pytest.fixture(scope="module")
def imitated(tmp_path_factory) -> Path:
    """A policy's weights, which all agents below have."""
    path = tmp_path_factory.mktemp("vla") / "vla.safetensors"
    fed().save_vla(path)
    return path


def gradients(imitated: Path, micro_batch: int, *, weighted: bool) -> Told:
    """Loss and gradient of an online step of 16 windows."""
    agent = fed(vla_micro_batch=micro_batch, batch=16, vla_steps_per_update=1)
    agent.load_vla(imitated)
    weights = (lambda window: torch.linspace(0, 1, len(window.start))) if weighted else None
    agent.memory.fill_features()
    starts = agent.memory.replay.starts(successful=True)
    (told,) = agent.vla_trainer.online_steps(lambda: starts, weights)
    learns = agent.vla_trainer.trained.trainable("rl")
    return told["vla/loss"], {name: value.grad for name, value in learns.items()}


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("size", [1, 5, 16, 99])
def test_parts_add_up(size, weighted, imitated, monkeypatch):
    monkeypatch.setattr(FlowVLA, "imitation_loss", without_draws)
    whole_loss, whole = gradients(imitated, 0, weighted=weighted)
    loss, parts = gradients(imitated, size, weighted=weighted)
    assert loss == pytest.approx(whole_loss, rel=1e-5)
    assert any(gradient.abs().max() > 1e-4 for gradient in whole.values())
    for name, gradient in whole.items():
        np.testing.assert_allclose(parts[name], gradient, rtol=1e-3, atol=1e-6, err_msg=name)


def test_a_part_that_is_not_finite_takes_no_step(monkeypatch):
    def once_broken(vla: FlowVLA, observation: PolicyInput, actions: Tensor) -> Tensor:
        losses = without_draws(vla, observation, actions)
        calls.append(len(losses))
        return losses * (torch.nan if len(calls) == 3 else 1)

    agent, calls = fed(vla_micro_batch=4, batch=16, vla_steps_per_update=1), []
    monkeypatch.setattr(FlowVLA, "imitation_loss", once_broken)
    before = {name: value.clone() for name, value in agent.vla_trainer.trained.weights().items()}
    agent.memory.fill_features()
    starts = agent.memory.replay.starts(successful=True)
    with pytest.raises(TrainingDiverged, match="4 of 4 values of losses"):
        list(agent.vla_trainer.online_steps(lambda: starts))
    assert calls == [4, 4, 4]
    for name, value in agent.vla_trainer.trained.weights().items():
        assert torch.equal(value, before[name]), name

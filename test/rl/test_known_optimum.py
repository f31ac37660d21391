# SPDX-License-Identifier: Apache-2.0
"""A task small enough to solve by hand: Q must converge to the optimum that is known.

A chain of cells 0..4, the state being the cell. Each step moves by the sign of its x: right reaches
cell 4, where it ends with reward 1. Going right from everywhere is optimal, so
Q*(s, right) = gamma^(steps until the end - 1), by chunks of two steps.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from expo_ft_ros.data.episode import Episode, EpisodeOutcome
from expo_ft_ros.rl.agent import Agent
from expo_ft_ros.rl.config import load_preset
from expo_ft_ros.robots import DEFAULT_ROBOT, load_robot
from expo_ft_ros.tasks import load_task

GAMMA, LAST, C = 0.8, 4, 2
VIEWS = load_robot(DEFAULT_ROBOT).views


def walk(number: int, rng: np.random.Generator) -> Episode:
    """From a random cell by random steps to the end, or until 8 steps are over."""
    cell = int(rng.integers(0, LAST))
    cells, moves = [cell], []
    while cell < LAST and len(moves) < 8:
        move = 1 if rng.random() < 0.6 else -1
        cell = int(np.clip(cell + move, 0, LAST))
        cells.append(cell)
        moves.append(move)
    count, success = len(moves), cell == LAST
    state = np.zeros((count + 1, 10), np.float32)
    state[:, 0] = np.array(cells) / LAST
    executed = np.zeros((count, 7), np.float32)
    executed[:, 0] = moves
    reward = np.zeros(count, np.float32)
    reward[-1] = float(success)
    image = np.zeros((count + 1, 16, 16, 3), np.uint8)
    outcome = EpisodeOutcome(
        number, "rl", success, success, not success, False, 1, count + 1, count
    )
    return Episode(
        outcome,
        "walk",
        dict.fromkeys((view.name for view in VIEWS), image),
        state,
        executed,
        executed,
        np.zeros(count, np.uint8),
        np.zeros(count, np.uint64),
        np.zeros(count, np.int32),
        reward,
    )


def optimum(cell: int) -> float:
    """Of going right for ever: one step a cell, the reward at the last of them."""
    return GAMMA ** (LAST - cell - 1)


@pytest.mark.slow
def test_q_converges_to_the_known_optimum():
    changes = {
        "gamma": str(GAMMA),
        "batch": "64",
        "candidates": "4",
        "edits": "false",
        "bootstrap_on_truncation": "true",
        "minimum_of": "2",
        "learning_rate": "0.002",
        "tau": "0.04",
        "image_size": "16",
        "augmentation": "none",
        "vla.horizon": "2",
        "vla.width": "16",
        "vla.depth": "1",
        "vla.channels": "8",
        "vla.euler_steps": "1",
        "vla_steps_per_update": "0",
        "vla_encoder_every": "0",
        "value.members": "4",
        "critic.hidden": "64",
        "critic.image_embedding": "8",
        "replay_capacity": "3000",
        "refresh_per_update": "0",
        "warmup_episodes": "0",
        "warmup_updates": "0",
        "threads": "1",
    }
    task = load_task("cube_pick", {"execute_steps": C, "updates_per_episode": 25})
    agent = Agent(task, load_preset(changes=changes), VIEWS, seed=0)
    rng = np.random.default_rng(0)
    for number in range(1, 201):
        agent.add_episode(walk(number, rng))
    # What the VLA would propose: right, left, and half of each, at every slot.
    slots = agent.memory.replay.slots
    chunks = np.zeros((len(slots), 4, C, 7), np.float32)
    chunks[:, 0, :, 0], chunks[:, 1, :, 0] = 1, -1
    chunks[:, 2, :, 0], chunks[:, 3, :, 0] = [1, -1], [-1, 1]
    agent.memory.candidates.put(slots, torch.from_numpy(chunks), version=0)
    agent.algorithm.networks.state_stats.low[:] = 0
    agent.update(lambda share, metrics: True)

    networks = agent.algorithm.networks
    states = torch.zeros(LAST, 10)
    states[:, 0] = torch.arange(LAST) / LAST
    right = torch.zeros(LAST, 1, C, 7)
    right[..., 0] = 1
    slot = np.array([slots[0]] * LAST)
    with torch.no_grad():
        visual, _ = agent.memory.critic_input(slot)
        features = networks.features(networks.value, visual, states)
        both = torch.cat([right, -right], dim=1).flatten(2)
        q = networks.value.ensemble(features, both).mean(dim=0).numpy()
    cells = range(LAST)
    np.testing.assert_allclose(q[:, 0], [optimum(cell) for cell in cells], atol=0.02)
    # A chunk to the left first, then right for ever.
    left = [GAMMA**C * optimum(max(0, cell - C)) for cell in cells]
    np.testing.assert_allclose(q[:, 1], left, atol=0.04)

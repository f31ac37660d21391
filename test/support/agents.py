# SPDX-License-Identifier: Apache-2.0
"""Agents so small that they learn within a test."""

from __future__ import annotations

import numpy as np
import torch

from expo_ft_ros.data.types import Observation, Proprio
from expo_ft_ros.rl.agent import Agent
from expo_ft_ros.rl.config import load_preset
from expo_ft_ros.rl.value_config import ValueConfig
from expo_ft_ros.robots import DEFAULT_ROBOT, load_robot
from expo_ft_ros.tasks import load_task
from support.episodes import VIEWS, make_episode

SIZE = 16
PLAIN = {
    "acting_candidates": "0",
    "explore_share": "0",
    "explore_share_warmup": "0",
    "edit.gripper_decisions": "0",
    "minimum_of": "10",
    "vla_waits": "false",
    **{
        f"value.{name}": str(field.default).lower()
        for name, field in ValueConfig.model_fields.items()
    },
}
"""Changes to what is recommended that leave base chunks, edits and a critic as the paper has it: a
test adds what it is about."""
# Read once: it takes as long as an update.
PRESET = load_preset(changes=PLAIN)
TASK, ROBOT_VIEWS = load_task("cube_pick"), load_robot(DEFAULT_ROBOT).views
SMALL_CRITIC = {"hidden": 48, "channels": 8, "image_embedding": 32, "state_embedding": 16}


def go_on(share: float, metrics: dict[str, float]) -> bool:
    return True


def make_agent(algorithm: str = "expo_ft", **changes) -> Agent:
    small = {
        "image_size": SIZE,
        "warmup_episodes": 1,
        "warmup_updates": 0,
        "edits": True,
        "edits_after": 0,
        "critic_steps_per_update": 2,
        "vla_encoder_every": 0,
        "vla_encoder_steps": 3,
        "replay_capacity": 200,
        "threads": 1,
        "batch": 32,
        "vla_steps_per_update": 2,
        "vla_encoder_batch": 8,
        "vla": PRESET.vla.model_copy(
            update={"width": 48, "depth": 2, "channels": 8, "euler_steps": 3}
        ),
        "critic": PRESET.critic.model_copy(update=SMALL_CRITIC),
        "imitation": PRESET.imitation.model_copy(update={"steps": 5, "batch": 8}),
        "baseline": PRESET.baseline.model_copy(
            update={"critic_steps_per_update": 2, "updates_per_step": 0.1}
        ),
    }
    task = TASK.model_copy(update={"updates_per_episode": 1})
    config = PRESET.model_copy(update={**small, **changes})
    return Agent(task, config, ROBOT_VIEWS, 0, algorithm)


EPISODES = (
    make_episode(1, 12, terminated=True, stage="collect", size=SIZE),
    make_episode(2, 15, terminated=False, size=SIZE),
    make_episode(3, 9, terminated=True, size=SIZE),
    make_episode(4, 14, terminated=True, size=SIZE),
)


def fed(algorithm: str = "expo_ft", **changes) -> Agent:
    agent = make_agent(algorithm, **changes)
    agent.add_episode(EPISODES[0])
    agent.imitate(go_on)
    agent.add_episode(EPISODES[1])
    return agent


def weights_of(agent: Agent) -> dict[str, torch.Tensor]:
    of_networks = agent.algorithm.state_dict(learning=False).get("networks", {})
    of_vla = {f"vla.{name}": value for name, value in agent.vla.weights().items()}
    return {**of_vla, **of_networks}


def observation() -> Observation:
    image = np.random.default_rng(1).integers(0, 255, (224, 224, 3), dtype=np.uint8)
    proprio = Proprio(np.array([0.4, 0.0, 0.2]), np.array([1.0, 0, 0, 0]), 0.05)
    return Observation(1, 0.0, dict.fromkeys(VIEWS, image), proprio, "pick up the cube")

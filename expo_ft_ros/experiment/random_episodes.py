# SPDX-License-Identifier: Apache-2.0
"""Random actions in a task's scene: what must hold whatever the policy does."""

from __future__ import annotations

import time
from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray

from expo_ft_ros.control.safety_filter import SafetyConfig, SafetyFilter
from expo_ft_ros.data.types import ACTION_DIM
from expo_ft_ros.robots import RobotLimits
from expo_ft_ros.sim import franka
from expo_ft_ros.sim.world import World
from expo_ft_ros.tasks import TaskConfig

_SUNK = 0.004  # the middle of a shape further below the table's top than this is through it [m]
_TABLE_LOW, _TABLE_HIGH = np.array([-0.2, -0.7]), np.array([1.1, 0.7])
_LONGEST = 15  # ticks that a random action lasts at most
_BEYOND = 1.2  # actions are drawn up to here and cut to full scale, which some of them are then


@dataclass(frozen=True)
class RandomEpisode:
    """steps: control steps that were taken; seconds: of processor time in them, physics alone;
    fault: what went wrong at the last one, empty where nothing did."""

    steps: int
    seconds: float
    fault: str


def random_episode(
    task: TaskConfig, world: World, limits: RobotLimits, seed: int, steps: int
) -> RandomEpisode:
    """Resets the world to a seed and plays random actions of that seed, until something is wrong.

    Args:
        task: Whose workspace holds.
        world: Of the task.
        limits: What an action of 1 means.
        seed: Of start and actions.
        steps: Control steps at most.
    """
    world.reset(seed)
    if wrong := fault_at_start(task, world) or fault(world):
        return RandomEpisode(0, 0.0, wrong)
    safety = SafetyFilter(SafetyConfig.load(), limits, task.workspace)
    actions, seconds = random_actions(np.random.default_rng(seed), steps), 0.0
    for step, action in enumerate(actions.astype(np.float32), start=1):
        safe = safety.filter(action, world.proprio(), task.period).action
        began = time.process_time()
        world.step(safe * limits.scale(), task.period)
        seconds += time.process_time() - began
        if wrong := fault(world):
            return RandomEpisode(step, seconds, wrong)
    return RandomEpisode(steps, seconds, "")


def random_actions(rng: np.random.Generator, steps: int) -> NDArray[np.float64]:
    """(steps, 7) in [-1, 1]: jerks and long pushes by turns."""
    actions, pushed = np.zeros((steps, ACTION_DIM)), np.zeros(ACTION_DIM)
    left = 0
    for step in range(steps):
        if left == 0:
            pushed = rng.uniform(-_BEYOND, _BEYOND, ACTION_DIM)
            left = int(rng.integers(1, _LONGEST + 1))
        actions[step] = pushed
        left -= 1
    clipped: NDArray[np.float64] = actions.clip(-1.0, 1.0)
    return clipped


def fault_at_start(task: TaskConfig, world: World) -> str:
    """What is wrong with a start; empty: nothing."""
    tool = world.proprio().position
    if np.any(tool < task.workspace.low) or np.any(tool > task.workspace.high):
        return "starts outside of the workspace"
    return "starts with success" if world.success() else ""


def fault(world: World) -> str:
    """What is wrong with a state; empty: nothing. Whatever falls off the table is right."""
    data, model = world.data, world.model
    if not (np.isfinite(data.qpos).all() and np.isfinite(data.qvel).all()):
        return "a state that isn't finite"
    if data.warning[mujoco.mjtWarning.mjWARN_BADQACC].number:
        return "MuJoCo reset an unstable simulation"
    felt = (model.geom_conaffinity | model.geom_contype) & (franka.TABLE_BIT | franka.OBJECT_BIT)
    moves = model.body_weldid[model.geom_bodyid] != 0
    places = data.geom_xpos
    over = np.all((places[:, :2] > _TABLE_LOW) & (places[:, :2] < _TABLE_HIGH), axis=1)
    sunk = np.flatnonzero((felt > 0) & moves & over & (places[:, 2] < -_SUNK))
    if sunk.size:
        return f"{model.body(model.geom_bodyid[sunk[0]]).name} through the table"
    return ""

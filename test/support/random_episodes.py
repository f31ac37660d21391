# SPDX-License-Identifier: Apache-2.0
"""Random actions in a task's scene: what must hold whatever the policy does.

PYTHONPATH=test ./expo-ft python -m support.random_episodes egg_flip 1000
"""

from __future__ import annotations

import sys
import time

import mujoco
import numpy as np

from expo_ft_ros.control.safety_filter import SafetyConfig, SafetyFilter
from expo_ft_ros.sim import franka
from expo_ft_ros.sim.world import World
from expo_ft_ros.tasks import TaskConfig, load_task
from expo_ft_ros.tasks.scenes import make_world
from support.driving import LIMITS

_SUNK = 0.004  # the middle of a body further below the table's top than this is through it [m]
_LONGEST = 10  # ticks that a random command lasts at most


def random_episode(task: TaskConfig, world: World, seed: int, steps: int) -> str:
    """Plays one episode of random commands; what was wrong with it, empty where nothing was."""
    world.reset(seed)
    safety = SafetyFilter(SafetyConfig.load(), LIMITS, task.workspace)
    rng = np.random.default_rng([seed, 0xACE])
    low, high = np.array(task.workspace.low), np.array(task.workspace.high)
    tool = world.proprio().position
    if np.any(tool < low) or np.any(tool > high):
        return f"seed {seed}: starts at {np.round(tool, 3)}, outside of the workspace"
    if world.success():
        return f"seed {seed}: starts with success"
    command, left = np.zeros(7), 0
    for step in range(steps):
        if left == 0:
            command, left = rng.uniform(-1.0, 1.0, 7), int(rng.integers(1, _LONGEST + 1))
        left -= 1
        action = safety.filter(command.astype(np.float32), world.proprio(), task.period).action
        world.step(action * LIMITS.scale(), task.period)
        if wrong := _wrong(world):
            return f"seed {seed}, step {step}: {wrong}"
    return ""


def _wrong(world: World) -> str:
    data, model = world.data, world.model
    if not (np.isfinite(data.qpos).all() and np.isfinite(data.qvel).all()):
        return "a state that isn't finite"
    if data.warning[mujoco.mjtWarning.mjWARN_BADQACC].number:
        return "MuJoCo reset an unstable simulation"
    touches = (model.geom_conaffinity | model.geom_contype) & (
        franka.TABLE_BIT | franka.OBJECT_BIT
    ) > 0
    moves = model.body_weldid[model.geom_bodyid] != 0
    sunk = np.flatnonzero(touches & moves & (data.geom_xpos[:, 2] < -_SUNK))
    if sunk.size:
        body = model.body(model.geom_bodyid[sunk[0]]).name
        return f"{body} through the table, at {np.round(data.geom_xpos[sunk[0]], 3)}"
    return ""


def main() -> int:
    """Plays so many episodes of a task and says which went wrong."""
    name, episodes = sys.argv[1], int(sys.argv[2])
    task = load_task(name)
    world = make_world(task, LIMITS)
    began, found = time.process_time(), 0
    for seed in range(episodes):
        wrong = random_episode(task, world, seed, task.max_steps)
        if wrong:
            found += 1
            print(wrong, flush=True)
    seconds = time.process_time() - began
    speed = episodes * task.max_steps * task.period / seconds
    print(f"{name}: {episodes} episodes, {found} went wrong; {speed:.0f} times real time")
    return int(found > 0)


if __name__ == "__main__":
    sys.exit(main())

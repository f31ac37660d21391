# SPDX-License-Identifier: Apache-2.0
"""Whether scenes stand random actions, and how fast they step.

    ./expo-ft python benchmarks/random_episodes.py                            every task
    ./expo-ft python benchmarks/random_episodes.py --task pool_shot --episodes 1000

Plays so many episodes of random actions without images, and looks after each control step for a
number that isn't finite and a thing below the table. Before each, the expert plays the same start,
twice at most: a start that it doesn't solve counts as unsolved. Writes
benchmarks/results/random_<date>.json.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np

from expo_ft_ros.control.safety_filter import SafetyConfig, SafetyFilter
from expo_ft_ros.experiment.machine import machine
from expo_ft_ros.robots import load_robot
from expo_ft_ros.sim.world import World
from expo_ft_ros.tasks import TaskConfig, known_tasks, load_task
from expo_ft_ros.tasks.experts import IDLE, Mode, OperatorView, make_expert
from expo_ft_ros.tasks.scenes import make_world

LIMITS = load_robot("sim").limits
RESULTS = Path(__file__).parent / "results"
TABLE_LOW, TABLE_HIGH = np.array([-0.2, -0.7]), np.array([1.1, 0.7])
BELOW = -0.004  # of an object's middle, through the table's top [m]
HABITS = 2  # operators who try a start


def random_actions(rng: np.random.Generator, steps: int) -> np.ndarray:
    """(steps, 7) in [-1, 1]: jerks and long pushes by turns."""
    actions, pushed = np.zeros((steps, 7)), np.zeros(7)
    left = 0
    for step in range(steps):
        if left == 0:
            pushed, left = rng.uniform(-1.2, 1.2, 7), int(rng.integers(1, 16))
        actions[step] = pushed
        left -= 1
    return actions.clip(-1.0, 1.0)


def fault(world: World) -> str:
    """What is wrong with the state; empty: nothing."""
    if not (np.isfinite(world.data.qpos).all() and np.isfinite(world.data.qvel).all()):
        return "not finite"
    for name, (position, _) in world.objects().items():
        over = np.all((position[:2] > TABLE_LOW) & (position[:2] < TABLE_HIGH))
        if over and position[2] < BELOW:
            return f"{name} through the table"
    return ""


def solved(task: TaskConfig, world: World, seed: int) -> int:
    """Which operator solves the start, from 1; 0: none."""
    for attempt in range(HABITS):
        world.reset(seed)
        expert = make_expert(task, LIMITS, np.random.default_rng(0))
        expert.reset(seed + attempt * 1_000_000)
        safety = SafetyFilter(SafetyConfig.load(), LIMITS, task.workspace)
        command = IDLE
        for step in range(task.max_steps):
            view = OperatorView(world.proprio(), world.objects(), step, Mode.DEMONSTRATE)
            upcoming = expert.act(view)
            action = safety.filter(command.action(), view.proprio, task.period).action
            world.step(action * LIMITS.scale(), task.period)
            command = upcoming
            if world.success():
                return attempt + 1
    return 0


def examine(name: str, episodes: int, first: int) -> dict[str, object]:
    """Plays a task's episodes; what to write of them."""
    task = load_task(name)
    world = make_world(task, LIMITS)
    faults: dict[str, list[int]] = {}
    by_attempt, stepping, simulated = [0] * (HABITS + 1), 0.0, 0.0
    for seed in range(first, first + episodes):
        by_attempt[solved(task, world, seed)] += 1
        world.reset(seed)
        if world.success():
            faults.setdefault("done at the start", []).append(seed)
        safety = SafetyFilter(SafetyConfig.load(), LIMITS, task.workspace)
        for action in random_actions(np.random.default_rng(seed), task.max_steps):
            safe = safety.filter(action.astype(np.float32), world.proprio(), task.period).action
            began = time.process_time()
            world.step(safe * LIMITS.scale(), task.period)
            stepping += time.process_time() - began
            simulated += task.period
            if found := fault(world):
                faults.setdefault(found, []).append(seed)
                break
        if (seed - first + 1) % 100 == 0:
            print(f"{name}: {seed - first + 1} of {episodes}, faults {faults}", flush=True)
    world.close()
    return {
        "task": name,
        "episodes": episodes,
        "faults": faults,
        "solved_at_once": by_attempt[1],
        "solved_at_the_second": by_attempt[2],
        "unsolved": by_attempt[0],
        "times_real_time": round(simulated / stepping, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--task", choices=known_tasks(), action="append", help="default: all")
    parser.add_argument("--episodes", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=50_000, help="of the first episode")
    options = parser.parse_args()
    results = []
    for name in options.task or known_tasks():
        results.append(examine(name, options.episodes, options.seed))
        print(results[-1], flush=True)
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"random_{time.strftime('%Y-%m-%d_%H-%M-%S')}.json"
    path.write_text(json.dumps({"machine": machine(), "tasks": results}, indent=1) + "\n")
    print(f"written to {path}")


if __name__ == "__main__":
    main()

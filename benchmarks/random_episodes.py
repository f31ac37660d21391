# SPDX-License-Identifier: Apache-2.0
"""Whether scenes stand random actions, and how fast they step.

    ./expo-ft python benchmarks/random_episodes.py                            every task
    ./expo-ft python benchmarks/random_episodes.py --task pool_shot --episodes 1000

Plays so many episodes of random actions without images (expo_ft_ros/experiment/random_episodes.py
says what must hold). Before each, the expert plays the same start, twice at most: a start that it
doesn't solve counts as unsolved. Writes benchmarks/results/random_<date>.json.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
from driving import LIMITS, drive

from expo_ft_ros.experiment.machine import machine
from expo_ft_ros.experiment.random_episodes import random_episode
from expo_ft_ros.sim.world import World
from expo_ft_ros.tasks import TaskConfig, known_tasks, load_task
from expo_ft_ros.tasks.experts import make_expert
from expo_ft_ros.tasks.scenes import make_world

RESULTS = Path(__file__).parent / "results"
HABITS = 2  # operators who try a start


def solved(task: TaskConfig, world: World, seed: int) -> int:
    """Which operator solves the start, from 1; 0: none."""
    for attempt in range(HABITS):
        world.reset(seed)
        expert = make_expert(task, LIMITS, np.random.default_rng(0))
        expert.reset(seed + attempt * 1_000_000)
        if any(world.success() for _ in drive(task, world, expert.act, task.max_steps + 1)):
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
        played = random_episode(task, world, LIMITS, seed, task.max_steps)
        stepping += played.seconds
        simulated += played.steps * task.period
        if played.fault:
            faults.setdefault(played.fault, []).append(seed)
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
        "times_real_time": round(simulated / max(stepping, 1e-9), 1),
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

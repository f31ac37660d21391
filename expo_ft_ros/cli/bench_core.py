# SPDX-License-Identifier: Apache-2.0
"""`expo-ft bench core`: milliseconds of a critic step, an update call, and of acting."""

import json
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from expo_ft_ros.cli.bench_graph import results_folder
from expo_ft_ros.data.episode import Episode, EpisodeOutcome
from expo_ft_ros.data.types import STATE_DIM, Observation, Proprio
from expo_ft_ros.experiment.arguments import parse_arguments
from expo_ft_ros.experiment.bench_options import CoreOptions
from expo_ft_ros.experiment.machine import machine
from expo_ft_ros.rl.agent import Agent
from expo_ft_ros.rl.config import PRESET, load_preset
from expo_ft_ros.robots import DEFAULT_ROBOT, load_robot
from expo_ft_ros.tasks import TaskConfig, load_task

_EPISODES, _LENGTH = 20, 80
_REPEATS = 10
_SLOTS = 64


def main(words: Sequence[str]) -> int:
    """Measures one size; returns the exit code.

    Raises:
        ConfigError: for wrong arguments.
    """
    options = parse_arguments(words, CoreOptions)
    task = load_task(options.task)
    result: dict[str, Any] = {**options.model_dump(), "machine": machine()}
    for label, edits in (("without edits", False), ("with edits", True)):
        result[label] = measure(task, options.size, edits=edits)
        for name, value in result[label].items():
            print(f"{label}, {name}: {value:.1f} ms")
    when = time.strftime("%Y-%m-%d_%H-%M-%S")
    path = results_folder() / f"core_{task.name}_{options.size}_{when}.json"
    path.write_text(json.dumps(result, indent=2) + "\n")
    print(f"written to {path}")
    return 0


def measure(task: TaskConfig, size: str, *, edits: bool) -> dict[str, float]:
    """Medians [ms] with random images and episodes; both views, the preset's batch. edits: whether
    candidates are edited as well (preset recommended: not)."""
    config = load_preset(
        PRESET,
        size,
        {
            "warmup_episodes": "0",
            "warmup_updates": "0",
            "edits": str(edits).lower(),
            "edits_after": "0",
            "vla_encoder_every": "0",
        },
    )
    agent = Agent(task, config, load_robot(DEFAULT_ROBOT).views, seed=0)
    rng = np.random.default_rng(0)
    for number in range(1, _EPISODES + 1):
        agent.add_episode(_episode(number, config.image_size, rng))
    # Features and candidates of every slot are made here, and the first steps are slow.
    agent.update(lambda share, metrics: True)
    observation = _observation(rng)
    calls = task.updates_per_episode
    critic: list[float] = []

    def update() -> None:
        last = time.perf_counter()
        for _ in agent.learn(1):
            now = time.perf_counter()
            if len(critic) < config.critic_steps_per_update:
                critic.append(1e3 * (now - last))
            last = now

    def draw() -> None:
        with agent.precision():
            agent.memory.draw_candidates(agent.memory.replay.slots[:_SLOTS])

    whole = _median(update, max(1, _REPEATS // calls))
    return {
        f"critic step, batch {config.batch}": float(np.median(critic)),
        f"update call of {config.critic_steps_per_update} critic steps": whole,
        f"candidates of {_SLOTS} slots drawn anew": _median(draw, _REPEATS),
        f"acting on an observation, {config.candidates * (1 + edits)} candidates": _median(
            lambda: agent.act(observation), 3 * _REPEATS
        ),
    }


def _median(work: Callable[[], object], repeats: int) -> float:
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        times.append(1e3 * (time.perf_counter() - started))
    return float(np.median(times))


def _view_names() -> tuple[str, ...]:
    return load_robot(DEFAULT_ROBOT).view_names


def _episode(number: int, size: int, rng: np.random.Generator) -> Episode:
    images = rng.integers(0, 255, (len(_view_names()), _LENGTH + 1, size, size, 3), dtype=np.uint8)
    outcome = EpisodeOutcome(number, "rl", True, True, False, False, 1, _LENGTH + 1, _LENGTH)
    executed = rng.uniform(-1, 1, (_LENGTH, 7)).astype(np.float32)
    reward = np.zeros(_LENGTH, np.float32)
    reward[-1] = 1.0
    return Episode(
        outcome=outcome,
        instruction="pick up the cube",
        views=dict(zip(_view_names(), images, strict=True)),
        state=rng.normal(size=(_LENGTH + 1, STATE_DIM)).astype(np.float32),
        proposed=executed,
        executed=executed,
        source=np.zeros(_LENGTH, np.uint8),
        chunk=np.zeros(_LENGTH, np.uint64),
        index=np.zeros(_LENGTH, np.int32),
        reward=reward,
    )


def _observation(rng: np.random.Generator) -> Observation:
    image = rng.integers(0, 255, (224, 224, 3), dtype=np.uint8)
    proprio = Proprio(np.array([0.4, 0.0, 0.2]), np.array([1.0, 0.0, 0.0, 0.0]), 0.05)
    return Observation(1, 0.0, dict.fromkeys(_view_names(), image), proprio, "pick up the cube")

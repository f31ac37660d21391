# SPDX-License-Identifier: Apache-2.0
"""`expo-ft bench core`: milliseconds of a critic step, an update call, and of acting, of several
configurations in turns, since a machine's clock varies more than most of them differ."""

import json
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch

from expo_ft_ros.cli.bench_graph import results_folder
from expo_ft_ros.data.episode import Episode, EpisodeOutcome
from expo_ft_ros.data.types import STATE_DIM, Observation, Proprio
from expo_ft_ros.experiment.arguments import parse_arguments
from expo_ft_ros.experiment.bench_options import CoreOptions
from expo_ft_ros.experiment.changes import parse_changes
from expo_ft_ros.experiment.machine import machine
from expo_ft_ros.rl.agent import Agent
from expo_ft_ros.rl.config import load_preset
from expo_ft_ros.rl.torch_runtime import prepare
from expo_ft_ros.robots import DEFAULT_ROBOT, load_robot
from expo_ft_ros.tasks import TaskConfig, load_task

_EPISODES, _LENGTH = 20, 80
_ACTS = 6
_SLOTS = 64


def main(words: Sequence[str]) -> int:
    """Measures the configurations asked for; returns the exit code.

    Raises:
        ConfigError: for wrong arguments.
    """
    options = parse_arguments(words, CoreOptions)
    task = load_task(options.task)
    benches = {
        change: CoreBench(task, options.preset, options.size, change)
        for change in options.change.split(";")
    }
    for _ in range(options.turns):
        for bench in benches.values():
            bench.turn()
    medians = {change: bench.medians() for change, bench in benches.items()}
    for change, found in medians.items():
        print(change or "as it is")
        for name, value in found.items():
            print(f"  {name}: {value:.1f} ms")
    when = time.strftime("%Y-%m-%d_%H-%M-%S")
    path = results_folder() / f"core_{task.name}_{options.size}_{when}.json"
    result = {**options.model_dump(), "machine": machine(), "milliseconds": medians}
    path.write_text(json.dumps(result, indent=2) + "\n")
    print(f"written to {path}")
    return 0


def practised_agent(task: TaskConfig, preset: str, size: str, changes: Mapping[str, str]) -> Agent:
    """An agent with random episodes in replay, after its first update call, in which features and
    candidates of every slot were made.

    Args:
        task: Whose C and K.
        preset: A name of `known_names("presets")`.
        size: A name of `known_names("sizes")`, or a path.
        changes: Fields of both to change; nothing waits for a warm-up.

    Raises:
        ConfigError: for an unknown name, or a field that there isn't.
    """
    at_once = {"warmup_episodes": "0", "warmup_updates": "0", "edits_after": "0"}
    at_once["vla_waits"] = "false"  # An update call with all that it ever does.
    config = load_preset(preset, size, {**at_once, "vla_encoder_every": "0", **changes})
    agent = Agent(task, config, load_robot(DEFAULT_ROBOT).views, seed=0)
    rng = np.random.default_rng(0)
    for number in range(1, _EPISODES + 1):
        agent.add_episode(_episode(number, config.image_size, rng))
    for _ in agent.learn(1):
        pass
    return agent


class CoreBench:
    """One configuration, with random images and episodes.

    Args:
        task: Whose C and K.
        preset: A name of `known_names("presets")`.
        size: A name of `known_names("sizes")`, or a path.
        change: Fields to change, see `CoreOptions`.

    Raises:
        ConfigError: for an unknown name, or a field that there isn't.
    """

    def __init__(self, task: TaskConfig, preset: str, size: str, change: str) -> None:
        self._agent = practised_agent(task, preset, size, parse_changes(change))
        self._config = self._agent.config
        self._observation = _observation(np.random.default_rng(0))
        self._found: dict[str, list[float]] = {}

    def turn(self) -> None:
        """Measures everything once, by the configuration's own threads: they are the process's, and
        the one that was made last has set them."""
        prepare(self._config.threads)
        steps, agent, memory = self._config.critic_steps_per_update, self._agent, self._agent.memory
        started = last = time.perf_counter()
        for number, _ in enumerate(agent.learn(1)):
            now = time.perf_counter()
            # The first of a call fills caches.
            if 0 < number < steps:
                self._note(f"critic step, batch {self._config.batch}", now - last)
            last = now
        self._note(f"update call of {steps} critic steps", time.perf_counter() - started)

        def draw() -> None:
            with agent.precision():
                memory.draw_candidates(memory.replay.slots[:_SLOTS])

        self._time(f"candidates of {_SLOTS} slots drawn anew", draw)
        for _ in range(_ACTS):
            self._time("acting on an observation", lambda: agent.act(self._observation))

    def medians(self) -> dict[str, float]:
        """What was measured -> its median [ms]."""
        return {name: float(np.median(values)) for name, values in self._found.items()}

    def _time(self, name: str, work: Callable[[], object]) -> None:
        started = time.perf_counter()
        work()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self._note(name, time.perf_counter() - started)

    def _note(self, name: str, seconds: float) -> None:
        self._found.setdefault(name, []).append(1e3 * seconds)


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
    views = dict.fromkeys(_view_names(), image)
    return Observation(1, 0.0, views, proprio, "pick up the cube", steps_left=_LENGTH)

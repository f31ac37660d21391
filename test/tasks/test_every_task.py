# SPDX-License-Identifier: Apache-2.0
"""What holds for the scene and the expert of every task."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from expo_ft_ros.experiment.random_episodes import random_episode
from expo_ft_ros.robots import load_robot
from expo_ft_ros.sim.world import World
from expo_ft_ros.tasks import TaskConfig, known_tasks, load_task
from expo_ft_ros.tasks.experts import Mode
from expo_ft_ros.tasks.scenes import make_world
from support.driving import seeded_expert, view

LIMITS = load_robot("sim").limits


@pytest.fixture(scope="module", params=known_tasks())
def task(request: pytest.FixtureRequest) -> TaskConfig:
    return load_task(request.param)


@pytest.fixture(scope="module")
def world(task: TaskConfig) -> Iterator[World]:
    made = make_world(task, LIMITS, render_size=32)
    yield made
    made.close()


def trajectory(task: TaskConfig, world: World, seed: int, steps: int) -> np.ndarray:
    """(steps, 7) a demonstrator's actions from the world as it is, which they are played in."""
    operator = seeded_expert(task, seed)
    actions: list[np.ndarray] = []
    for step in range(steps):
        actions.append(operator.act(view(world, step, Mode.DEMONSTRATE)).action())
        world.step(actions[-1] * LIMITS.scale())
    return np.array(actions)


def test_same_seed_and_actions_give_the_same_bits(task: TaskConfig, world: World) -> None:
    def states() -> bytes:
        world.reset(5)
        trajectory(task, world, 5, 40)
        return bytes(world.data.qpos.tobytes() + world.data.qvel.tobytes())

    first = states()
    world.images()
    world.reset(6)
    assert states() == first


def test_demonstrations_are_repeatable_as_varied_as_people_and_within_full_scale(
    task: TaskConfig, world: World
) -> None:
    tried: list[np.ndarray] = []
    for seed in (1, 1, 2):
        world.reset(0)
        tried.append(trajectory(task, world, seed, 15))
    assert np.array_equal(tried[0], tried[1])
    assert np.abs(tried[0] - tried[2]).max() > 0.05
    assert np.abs(tried).max() <= 1.0


def test_rate_scales_how_readily_the_expert_intervenes(task: TaskConfig, world: World) -> None:
    """Here nothing ever moves."""
    world.reset(0)
    seen = view(world, 0, Mode.CORRECT)
    first: list[int] = []
    for rate in (1.0, 0.4, 0.0):
        expert = seeded_expert(task, 0, rate)
        ticks = (n for n in range(task.max_steps) if expert.act(seen).active)
        first.append(next(ticks, task.max_steps))
    eager, patient, never = first
    assert eager < patient < never == task.max_steps


@pytest.mark.slow
def test_random_actions_break_nothing(task: TaskConfig, world: World) -> None:
    """benchmarks/random_episodes.py plays a thousand."""
    played = [random_episode(task, world, LIMITS, seed, 60) for seed in range(4)]
    assert [episode.fault for episode in played] == [""] * 4
    assert all(episode.steps == 60 for episode in played)

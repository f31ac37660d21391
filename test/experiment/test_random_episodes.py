# SPDX-License-Identifier: Apache-2.0
"""What random actions in a scene find."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from expo_ft_ros.experiment.random_episodes import (
    fault,
    fault_at_start,
    random_actions,
    random_episode,
)
from expo_ft_ros.robots import load_robot
from expo_ft_ros.sim.scene import UNTURNED
from expo_ft_ros.sim.world import World
from expo_ft_ros.tasks import TaskConfig, load_task
from expo_ft_ros.tasks.cube_pick.scene import CUBE
from expo_ft_ros.tasks.scenes import make_world

LIMITS = load_robot("sim").limits
SUNK = np.array([0.5, 0.0, -0.01])


@pytest.fixture(scope="module")
def task() -> TaskConfig:
    return load_task("cube_pick")


@pytest.fixture
def world(task: TaskConfig) -> Iterator[World]:
    made = make_world(task, LIMITS)
    yield made
    made.close()


def test_a_start_is_right(task: TaskConfig, world: World) -> None:
    assert fault_at_start(task, world) == ""
    assert fault(world) == ""


def test_a_thing_in_the_table_is_a_fault_one_beyond_its_edge_is_not(world: World) -> None:
    world.place(CUBE, SUNK, UNTURNED)
    assert fault(world) == "cube through the table"
    world.place(CUBE, np.array([0.5, 0.75, -0.3]), UNTURNED)
    assert fault(world) == ""


def test_a_state_that_is_not_finite_is_a_fault(world: World) -> None:
    world.place(CUBE, np.array([0.5, 0.0, np.nan]), UNTURNED)
    assert fault(world) == "a state that isn't finite"


def test_a_start_with_success_or_outside_of_the_workspace_is_a_fault(
    task: TaskConfig, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(world, "success", lambda: True)
    assert fault_at_start(task, world) == "starts with success"
    assert random_episode(task, world, LIMITS, 0, 5).steps == 0
    world.step([0.0, 0.0, 0.3, 0.0, 0.0, 0.0, 0.0], duration=1.5)
    assert fault_at_start(task, world) == "starts outside of the workspace"


def test_an_episode_ends_at_its_first_fault(
    task: TaskConfig, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[np.ndarray] = []
    step = world.step

    def sinking(action: np.ndarray, duration: float) -> None:
        taken.append(action)
        step(action, duration)
        if len(taken) == 3:
            world.place(CUBE, SUNK, UNTURNED)

    monkeypatch.setattr(world, "step", sinking)
    played = random_episode(task, world, LIMITS, 0, 20)
    assert (played.steps, played.fault) == (3, "cube through the table")
    assert len(taken) == 3


def test_actions_are_those_of_the_seed_up_to_full_scale_and_last_for_a_while() -> None:
    first, again, other = (random_actions(np.random.default_rng(s), 400) for s in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert np.abs(first).max() == 1.0
    lasts = np.all(first[1:] == first[:-1], axis=1).mean()
    assert 0.7 < lasts < 0.95

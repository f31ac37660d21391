# SPDX-License-Identifier: Apache-2.0
"""Candy Scoop: the scene holds still and repeats, the expert demonstrates and rescues."""

from __future__ import annotations

import numpy as np
import pytest

from expo_ft_ros.sim.world import World
from expo_ft_ros.tasks import TaskConfig, load_task
from expo_ft_ros.tasks.candy_scoop.scene import (
    BIN_AT,
    BIN_HALF,
    BIN_HEIGHT,
    CANDIES,
    CANDY,
    TARGET,
    TOOL_HIGH,
    TOOL_LOW,
    in_container,
)
from expo_ft_ros.tasks.candy_scoop.sight import CandySight
from expo_ft_ros.tasks.experts import Mode, OperatorView
from support.driving import Policy, episode, expert_policy, frozen, seeded_expert
from support.fuzz import seeds


@pytest.fixture(scope="module")
def task() -> TaskConfig:
    return load_task("candy_scoop")


def candies(world: World) -> np.ndarray:
    return np.array([world.objects()[f"{CANDY}_{i}"][0] for i in range(CANDIES)])


def aside(world: World, step: int) -> np.ndarray:
    return np.array([0.6, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0])


def down(world: World, step: int) -> np.ndarray:
    return np.array([0.0, 0.0, -0.5, 0.0, 0.0, 0.0, 0.0])


def empty_handed(task: TaskConfig, seed: int) -> Policy:
    """Goes through the motions above the candies and thinks that it has some."""
    operator = seeded_expert(task, seed)

    def act(world: World, step: int) -> np.ndarray:
        objects = world.objects()
        scene = CandySight(OperatorView(world.proprio(), objects, step, Mode.DEMONSTRATE))
        bowl = scene.tool + scene.axes @ np.array([0.0, 0.04, -0.07])
        believed = {k: (bowl, v[1]) if k.startswith(CANDY) else v for k, v in objects.items()}
        position, quaternion = believed["bin"]
        believed["bin"] = (position + np.array([0.0, 0.0, 0.03]), quaternion)
        seen = OperatorView(world.proprio(), believed, step, Mode.DEMONSTRATE)
        return operator.act(seen).action().astype(np.float64)

    return act


def test_episodes_start_at_rest_with_every_candy_in_the_bin(world: World) -> None:
    tools = []
    for seed in range(6):
        world.reset(seed)
        tools.append(world.proprio().position)
        before = candies(world)
        assert in_container(before, BIN_AT, BIN_HALF, BIN_HEIGHT).all()
        assert not world.success()
        world.step(np.zeros(7))
        assert np.abs(candies(world) - before).max() < 0.003
    assert np.all(np.array(tools) > TOOL_LOW - 0.002)
    assert np.all(np.array(tools) < TOOL_HIGH + 0.002)
    assert np.all(np.ptp(tools, axis=0) > [0.03, 0.06, 0.02])


def test_gripper_commands_leave_the_scoop_held(world: World) -> None:
    world.reset(0)
    held = world.proprio().gripper_width
    for opening in (0.12, -0.12):
        for _ in range(8):
            world.step([0, 0, 0, 0, 0, 0, opening])
            assert world.proprio().gripper_width == pytest.approx(held, abs=1e-3)


@pytest.mark.slow
def test_demonstrates_from_anywhere_in_human_time(task: TaskConfig, world: World) -> None:
    outcomes = []
    for seed in seeds(2):
        world.reset(seed)
        demonstrator = seeded_expert(task, seed)
        outcomes.append(episode(task, world, demonstrator, Mode.DEMONSTRATE, done=World.success))
    assert all(outcome.success for outcome in outcomes)
    assert 40 <= np.mean([outcome.steps for outcome in outcomes]) <= 110


@pytest.mark.slow
def test_a_good_policy_is_left_alone(task: TaskConfig, world: World) -> None:
    for seed in seeds(1):
        world.reset(seed)
        good = expert_policy(task, seed + 100)
        watcher = seeded_expert(task, seed)
        outcome = episode(task, world, watcher, Mode.CORRECT, good, done=World.success)
        assert outcome.success
        assert outcome.human == 0


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["frozen", "aside", "down", "pours beside", "empty-handed"])
def test_rescues_a_bad_policy(task: TaskConfig, world: World, kind: str) -> None:
    for seed in seeds(1):
        policies: dict[str, Policy] = {
            "frozen": frozen,
            "aside": aside,
            "down": down,
            "pours beside": expert_policy(task, seed, TARGET, (0.0, -0.09, 0.0)),
            "empty-handed": empty_handed(task, seed),
        }
        world.reset(seed + 20)
        policy = policies[kind]
        outcome = episode(
            task, world, seeded_expert(task, seed), Mode.CORRECT, policy, done=World.success
        )
        assert outcome.human > 0
        assert outcome.success


@pytest.mark.slow
def test_gives_control_back_once_the_error_is_mended(task: TaskConfig, world: World) -> None:
    """With candies in the scoop, a policy that only missed the start finishes by itself."""
    world.reset(41)
    good = expert_policy(task, 1)

    def slow_start(world: World, step: int) -> np.ndarray:
        return good(world, step) if step > 25 else np.zeros(7)

    outcome = episode(
        task, world, seeded_expert(task, 1), Mode.CORRECT, slow_start, done=World.success
    )
    assert outcome.success
    assert 0 < outcome.human < 0.7 * outcome.steps


def test_a_scene_without_candies_is_refused(task: TaskConfig, world: World) -> None:
    with pytest.raises(ValueError, match="sees no object"):
        seeded_expert(task, 0).act(OperatorView(world.proprio(), {}, 0, Mode.CORRECT))

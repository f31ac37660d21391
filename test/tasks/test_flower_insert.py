# SPDX-License-Identifier: Apache-2.0
"""Flower Insert: the bottle lets in what is over its bore, the expert demonstrates and rescues."""

from __future__ import annotations

import numpy as np
import pytest

from expo_ft_ros.robots import load_robot
from expo_ft_ros.sim.world import World
from expo_ft_ros.tasks import TaskConfig, load_task
from expo_ft_ros.tasks.experts import Mode
from expo_ft_ros.tasks.flower_insert.scene import (
    BORE,
    BOTTLE,
    BOTTLE_AT,
    MOUTH_HEIGHT,
    NECK,
    STEM,
    STEM_LENGTH,
    TOOL_HIGH,
    TOOL_LOW,
)
from expo_ft_ros.tasks.flower_insert.sight import FlowerSight
from support.driving import Policy, episode, expert_policy, frozen, seeded_expert, view

LIMITS = load_robot("sim").limits


@pytest.fixture(scope="module")
def task() -> TaskConfig:
    return load_task("flower_insert")


def sight(world: World) -> FlowerSight:
    return FlowerSight(view(world, 0, Mode.DEMONSTRATE))


def go(world: World, place: np.ndarray, ticks: int, speed: float = 0.2) -> None:
    for _ in range(ticks):
        wanted = 4.0 * (place - world.proprio().position)
        world.step([*wanted.clip(-speed, speed), 0, 0, 0, 0])


def push_in(world: World, offset: tuple[float, float]) -> bool:
    """Lowers a straight stem beside the mouth's middle by an offset [m]."""
    world.reset(0)
    over = BOTTLE_AT + np.array([*offset, MOUTH_HEIGHT + STEM_LENGTH + 0.02])
    go(world, over, 30)
    go(world, over - [0, 0, 0.10], 40, speed=0.06)
    return world.success()


def test_episodes_start_with_a_straight_stem_all_over_the_region(world: World) -> None:
    tools = []
    for seed in range(12):
        world.reset(seed)
        tools.append(world.proprio().position)
        seen = sight(world)
        assert not world.success()
        assert seen.end == pytest.approx(tools[-1] - [0, 0, STEM_LENGTH], abs=2e-3)
        world.step(np.zeros(7))
        assert seen.end == pytest.approx(sight(world).end, abs=1e-3)
    assert np.all(np.array(tools) > TOOL_LOW - 0.002)
    assert np.all(np.array(tools) < TOOL_HIGH + 0.002)
    assert np.all(np.ptp(tools, axis=0) > [0.08, 0.10, 0.03])


@pytest.mark.parametrize("angle", [0.0, 2.0, 4.0])
def test_the_mouth_takes_what_is_over_its_bore_and_not_what_is_beside_its_neck(
    world: World, angle: float
) -> None:
    direction = np.array([np.cos(angle), np.sin(angle)])
    assert push_in(world, tuple((BORE - STEM - 0.002) * direction))
    assert not push_in(world, tuple((NECK + STEM) * direction))


def test_a_stem_that_misses_bends_and_is_straight_again(world: World) -> None:
    push_in(world, (BORE + 0.006, 0.0))
    assert sight(world).bent > 0.005
    go(world, world.proprio().position + np.array([0.0, 0.0, 0.15]), 20)
    assert sight(world).bent < 0.002


def test_gripper_commands_leave_the_flower_held(world: World) -> None:
    world.reset(0)
    held = world.proprio().gripper_width
    for opening in (0.12, -0.12):
        for _ in range(8):
            world.step([0, 0, 0, 0, 0, 0, opening])
            assert world.proprio().gripper_width == pytest.approx(held, abs=1e-3)


@pytest.mark.slow
def test_demonstrates_from_anywhere_in_human_time(task: TaskConfig, world: World) -> None:
    outcomes = []
    for seed in range(12):
        world.reset(seed)
        expert = seeded_expert(task, seed)
        outcomes.append(episode(task, world, expert, Mode.DEMONSTRATE, done=World.success))
    assert sum(outcome.success for outcome in outcomes) >= 11
    assert 20 <= np.mean([outcome.steps for outcome in outcomes]) <= 60


def test_a_hand_on_the_way_never_rests_where_the_device_would_let_go(
    task: TaskConfig, world: World
) -> None:
    for seed in range(4):
        world.reset(seed)
        expert = seeded_expert(task, seed)
        for step in range(60):
            if world.success():
                break
            command = expert.act(view(world, step, Mode.DEMONSTRATE))
            assert np.abs(command.twist).max() > 0.05
            world.step(command.action() * LIMITS.scale())


@pytest.mark.slow
def test_a_good_policy_is_left_alone(task: TaskConfig, world: World) -> None:
    for seed in range(3):
        world.reset(seed)
        good, watcher = expert_policy(task, seed + 100), seeded_expert(task, seed)
        outcome = episode(task, world, watcher, Mode.CORRECT, good, done=World.success)
        assert outcome.success
        assert outcome.human == 0


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["frozen", "aside", "down", "beside"])
def test_rescues_a_bad_policy(task: TaskConfig, world: World, kind: str) -> None:
    for seed in range(2):
        policies: dict[str, Policy] = {
            "frozen": frozen,
            "aside": lambda world, step: np.array([0.3, 0, 0, 0, 0, 0, 0]),
            "down": lambda world, step: np.array([0, 0, -0.5, 0, 0, 0, 0]),
            "beside": expert_policy(task, seed, BOTTLE, (0.02, 0.0, 0.0)),
        }
        world.reset(seed + 20)
        watcher = seeded_expert(task, seed)
        outcome = episode(task, world, watcher, Mode.CORRECT, policies[kind], done=World.success)
        assert outcome.human > 0
        assert outcome.success

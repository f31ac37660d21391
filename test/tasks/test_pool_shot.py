# SPDX-License-Identifier: Apache-2.0
"""Pool Shot: balls that roll as balls do, an expert that pockets the black one."""

from __future__ import annotations

import numpy as np
import pytest

from expo_ft_ros.robots import load_robot
from expo_ft_ros.sim.scene import UNTURNED
from expo_ft_ros.sim.world import World
from expo_ft_ros.tasks import TaskConfig, load_task
from expo_ft_ros.tasks.experts import Mode
from expo_ft_ros.tasks.pool_shot.scene import (
    BED,
    BED_HIGH,
    BED_LOW,
    BLACK,
    BLACK_HIGH,
    BLACK_LOW,
    RADIUS,
    TARGET_POCKET,
    WHITE,
    WHITE_AT,
    in_pocket,
)
from expo_ft_ros.tasks.pool_shot.sight import PoolSight
from support.driving import Policy, episode, expert_policy, frozen, seeded_expert, view

LIMITS = load_robot("sim").limits


@pytest.fixture(scope="module")
def task() -> TaskConfig:
    return load_task("pool_shot")


def ball(world: World, name: str) -> np.ndarray:
    return world.objects()[name][0]


def place(world: World, name: str, at: tuple[float, float, float]) -> None:
    world.place(name, np.array(at), UNTURNED)


def push(world: World, name: str, velocity: tuple[float, float]) -> None:
    """Makes a ball slide [m/s]; friction lets it roll soon."""
    world.data.joint(name).qvel[:2] = velocity


def wait(world: World, ticks: int = 40) -> None:
    for _ in range(ticks):
        world.step(np.zeros(7))


def test_the_white_ball_has_its_place_and_the_black_one_its_line(world: World) -> None:
    along = []
    for seed in range(20):
        world.reset(seed)
        assert ball(world, WHITE) == pytest.approx([*WHITE_AT, BED + RADIUS], abs=1e-4)
        along.append(ball(world, BLACK))
        assert not world.success()
    places = np.array(along)[:, :2]
    assert np.all(places >= np.minimum(BLACK_LOW, BLACK_HIGH) - 1e-9)
    assert np.all(places <= np.maximum(BLACK_LOW, BLACK_HIGH) + 1e-9)
    assert np.ptp(places[:, 1]) > 0.8 * (BLACK_HIGH - BLACK_LOW)[1]


def test_balls_lie_still_until_they_are_struck(world: World) -> None:
    world.reset(1)
    before = ball(world, WHITE), ball(world, BLACK)
    wait(world, 20)
    for was, name in zip(before, (WHITE, BLACK), strict=True):
        assert ball(world, name) == pytest.approx(was, abs=2e-4)


def test_a_full_hit_hands_the_speed_on(world: World) -> None:
    world.reset(0)
    place(world, WHITE, (0.46, 0.06, BED + RADIUS))
    place(world, BLACK, (0.50, 0.06, BED + RADIUS))
    push(world, WHITE, (0.4, 0.0))
    fastest = 0.0
    for _ in range(15):
        world.step(np.zeros(7), duration=0.01)
        fastest = max(fastest, float(world.data.joint(BLACK).qvel[0]))
    assert 0.28 < fastest < 0.4
    assert abs(world.data.joint(WHITE).qvel[0]) < 0.15


def test_a_ball_that_rolls_slows_down_and_stops_on_the_bed(world: World) -> None:
    world.reset(0)
    place(world, WHITE, (0.50, -0.08, BED + RADIUS))
    push(world, WHITE, (0.0, 0.12))
    wait(world, 40)
    moved = ball(world, WHITE)[1] + 0.08
    assert 0.03 < moved < 0.14
    assert np.linalg.norm(world.data.joint(WHITE).qvel[:3]) < 0.005


def test_rails_keep_balls_in_and_pockets_take_them(world: World) -> None:
    rng, pocketed = np.random.default_rng(0), 0
    for _ in range(8):
        world.reset(0)
        angle = rng.uniform(0, 2 * np.pi)
        push(world, BLACK, (0.8 * np.cos(angle), 0.8 * np.sin(angle)))
        wait(world)
        at = ball(world, BLACK)
        assert np.all(at[:2] > BED_LOW)
        assert np.all(at[:2] < BED_HIGH)
        assert at[2] == pytest.approx(BED + RADIUS, abs=2e-3) or in_pocket(at)
        pocketed += in_pocket(at)
    world.reset(0)
    push(world, BLACK, tuple(0.25 * (TARGET_POCKET - ball(world, BLACK)[:2]) / 0.09))
    wait(world)
    assert in_pocket(ball(world, BLACK))
    assert world.success()


def test_white_in_a_pocket_or_rolling_is_no_success(world: World) -> None:
    world.reset(0)
    place(world, BLACK, (*TARGET_POCKET, 0.022))
    wait(world, 5)
    assert world.success()
    push(world, WHITE, (0.0, 0.1))
    world.step(np.zeros(7))
    assert not world.success()
    place(world, WHITE, (BED_HIGH[0] - 0.025, BED_HIGH[1] - 0.025, 0.022))
    wait(world, 10)
    assert in_pocket(ball(world, WHITE))
    assert not world.success()


def test_a_touch_of_the_black_ball_is_remembered_and_goes_with_the_state(world: World) -> None:
    world.reset(0)
    place(world, WHITE, (0.46, 0.10, BED + RADIUS))
    for _ in range(8):
        world.step([0.22, 0, 0, 0, 0, 0, 0])
    wait(world, 30)
    place(world, BLACK, (*TARGET_POCKET, 0.022))
    wait(world, 5)
    assert in_pocket(ball(world, BLACK))
    assert not world.success()
    touched = world.state()
    world.reset(0)
    place(world, BLACK, (*TARGET_POCKET, 0.022))
    wait(world, 5)
    assert world.success()
    world.restore(touched)
    assert not world.success()


@pytest.mark.slow
def test_demonstrates_from_anywhere_in_human_time(task: TaskConfig, world: World) -> None:
    outcomes = []
    for seed in range(12):
        world.reset(seed)
        expert = seeded_expert(task, seed)
        outcomes.append(episode(task, world, expert, Mode.DEMONSTRATE, done=World.success))
    assert sum(outcome.success for outcome in outcomes) >= 11
    assert 12 <= np.mean([outcome.steps for outcome in outcomes]) <= 50


@pytest.mark.slow
@pytest.mark.parametrize(("power", "black_in"), [(0.2, False), (0.48, True)])
def test_too_soft_a_strike_leaves_the_black_ball_on_the_bed(
    task: TaskConfig, world: World, power: float, black_in: bool
) -> None:
    world.reset(3)
    act = expert_policy(task, 3)
    for step in range(task.max_steps):
        action = act(world, step)
        sight = PoolSight(view(world, step, Mode.DEMONSTRATE))
        if action[0] > 0.3:
            action[:2] *= power / np.linalg.norm(action[:2])
        world.step(action * LIMITS.scale() if not sight.struck else np.zeros(7))
    assert in_pocket(ball(world, BLACK)) is black_in


@pytest.mark.slow
def test_a_good_policy_is_left_alone(task: TaskConfig, world: World) -> None:
    for seed in range(3):
        world.reset(seed)
        good, watcher = expert_policy(task, seed + 100), seeded_expert(task, seed)
        outcome = episode(task, world, watcher, Mode.CORRECT, good, done=World.success)
        assert outcome.human == 0


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["frozen", "aside", "wrong aim"])
def test_rescues_a_bad_policy(task: TaskConfig, world: World, kind: str) -> None:
    for seed in range(2):
        policies: dict[str, Policy] = {
            "frozen": frozen,
            "aside": lambda world, step: np.array([0, 0.3, 0, 0, 0, 0, 0]),
            "wrong aim": lambda world, step: np.array([0.05, 0.1, 0, 0, 0, 0, 0]),
        }
        world.reset(seed + 20)
        watcher = seeded_expert(task, seed)
        outcome = episode(task, world, watcher, Mode.CORRECT, policies[kind], done=World.success)
        assert outcome.human > 0
        assert outcome.success

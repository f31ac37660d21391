# SPDX-License-Identifier: Apache-2.0
"""Egg Flip: the scene holds still and repeats, the egg can be turned over, the expert does so."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from expo_ft_ros.data.rotation import compose, matrix_of, rotation_of
from expo_ft_ros.robots import load_robot
from expo_ft_ros.sim import franka
from expo_ft_ros.sim.world import World
from expo_ft_ros.tasks import TaskConfig, load_task
from expo_ft_ros.tasks.egg_flip.scene import (
    BEND,
    BLADE,
    BLADE_LENGTH,
    EGG,
    PAN_AT,
    PAN_RADIUS,
    RADIUS,
    THICKNESS,
    tip_offset,
    tool_of_tip,
    tool_quaternion,
)
from expo_ft_ros.tasks.egg_flip.sight import EggSight, along, level_tilt, on_course
from expo_ft_ros.tasks.experts import Mode, OperatorView
from expo_ft_ros.tasks.scenes import make_world
from support.driving import Policy, episode, expert_policy, frozen, seeded_expert, view

LIMITS = load_robot("sim").limits


@pytest.fixture(scope="module")
def task() -> TaskConfig:
    return load_task("egg_flip")


def sight(world: World) -> EggSight:
    return EggSight(view(world, 0, Mode.DEMONSTRATE))


def done(world: World) -> bool:
    return world.success() and sight(world).raised


def put(world: World, place: tuple[float, float, float], turn: tuple[float, float, float]) -> None:
    """Puts the egg there, from the pan's middle [m], turned so from how it lay at the start."""
    upright = np.array([np.pi * world.data.userdata[0], 0.0, 0.0])
    quaternion = compose(rotation_of(np.array(turn)), rotation_of(upright))
    world.place(EGG, PAN_AT + place, quaternion)


def aside(world: World, step: int) -> np.ndarray:
    return np.array([0.6, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0])


def down(world: World, step: int) -> np.ndarray:
    return np.array([0.0, 0.0, -0.5, 0.0, 0.0, 0.0, 0.0])


def pushing(world: World, step: int) -> np.ndarray:
    """Ahead over the egg, then nothing any more."""
    return np.array([0.0, 0.3, -0.1, 0.0, 0.0, 0.0, 0.0]) * (step < 25)


def test_episodes_start_at_rest_egg_and_spatula_in_their_parts_of_the_pan(world: World) -> None:
    sides, tools = set(), []
    for seed in range(12):
        world.reset(seed)
        seen = sight(world)
        assert seen.lies
        assert seen.up == pytest.approx(1.0)
        assert not world.success()
        assert seen.egg[1] > -PAN_RADIUS / 3
        assert np.linalg.norm(seen.egg[:2]) < PAN_RADIUS - RADIUS + 1e-6
        assert seen.tip[1] < -PAN_RADIUS / 3
        sides.add(float(world.data.userdata[0]))
        tools.append(world.proprio().position)
        world.step(np.zeros(7))
        assert np.abs(sight(world).egg - seen.egg).max() < 0.001
        assert world.proprio().position == pytest.approx(tools[-1], abs=0.002)
    assert sides == {0.0, 1.0}
    assert np.all(np.ptp(tools, axis=0) > [0.04, 0.02, 0.02])


def test_a_restored_world_knows_which_side_was_up(task: TaskConfig, world: World) -> None:
    other = make_world(task, LIMITS)
    for seed in range(4):
        world.reset(seed)
        put(world, (0.0, 0.0, THICKNESS / 2), (np.pi, 0.0, 0.0))
        other.restore(world.state())
        assert world.success()
        assert other.success()
    other.close()


@pytest.mark.parametrize(
    ("place", "turn", "true"),
    [
        ((0.02, 0.01, THICKNESS / 2), (np.pi, 0.0, 0.0), True),
        ((0.02, 0.01, THICKNESS / 2), (0.0, np.pi, 0.0), True),
        ((0.02, 0.01, THICKNESS / 2), (0.0, 0.0, np.pi), False),
        ((0.0, 0.125, 0.042), (1.92, 0.0, 0.0), False),  # leans against the wall
        ((0.02, 0.01, 0.03), (np.pi, 0.0, 0.0), False),  # in the air, or on the blade
        ((0.17, 0.01, THICKNESS / 2), (np.pi, 0.0, 0.0), False),  # beside the pan
    ],
)
def test_flipped_is_the_other_side_up_on_the_pan_s_floor(
    world: World,
    place: tuple[float, float, float],
    turn: tuple[float, float, float],
    true: bool,
) -> None:
    for seed in (0, 1):
        world.reset(seed)
        put(world, place, turn)
        assert world.success() is true


def test_gripper_commands_leave_the_spatula_held(world: World) -> None:
    world.reset(0)
    held = world.proprio().gripper_width
    for opening in (0.12, -0.12):
        for _ in range(8):
            world.step([0, 0, 0, 0, 0, 0, opening])
            assert world.proprio().gripper_width == pytest.approx(held, abs=1e-3)


angles = st.floats(-1.2, 1.2)


@given(angles, angles, angles, angles)
def test_the_tip_turns_with_the_tool(heading: float, tilt: float, other: float, dip: float) -> None:
    """tip_offset against rotation matrices."""
    tip = np.array([0.4, 0.1, 0.02])
    tool = tool_of_tip(tip, heading, tilt)
    still = matrix_of(tool_quaternion(other, dip)) @ matrix_of(tool_quaternion(heading, tilt)).T
    assert still @ (tip - tool) == pytest.approx(tip_offset(other, dip), abs=1e-9)


@given(angles, st.floats(-0.1, 0.1), st.floats(-0.1, 0.1))
def test_on_course_undoes_along(heading: float, on: float, aside: float) -> None:
    assert along(heading, on_course(heading, on, aside, 0.3)) == pytest.approx((on, aside))


def test_the_tip_is_where_the_blade_ends(world: World) -> None:
    for seed in range(3):
        world.reset(seed)
        blade = world.data.body(BLADE)
        end = blade.xpos + blade.xmat.reshape(3, 3) @ [0.0, BLADE_LENGTH, 0.0]
        seen = sight(world)
        assert seen.tip + PAN_AT == pytest.approx(end, abs=0.002)
        assert seen.tilt == pytest.approx(BEND, abs=0.01)
        assert tool_of_tip(end, seen.heading, seen.tilt) == pytest.approx(
            world.proprio().position, abs=0.002
        )


def test_the_blade_goes_in_steeper_near_the_wall_behind_it() -> None:
    inside, behind = (level_tilt(np.array([0.0, y, 0.0]), 0.0, 0.1) for y in (0.03, -0.06))
    assert inside == pytest.approx(BEND - 0.1)
    assert behind < inside - 0.1


def test_pressed_on_the_floor_the_blade_bends_and_stays_above_it(world: World) -> None:
    world.reset(0)
    for _ in range(40):
        world.step([0.0, 0.02, -0.1, 0.0, 0.0, 0.0, 0.0])
    assert 0.02 < abs(float(world.data.joint(BLADE).qpos[0])) < 0.5
    assert world.data.body(BLADE).xpos[2] > 0.0


def test_it_is_turned_over_within_the_arm_s_limits(task: TaskConfig, world: World) -> None:
    world.reset(0)
    operator = seeded_expert(task, 0)
    dofs = [world.model.joint(name).dofadr[0] for name in franka.JOINTS]
    most, turning = np.zeros(7), 0.0
    for step in range(task.max_steps):
        action = operator.act(view(world, step, Mode.DEMONSTRATE)).action()
        assert np.abs(action).max() <= 1.0
        world.step(action * LIMITS.scale())
        most = np.maximum(most, np.abs(world.data.qvel[dofs]))
        turning = max(turning, float(np.linalg.norm(world.proprio().angular)))
        if done(world):
            break
    assert done(world)
    assert np.all(most < franka.VELOCITY)
    assert turning < 2.5  # an FR3 turns its tool no faster [rad/s]


@pytest.mark.slow
def test_demonstrates_from_anywhere_in_human_time(task: TaskConfig, world: World) -> None:
    outcomes = []
    for seed in range(6):
        world.reset(seed)
        operator = seeded_expert(task, seed)
        outcomes.append(episode(task, world, operator, Mode.DEMONSTRATE, done=done))
    assert sum(outcome.success for outcome in outcomes) >= 5
    assert 40 <= np.mean([outcome.steps for outcome in outcomes]) <= 110


@pytest.mark.slow
def test_a_good_policy_is_left_alone(task: TaskConfig, world: World) -> None:
    for seed in range(2):
        world.reset(seed)
        good = expert_policy(task, seed + 100)
        watcher = seeded_expert(task, seed)
        outcome = episode(task, world, watcher, Mode.CORRECT, good, done=done)
        assert outcome.success
        assert outcome.human == 0


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["frozen", "aside", "down", "pushing", "beside"])
def test_rescues_a_bad_policy(task: TaskConfig, world: World, kind: str) -> None:
    rescued = 0
    for seed in range(3):
        policies: dict[str, Policy] = {
            "frozen": frozen,
            "aside": aside,
            "down": down,
            "pushing": pushing,
            "beside": expert_policy(task, seed, EGG, (0.06, 0.0, 0.0)),
        }
        world.reset(seed + 20)
        operator = seeded_expert(task, seed)
        outcome = episode(task, world, operator, Mode.CORRECT, policies[kind], done=done)
        rescued += outcome.success
        assert outcome.human > 0 or outcome.success
    assert rescued >= 2


@pytest.mark.slow
def test_gives_control_back_once_the_error_is_mended(task: TaskConfig, world: World) -> None:
    """With the blade behind the egg, a policy that only missed the start finishes by itself."""
    world.reset(41)
    good = expert_policy(task, 1)

    def slow_start(world: World, step: int) -> np.ndarray:
        return good(world, step) if step > 25 else np.zeros(7)

    outcome = episode(task, world, seeded_expert(task, 1), Mode.CORRECT, slow_start, done=done)
    assert outcome.success
    assert 0 < outcome.human < 0.7 * outcome.steps


def test_a_scene_without_an_egg_is_refused(task: TaskConfig, world: World) -> None:
    with pytest.raises(ValueError, match="sees no object"):
        seeded_expert(task, 0).act(OperatorView(world.proprio(), {}, 0, Mode.CORRECT))

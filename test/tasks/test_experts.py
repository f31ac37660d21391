# SPDX-License-Identifier: Apache-2.0
"""The expert: demonstrates, leaves a good policy alone, rescues a bad one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from expo_ft_ros.robots import Workspace, load_robot
from expo_ft_ros.sim.world import World
from expo_ft_ros.tasks import TaskConfig
from expo_ft_ros.tasks.experts import Mode, OperatorView, make_expert
from expo_ft_ros.tasks.failure_detector import leaving
from expo_ft_ros.tasks.scripted_expert import NUDGE, nudged
from support.driving import Policy, episode, expert_policy, frozen, seeded_expert, view
from support.fuzz import seeds

LIMITS = load_robot("sim").limits


def aside(world: World, step: int) -> np.ndarray:
    return np.array([0.0, 0.6, 0.0, 0.0, 0.0, 0.0, 0.0])


def shut(task: TaskConfig, seed: int) -> Policy:
    act = expert_policy(task, seed)
    return lambda world, step: np.r_[act(world, step)[:6], -1.0]


def never_closing(task: TaskConfig, seed: int) -> Policy:
    act = expert_policy(task, seed)
    return lambda world, step: np.r_[act(world, step)[:6], 1.0]


def dropping(task: TaskConfig, seed: int) -> Policy:
    act, ticks = expert_policy(task, seed), iter(range(8))
    state: set[str] = set()

    def drop(world: World, step: int) -> np.ndarray:
        dropped = world.objects()["cube"][0][2] < 0.07 and "begun" not in state
        if dropped or next(ticks, None) is None:
            return act(world, step)
        state.add("begun")
        return np.array([0, 0, 0, 0, 0, 0, 1.0])

    return drop


def test_demonstrates_from_anywhere_in_human_time(task: TaskConfig, world: World) -> None:
    outcomes = []
    for seed in seeds(6):
        world.reset(seed)
        outcomes.append(episode(task, world, seeded_expert(task, seed), Mode.DEMONSTRATE))
    assert all(outcome.success for outcome in outcomes)
    steps = [outcome.steps for outcome in outcomes]
    assert 25 <= np.mean(steps) <= 60
    assert max(steps) < task.max_steps


def test_a_good_policy_is_left_alone(task: TaskConfig, world: World) -> None:
    for seed in seeds(3):
        world.reset(seed)
        outcome = episode(
            task, world, seeded_expert(task, seed), Mode.CORRECT, expert_policy(task, seed + 100)
        )
        assert outcome.success
        assert outcome.human == 0


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["frozen", "aside", "shut", "never closing", "dropping"])
def test_rescues_a_bad_policy(task: TaskConfig, world: World, kind: str) -> None:
    rescued = 0
    for seed in range(4):
        policies: dict[str, Policy] = {
            "frozen": frozen,
            "aside": aside,
            "shut": shut(task, seed),
            "never closing": never_closing(task, seed),
            "dropping": dropping(task, seed),
        }
        world.reset(seed + 20)
        outcome = episode(task, world, seeded_expert(task, seed), Mode.CORRECT, policies[kind])
        assert outcome.human > 0
        rescued += outcome.success
    assert rescued >= 3


def test_gives_control_back_once_the_error_is_mended(task: TaskConfig, world: World) -> None:
    """Moved over the cube, a policy that only misjudged the start finishes by itself."""
    for seed in range(4):
        world.reset(seed + 40)
        good = expert_policy(task, seed)

        def slow_start(world: World, step: int, good: Policy = good) -> np.ndarray:
            return good(world, step) if step > 20 else np.zeros(7)

        outcome = episode(task, world, seeded_expert(task, seed), Mode.CORRECT, slow_start)
        assert outcome.success
        assert 0 < outcome.human < 0.7 * outcome.steps


def test_inactive_means_no_command(task: TaskConfig, world: World) -> None:
    world.reset(0)
    command = seeded_expert(task, 0).act(view(world, 0, Mode.CORRECT))
    assert not command.active
    assert not command.action().any()


@pytest.mark.parametrize("rate", [-0.1, 1.5])
def test_rate_out_of_range_is_refused(task: TaskConfig, rate: float) -> None:
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        make_expert(task, LIMITS, np.random.default_rng(0), rate)


def test_a_scene_without_a_cube_is_refused(task: TaskConfig, world: World) -> None:
    with pytest.raises(ValueError, match="no object 'cube'"):
        seeded_expert(task, 0).act(OperatorView(world.proprio(), {}, 0, Mode.CORRECT))


def test_it_helps_in_a_share_of_the_episodes_and_always_demonstrates(
    task: TaskConfig, world: World
) -> None:
    operator = make_expert(task, LIMITS, np.random.default_rng(0), rate=1.0, share=0.5)

    def helps(seed: int, mode: Mode) -> bool:
        world.reset(seed)
        operator.reset(seed)
        return any(operator.act(view(world, step, mode)).active for step in range(60))

    helped = [helps(seed, Mode.CORRECT) for seed in range(40)]
    assert 10 < sum(helped) < 30
    assert helped == [helps(seed, Mode.CORRECT) for seed in range(40)]
    assert all(helps(seed, Mode.DEMONSTRATE) for seed in range(5))


@pytest.mark.parametrize("share", [-0.1, 1.5])
def test_share_out_of_range_is_refused(task: TaskConfig, share: float) -> None:
    with pytest.raises(ValueError, match="share must lie"):
        make_expert(task, LIMITS, np.random.default_rng(0), 1.0, share)


@given(st.lists(st.floats(-1.0, 1.0), min_size=3, max_size=3))
def test_a_nudge_moves_the_tool_the_same_way(velocity: list[float]) -> None:
    wanted = np.array(velocity)
    size = float(np.linalg.norm(wanted))
    assume(size == 0.0 or size > 1e-5)
    felt = nudged(wanted)
    assert np.linalg.norm(felt) == pytest.approx(max(size, NUDGE) if size else 0.0)
    assert felt * size == pytest.approx(wanted * np.linalg.norm(felt))


@pytest.mark.parametrize(
    ("place", "leaves"),
    [((0.5, 0.0, 0.2), False), ((0.5, 0.0, 0.0), False), ((0.5, 0.0, 0.39), True),
     ((0.31, 0.0, 0.2), True), ((0.69, 0.0, 0.2), True), ((0.5, -0.29, 0.2), True)],
)  # fmt: skip
def test_leaving_is_being_near_a_side_or_the_top(
    place: tuple[float, float, float], leaves: bool
) -> None:
    workspace = Workspace(low=(0.3, -0.3, 0.0), high=(0.7, 0.3, 0.4))
    assert leaving(workspace, np.array(place), 0.015) is leaves

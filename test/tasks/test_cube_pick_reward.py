# SPDX-License-Identifier: Apache-2.0
"""The cube_pick classifier against ground truth, on successes and on what resembles them."""

from __future__ import annotations

import numpy as np
import pytest

from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.data.types import Observation, Proprio
from expo_ft_ros.robots import load_robot
from expo_ft_ros.sim.world import World
from expo_ft_ros.tasks import TaskConfig, load_task
from expo_ft_ros.tasks.classifiers import make_classifier
from expo_ft_ros.tasks.cube_pick.reward import Classifier, Parameters
from expo_ft_ros.tasks.experts import Mode, make_expert
from support.driving import episode, observe
from support.fuzz import seeds

LIMITS = load_robot("sim").limits

_NO_IMAGE = np.zeros((1, 1, 3), dtype=np.uint8)


def classifier_of(task: TaskConfig):
    return make_classifier(task)


def judge(**parameters: float) -> Classifier:
    return Classifier(Parameters(**parameters))


def seen(z: float, width: float) -> Observation:
    proprio = Proprio(np.array([0.45, 0.0, z]), np.array([1.0, 0, 0, 0]), width)
    return Observation(0, 0.0, {"side": _NO_IMAGE}, proprio, "")


def verdicts(classifier, track: list[tuple[float, float]]) -> list[bool]:
    classifier.reset(seen(*track[0]))
    return [classifier(seen(*point)).success for point in track[1:]]


def perform(world: World, classifier, moves: list[tuple[float, float, int]]) -> bool:
    """Executes (vertical m/s, gripper m/s, ticks) from the start; True if ever a success."""
    classifier.reset(observe(world))
    success = False
    for vertical, gripper, ticks in moves:
        for _ in range(ticks):
            world.step([0, 0, vertical, 0, 0, 0, gripper])
            success |= classifier(observe(world)).success
    return success


def away_from_cube(world: World) -> None:
    """Resets to a seed whose tool starts far from the cube."""
    for seed in range(100):
        world.reset(seed)
        apart = world.proprio().position[:2] - world.objects()["cube"][0][:2]
        if np.linalg.norm(apart) > 0.15:
            return
    raise RuntimeError("no seed among 100 starts 0.15 m from the cube")


def down(world: World) -> tuple[float, float, int]:
    """The move from the start down to grasp height."""
    return (-0.2, 0.0, round((world.proprio().position[2] - 0.025) / 0.02))


def test_agrees_with_ground_truth_on_demonstrations(task: TaskConfig, world: World) -> None:
    for seed in seeds(5):
        world.reset(seed)
        operator = make_expert(task, LIMITS, np.random.default_rng(seed))
        outcome = episode(task, world, operator, Mode.DEMONSTRATE, classifier=classifier_of(task))
        assert outcome.success
        assert outcome.steps < task.max_steps


def test_closing_on_nothing_and_lifting_is_no_success(task: TaskConfig, world: World) -> None:
    away_from_cube(world)
    moves = [down(world), (0.0, -0.12, 10), (0.15, -0.12, 12)]
    assert not perform(world, classifier_of(task), moves)
    assert not world.success()


def test_lifting_an_open_gripper_is_no_success(task: TaskConfig, world: World) -> None:
    away_from_cube(world)
    assert not perform(world, classifier_of(task), [down(world), (0.15, 0.0, 12)])


def test_half_closing_in_the_air_is_no_success(task: TaskConfig, world: World) -> None:
    away_from_cube(world)
    moves = [(0.0, -0.1, 4), (0.05, 0.0, 20)]
    assert not perform(world, classifier_of(task), moves)


def test_half_closed_empty_gripper_that_moves_is_no_success(task: TaskConfig, world: World) -> None:
    away_from_cube(world)
    moves = [down(world), (0.0, -0.1, 4)] + [(0.15, 0.01 * (-1) ** i, 1) for i in range(12)]
    assert not perform(world, classifier_of(task), moves)


def test_known_limit_a_motionless_half_closed_gripper_of_the_cubes_width_passes() -> None:
    """Proprioception can't tell it from a grasp; docs and the module say so."""
    track = [(0.03, 0.08), (0.03, 0.037)] + [(0.13, 0.037)] * 4
    assert verdicts(judge(), track)[-1]


def test_success_needs_consecutive_observations() -> None:
    lifted, lowered = (0.13, 0.037), (0.11, 0.037)
    classifier = judge(hold_steps=3)
    track = [(0.03, 0.08), (0.03, 0.037), lifted, lifted, lowered, lifted, lifted, lifted]
    assert verdicts(classifier, track) == [False] * 6 + [True]


def test_a_lift_that_begins_while_the_fingers_still_close_is_a_success() -> None:
    """So does a policy that is in a hurry; a demonstrator waits for the grasp."""
    track = [(0.02, 0.08), (0.025, 0.067), (0.05, 0.055), (0.075, 0.044), (0.1, 0.037)]
    track += [(0.12 + 0.02 * i, 0.037) for i in range(5)]
    assert verdicts(judge(max_width=0.042), track)[-1]


def test_a_gripper_that_opened_again_has_to_grasp_again() -> None:
    track = [(0.03, 0.08), (0.03, 0.037), (0.1, 0.037), (0.1, 0.08), (0.1, 0.037)]
    track += [(0.13, 0.037)] * 4
    assert not any(verdicts(judge(), track))


def test_fingers_that_closed_in_the_air_and_dipped_hold_nothing() -> None:
    track = [(0.2, 0.08), (0.2, 0.038), (0.07, 0.038), (0.1, 0.038)] + [(0.13, 0.038)] * 4
    assert not any(verdicts(judge(), track))


def test_reset_forgets_the_grasp() -> None:
    classifier = judge()
    assert verdicts(classifier, [(0.03, 0.08), (0.03, 0.037), (0.13, 0.037), (0.13, 0.037)])[-1]
    assert not any(verdicts(classifier, [(0.13, 0.037)] * 6))


def test_value_is_the_sparse_reward_and_reason_says_what_is_missing() -> None:
    classifier = judge(hold_steps=1)
    classifier.reset(seen(0.03, 0.08))
    assert classifier(seen(0.03, 0.08)).reason == "gripper open"
    assert classifier(seen(0.03, 0.001)).reason == "gripper closed on nothing"
    assert classifier(seen(0.03, 0.037)).reason.startswith("not lifted")
    verdict = classifier(seen(0.13, 0.037))
    assert (verdict.value, verdict.success) == (1.0, True)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("heigth", 0.1, "heigth: no such field (did you mean height?)"),
        ("height", "high", "height: 'high': input should be a valid number"),
        ("height", True, "height: True: should be a number, not true or false"),
        ("hold_steps", 1.5, "hold_steps: 1.5: input should be a valid integer"),
        ("hold_steps", 0, "hold_steps: 0: input should be greater than or equal to 1"),
        ("min_width", 0.06, "min_width 0.06 m must lie below max_width 0.042 m"),
        ("grasp_height", 0.2, "grasp_height 0.2 m must lie below height 0.12 m"),
    ],
)
def test_a_bad_parameter_is_refused_while_the_task_is_loaded(field, value, message) -> None:
    with pytest.raises(ConfigError) as caught:
        load_task("cube_pick", {f"classifier.parameters.{field}": value})
    assert message in str(caught.value)

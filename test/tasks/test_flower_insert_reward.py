# SPDX-License-Identifier: Apache-2.0
"""The flower_insert classifier: on painted images, and against ground truth in simulation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.data.types import Observation, Proprio
from expo_ft_ros.sim.world import World
from expo_ft_ros.tasks import TaskConfig, load_task
from expo_ft_ros.tasks.classifiers import make_classifier
from expo_ft_ros.tasks.experts import Mode
from expo_ft_ros.tasks.flower_insert.reward import Classifier, Parameters
from expo_ft_ros.tasks.flower_insert.scene import BOTTLE_AT, MOUTH_HEIGHT, STEM_LENGTH
from support.driving import episode, observe, seeded_expert

SMALL = {
    "tool_region": {"low": [0.45, -0.05, 0.2], "high": [0.55, 0.05, 0.3]},
    "below_region": [0.0, 0.5, 1.0, 1.0],
    "above_region": [0.4, 0.5, 0.6, 1.0],
    "stem": {"hues": [106], "tolerance": 20},
    "seen": 0.002,
    "hold_steps": 2,
}
GREEN, GREY = (60, 220, 30), (180, 180, 180)


@pytest.fixture(scope="module")
def task() -> TaskConfig:
    return load_task("flower_insert")


def judge(**parameters: Any) -> Classifier:
    return Classifier(Parameters.model_validate({**SMALL, **parameters}))


def seen(
    z: float = 0.28,
    side: tuple[int, int] | None = (18, 10),
    wrist: tuple[int, int] | None = (20, 30),
) -> Observation:
    """side, wrist: where in 40 x 40 images two by two pixels are green: column, row."""
    images = {}
    for name, at in (("side", side), ("wrist", wrist)):
        images[name] = np.full((40, 40, 3), GREY, np.uint8)
        if at is not None:
            images[name][at[1] : at[1] + 2, at[0] : at[0] + 2] = GREEN
    proprio = Proprio(np.array([0.5, 0.0, z]), np.array([1.0, 0, 0, 0]), 0.006)
    return Observation(0, 0.0, images, proprio, "")


IN = seen()


def successes(track: list[Observation], **parameters: Any) -> list[bool]:
    classifier = judge(**parameters)
    classifier.reset(track[0])
    return [classifier(obs).success for obs in track]


def test_at_the_mouth_with_no_stem_below_is_success_once_it_lasts() -> None:
    assert successes([IN, IN]) == [False, True]
    assert successes([IN, seen(z=0.31), IN, IN]) == [False, False, False, True]
    assert successes([seen(side=None), seen(side=None)]) == [False, True]


@pytest.mark.parametrize(
    ("obs", "reason"),
    [
        (seen(z=0.31), "gripper not at the mouth: z 0.310 m"),
        (seen(side=(18, 30)), "stem below the mouth: 0.25% of side"),
        (seen(side=(2, 21)), "stem below the mouth"),
        (seen(wrist=(5, 30)), "stem beside the mouth: 0.25% of wrist"),
        (seen(wrist=(20, 10)), "stem beside the mouth"),
    ],
)
def test_what_resembles_a_success_is_none(obs: Observation, reason: str) -> None:
    assert not any(successes([obs] * 4))
    classifier = judge()
    classifier.reset(obs)
    assert classifier(obs).reason.startswith(reason)


def test_one_pixel_of_noise_is_no_stem() -> None:
    assert successes([seen(side=None)] * 2, seen=0.003) == [False, True]
    noisy = seen()
    noisy.views["side"][35, 5] = GREEN
    assert successes([noisy] * 2) == [False, True]


def test_the_operator_is_asked_where_the_flower_is_gone() -> None:
    gone = seen(wrist=None)
    classifier = judge(lost=0.01)
    classifier.reset(gone)
    verdicts = [classifier(gone) for _ in range(3)]
    assert not any(verdict.success for verdict in verdicts)
    assert verdicts[-1].human_reset == "put the flower into the gripper"
    assert classifier(IN).human_reset == ""


def test_it_shows_what_it_looks_at() -> None:
    classifier = judge(hand_view="hand", scene_view="left")
    images = {"hand": IN.views["wrist"], "left": IN.views["side"]}
    marks = classifier.marks(images)
    assert {view: list(mark.regions) for view, mark in marks.items()} == {
        "left": ["below the mouth"],
        "hand": ["into the mouth"],
    }
    assert marks["left"].mask is not None
    assert marks["left"].mask.sum() == 4
    assert classifier.heights == {"inserted below": 0.3}


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("hand_view", "side", "hand_view and scene_view are both side"),
        ("seen", 0.0, "seen: 0.0: input should be greater than 0"),
        ("tool_region.low", [0.6, 0, 0], "low 0.6 m must lie below high 0.525 m along x"),
        ("below_region", [0, 1, 1, 0], "below_region: [0, 1, 1, 0]: should be [left, top"),
    ],
)
def test_a_bad_parameter_is_refused_while_the_task_is_loaded(field, value, message) -> None:
    with pytest.raises(ConfigError) as caught:
        load_task("flower_insert", {f"classifier.parameters.{field}": value})
    assert message in str(caught.value)


@pytest.mark.slow
def test_agrees_with_ground_truth_on_demonstrations(task: TaskConfig, world: World) -> None:
    for seed in range(3):
        world.reset(seed)
        outcome = episode(
            task, world, seeded_expert(task, seed), Mode.DEMONSTRATE,
            classifier=make_classifier(task), images=True,
        )  # fmt: skip
        assert outcome.success


@pytest.mark.slow
@pytest.mark.parametrize("angle", np.arange(0.0, 2 * np.pi, np.pi / 3))
def test_a_stem_beside_the_neck_is_seen_on_every_side(
    task: TaskConfig, world: World, angle: float
) -> None:
    """benchmarks/near_failures/flower_insert.py has more of them."""
    world.reset(0)
    classifier = make_classifier(task)
    classifier.reset(observe(world, images=True))
    mouth = BOTTLE_AT + np.array([0.0, 0.0, MOUTH_HEIGHT + STEM_LENGTH])
    beside = np.array([0.022 * np.cos(angle), 0.022 * np.sin(angle), 0.0])
    path = ((mouth + beside + [0, 0, 0.03], 20), (mouth + beside, 10), (mouth - [0, 0, 0.076], 20))
    for place, ticks in path:
        for _ in range(ticks):
            wanted = (4.0 * (place - world.proprio().position)).clip(-0.15, 0.15)
            world.step([*wanted, 0, 0, 0, 0])
            assert not classifier(observe(world, images=True)).success
    assert world.proprio().position[2] < 0.289
    assert not world.success()

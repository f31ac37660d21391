# SPDX-License-Identifier: Apache-2.0
"""The candy_scoop classifier: on painted images, and against ground truth in simulation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.data.types import Observation, Proprio
from expo_ft_ros.robots import load_robot
from expo_ft_ros.sim.scene import UNTURNED
from expo_ft_ros.sim.world import World
from expo_ft_ros.tasks import TaskConfig, load_task
from expo_ft_ros.tasks.candy_scoop.reward import Classifier, Parameters
from expo_ft_ros.tasks.candy_scoop.scene import CANDY, ENOUGH, TARGET
from expo_ft_ros.tasks.candy_scoop.sight import CandySight
from expo_ft_ros.tasks.classifiers import make_classifier
from expo_ft_ros.tasks.experts import Mode, OperatorView, make_expert
from support.driving import episode, observe
from support.fuzz import seeds

LIMITS = load_robot("sim").limits

SMALL = {
    "height": 0.15,
    "scoop_region": [0.0, 0.0, 0.5, 1.0],
    "target_region": [0.5, 0.0, 1.0, 1.0],
    "colours": {"hues": [0, 120]},
    "scooped": 0.4,
    "emptied": 0.1,
    "poured": 0.3,
    "hold_steps": 2,
}


def judge(**parameters: float | str | list[float]) -> Classifier:
    return Classifier(Parameters.model_validate({**SMALL, **parameters}))


RED, GREEN, BLUE = (240, 20, 20), (20, 220, 40), (25, 140, 240)


@pytest.fixture(scope="module")
def task() -> TaskConfig:
    return load_task("candy_scoop")


def seen(scoop: float, target: float, z: float = 0.2, colour=RED) -> Observation:
    """Wrist and side images whose regions of SMALL have that part of the colour."""

    def image(columns: slice, part: float) -> np.ndarray:
        pixels = np.full((40, 40, 3), 180, np.uint8)
        pixels[: round(40 * part), columns] = colour
        return pixels

    wrist, side = image(slice(0, 20), scoop), image(slice(20, 40), target)
    proprio = Proprio(np.array([0.45, 0.0, z]), np.array([1.0, 0, 0, 0]), 0.018)
    return Observation(0, 0.0, {"side": side, "wrist": wrist}, proprio, "")


def first_success(track: list[Observation]) -> int | None:
    """The first observation after the start that is a success."""
    classifier = judge()
    classifier.reset(track[0])
    verdicts = [classifier(obs) for obs in track[1:]]
    return next((i for i, verdict in enumerate(verdicts) if verdict.success), None)


START, FULL, POURED = seen(0, 0), seen(0.8, 0), seen(0.05, 0.5)


def test_it_looks_at_the_views_that_its_parameters_name() -> None:
    names = {"side": "left", "wrist": "hand"}
    track = [
        replace(each, views={names[view]: image for view, image in each.views.items()})
        for each in (START, FULL, FULL, POURED, POURED)
    ]
    classifier = judge(hand_view="hand", scene_view="left")
    classifier.reset(track[0])
    assert [classifier(each).success for each in track[1:]] == [False, False, False, True]
    assert {name: list(m.regions) for name, m in classifier.marks(track[0].views).items()} == {
        "left": ["target", "bin"],
        "hand": ["scoop"],
    }
    with pytest.raises(ValueError, match="hand_view and scene_view are both left"):
        judge(hand_view="left", scene_view="left")


def test_scooped_then_poured_is_success_once_it_lasts() -> None:
    assert first_success([START, FULL, FULL, POURED, POURED]) == 3
    assert first_success([START, FULL, FULL, POURED, FULL, POURED, POURED]) == 5


@pytest.mark.parametrize(
    "track",
    [
        [START, POURED, POURED, POURED],  # never in the scoop
        [START, FULL, POURED, POURED, POURED],  # a glimpse of candies isn't a scoop
        [START, *[seen(0.8, 0, z=0.1)] * 3, *[POURED] * 3],  # in the scoop but never raised
        [START, FULL, FULL, *[seen(0.8, 0.5)] * 3],  # a full scoop in front of the target
        [START, FULL, FULL, *[seen(0.0, 0.1)] * 3],  # most of it beside the target
        [seen(0, 0.5), FULL, FULL, *[POURED] * 3],  # candies that had been there before
        [START, *[seen(0.8, 0, colour=BLUE)] * 2, *[POURED] * 3],  # no candy's colour
    ],
)
def test_what_resembles_a_success_is_none(track: list[Observation]) -> None:
    assert first_success(track) is None


def test_any_candy_s_colour_counts_and_shadow_does_not_hide_it() -> None:
    green = [seen(0.8, 0, colour=GREEN)] * 2 + [seen(0, 0.5, colour=(15, 110, 20))] * 2
    assert first_success([START, *green]) == 3


def test_reason_says_what_is_missing() -> None:
    classifier = judge()
    classifier.reset(START)
    assert classifier(seen(0.8, 0, z=0.1)).reason.startswith("not raised: 0.100 m of 0.150 m")
    assert classifier(START).reason.startswith("scoop empty")
    for _ in range(2):
        assert not classifier(FULL).success
    assert classifier(FULL).reason.startswith("not poured: candies over 80%")
    assert classifier(START).reason.startswith("target: candies over 0% more")


def asked_for(track: list[Observation]) -> str:
    """What the operator is asked to do in the end. The bin is the lower left corner."""
    parameters = {"bin_region": [0.0, 0.5, 0.5, 1.0], "few": 0.2, "spilled": 0.1, "recent": 3}
    classifier = judge(**parameters)
    classifier.reset(track[0])
    return [classifier(obs) for obs in track][-1].human_reset


def scene(in_bin: float, on_table: float = 0.0, scoop: float = 0.0) -> Observation:
    """Candies over so much of the bin, of the whole image beside it and of the scoop."""
    seen_of = seen(scoop, 0)
    seen_of.views["side"][20 : 20 + round(20 * in_bin), :20] = RED
    seen_of.views["side"][: round(40 * on_table * 2), :20] = RED
    return seen_of


FULL_BIN, EMPTY_BIN, UNTIDY = scene(0.8), scene(0.1), scene(0.8, 0.2)


@pytest.mark.parametrize(
    ("track", "asked"),
    [
        ([FULL_BIN], ""),
        ([EMPTY_BIN] * 3, "refill the bin (candies over 10% of it)"),
        ([FULL_BIN, EMPTY_BIN, EMPTY_BIN], ""),  # the arm was before it
        ([FULL_BIN, EMPTY_BIN, EMPTY_BIN, EMPTY_BIN], "refill the bin (candies over 10% of it)"),
        ([UNTIDY] * 3, "take the candies off the table"),
        ([FULL_BIN, UNTIDY, UNTIDY], ""),  # they may be falling
        ([scene(0.8, 0.2, scoop=0.8)] * 3, ""),  # those of the scoop
        (
            [FULL_BIN, *[scene(0.8, scoop=0.8)] * 3, UNTIDY, UNTIDY],
            "take the candies off the table",
        ),
        ([scene(0.1, 0.2)] * 3, "refill the bin (candies over 10% of it), take the candies off"),
    ],
)
def test_the_operator_is_asked_for_when_the_scene_needs_one(track: list, asked: str) -> None:
    found = asked_for(track)
    assert found.startswith(asked) if asked else found == ""


@pytest.mark.parametrize(
    ("taken", "spilled", "asked"),
    [(0, 0, ""), (20, 0, ""), (33, 0, "refill"), (12, 12, "take the candies off the table")],
)
def test_it_sees_what_the_scene_needs(
    task: TaskConfig, world: World, taken: int, spilled: int, asked: str
) -> None:
    """taken: candies out of the bin; spilled: of these on the table, the others in the target."""
    world.reset(5)
    for i in range(taken):
        side = i < spilled
        at = np.array([0.40, -0.03, 0.0]) if side else np.array([0.44, 0.11, 0.0])
        place = at + np.array([i % 5, i // 5 % 3, 0]) * 0.026 + [0, 0, 0.012 + 0.025 * (i // 15)]
        world.place(f"{CANDY}_{i}", place, UNTURNED)
    for _ in range(20):
        world.step(np.zeros(7))
    classifier = make_classifier(task)
    seen_now = observe(world, images=True)
    classifier.reset(seen_now)
    verdicts = [classifier(seen_now) for _ in range(3)]
    assert verdicts[-1].human_reset.startswith(asked) if asked else not verdicts[-1].human_reset


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("heigth", 0.1, "heigth: no such field (did you mean height?)"),
        ("colours.hues", 3, "colours.hues: 3: input should be a valid tuple"),
        ("colours.hues", ["red"], "colours.hues.0: 'red': input should be a valid number"),
        ("colours.hues", [400], "colours.hues.0: 400: input should be less than 360"),
        ("colours.hues", [], "colours.hues: []: "),
        ("scoop_region", [0.5, 0, 0.2, 1], "scoop_region: [0.5, 0, 0.2, 1]: should be [left, "),
        ("scoop_region", [0, 0, 1], "scoop_region"),
        ("emptied", 0.5, "emptied 0.5 must lie below scooped 0.35"),
        ("hold_steps", 0, "hold_steps: 0: "),
        ("few", 1.0, "few: 1.0: input should be less than 1"),
        ("spilled", 0.0, "spilled: 0.0: input should be greater than 0"),
    ],
)
def test_a_bad_parameter_is_refused_while_the_task_is_loaded(field, value, message) -> None:
    with pytest.raises(ConfigError) as caught:
        load_task("candy_scoop", {f"classifier.parameters.{field}": value})
    assert message in str(caught.value)


@pytest.mark.slow
def test_agrees_with_ground_truth_on_demonstrations(task: TaskConfig, world: World) -> None:
    for seed in seeds(1):
        world.reset(seed)
        operator = make_expert(task, LIMITS, np.random.default_rng(seed))
        classifier = make_classifier(task)
        outcome = episode(
            task, world, operator, Mode.DEMONSTRATE, classifier=classifier, images=True
        )
        assert outcome.success


@pytest.mark.slow
@pytest.mark.parametrize("mistake", ["beside", "never pours"])
def test_near_failures_are_no_success(task: TaskConfig, world: World, mistake: str) -> None:
    """benchmarks/classifier_agreement.py has more of them."""
    world.reset(3)
    operator = make_expert(task, LIMITS, np.random.default_rng(0))
    operator.reset(3)
    classifier = make_classifier(task)
    classifier.reset(observe(world, images=True))
    scooped = False
    for step in range(100):
        objects = world.objects()
        scene = CandySight(OperatorView(world.proprio(), objects, step, Mode.DEMONSTRATE))
        scooped |= scene.held >= ENOUGH and scene.raised
        if mistake == "beside":
            position, quaternion = objects[TARGET]
            objects[TARGET] = (position + np.array([0.11, 0.0, 0.0]), quaternion)
        command = operator.act(OperatorView(world.proprio(), objects, step, Mode.DEMONSTRATE))
        still = mistake == "never pours" and scene.held >= ENOUGH and scene.over_target
        world.step(np.zeros(7) if still else command.action() * LIMITS.scale())
        assert not classifier(observe(world, images=True)).success
    assert scooped
    assert not world.success()

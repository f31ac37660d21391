# SPDX-License-Identifier: Apache-2.0
"""String Light Routing, Route I and II: a bulb that hangs on its nail, and one that doesn't."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.data.types import Observation, Proprio
from expo_ft_ros.robots import load_robot
from expo_ft_ros.sim.world import World
from expo_ft_ros.tasks import TaskConfig, load_task
from expo_ft_ros.tasks.classifiers import make_classifier
from expo_ft_ros.tasks.experts import Mode
from expo_ft_ros.tasks.scenes import make_world
from expo_ft_ros.tasks.string_light.board import BULBS, NAILS, STANDS, RouteScene
from expo_ft_ros.tasks.string_light_route_1.reward import Classifier, Parameters
from expo_ft_ros.tasks.string_light_route_1.scene import Scene as SceneOne
from expo_ft_ros.tasks.string_light_route_2.scene import Scene as SceneTwo
from support.driving import Policy, episode, expert_policy, frozen, seeded_expert

LIMITS = load_robot("sim").limits
SCENES: dict[str, type[RouteScene]] = {
    "string_light_route_1": SceneOne,
    "string_light_route_2": SceneTwo,
}
OPEN, CLOSED = 0.07, 0.022
RED = (230, 30, 20)


@pytest.fixture(scope="module", params=sorted(SCENES))
def task(request: pytest.FixtureRequest) -> TaskConfig:
    return load_task(request.param)


@pytest.fixture(scope="module")
def world(task: TaskConfig) -> Iterator[World]:
    made = make_world(task, LIMITS, render_size=112)
    yield made
    made.close()


def bulb_and_nail(task: TaskConfig) -> tuple[str, str]:
    """Names of those that the task is about."""
    number = SCENES[task.name]().wanted
    return BULBS[number], NAILS[number]


def judge(**parameters: object) -> Classifier:
    """Of an image whose right half is looked at, hung in its upper part."""
    given = {
        "region": [0.5, 0.0, 1.0, 0.9],
        "bulb": {"hues": [3]},
        "seen": 0.01,
        "height": 0.6,
        "hold_steps": 2,
    }
    return Classifier(Parameters.model_validate({**given, **parameters}))


def seen(
    height: float, width: float = OPEN, x: float = 0.75, colour: tuple[int, int, int] = RED
) -> Observation:
    """A bulb whose middle is that high in the side view, and a gripper open so wide."""
    pixels = np.full((40, 40, 3), 150, np.uint8)
    row, column = round(40 * (1 - height)), round(40 * x)
    pixels[max(row - 3, 0) : row + 3, column - 2 : column + 2] = colour
    proprio = Proprio(np.array([0.45, 0.0, 0.2]), np.array([1.0, 0, 0, 0]), width)
    return Observation(0, 0.0, {"side": pixels}, proprio, "")


HUNG, HELD, LOW = seen(0.75), seen(0.75, CLOSED), seen(0.4)


@pytest.mark.parametrize(
    ("track", "at"),
    [
        ([LOW, HELD, HUNG, HUNG], 3),
        ([HUNG, LOW, HUNG, HUNG], 3),  # it fell, and was hung once more
        ([HELD] * 4, None),
        ([LOW] * 4, None),
        ([HUNG, LOW] * 3, None),  # a moment of it is a fall
        ([seen(0.75, x=0.25)] * 4, None),  # as high, but not at the nail
        ([seen(0.75, colour=(30, 30, 230))] * 4, None),  # another bulb
        ([seen(0.55)] * 4, None),
    ],
)
def test_success_is_a_high_bulb_and_an_open_gripper_for_a_while(
    track: list[Observation], at: int | None
) -> None:
    classifier = judge()
    classifier.reset(LOW)
    assert next((i for i, obs in enumerate(track) if classifier(obs).success), None) == at


def test_reason_says_what_is_missing_and_marks_where_it_looks() -> None:
    classifier = judge()
    classifier.reset(LOW)
    assert classifier(LOW).reason == "bulb too low: at 0.40 of the image's height, not 0.60"
    assert classifier(HELD).reason == "gripper closed: 22 mm of 45 mm"
    assert classifier(seen(0.75, x=0.25)).reason.startswith("bulb not seen: over 0.00% of the")
    assert classifier(HUNG).reason == "hangs for 1 of 2 steps"
    marks = classifier.marks(HUNG.views)["side"]
    assert marks.regions["hung"] == pytest.approx((0.5, 0.0, 1.0, 0.4))
    assert marks.mask is not None
    assert marks.mask.sum() == 24


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("height", 1.0, "height: 1.0: input should be less than 1"),
        ("region", [0.5, 0.0, 0.4, 1.0], "region: [0.5, 0.0, 0.4, 1.0]: should be [left, "),
        ("bulb.hues", [], "bulb.hues: []: "),
        ("open_with", 0.05, "open_with: no such field (did you mean open_width?)"),
    ],
)
def test_a_bad_parameter_is_refused_while_the_task_is_loaded(
    field: str, value: object, message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load_task("string_light_route_2", {f"classifier.parameters.{field}": value})
    assert message in str(caught.value)


def test_both_routes_are_judged_by_one_classifier() -> None:
    one, two = (load_task(name) for name in sorted(SCENES))
    assert type(make_classifier(one)) is type(make_classifier(two)) is Classifier


def test_episodes_start_at_rest_with_the_bulb_on_its_foot(task: TaskConfig, world: World) -> None:
    bulb, _ = bulb_and_nail(task)
    scene, places = SCENES[task.name](), []
    for seed in range(20):
        world.reset(seed)
        before = world.objects()
        place, quaternion = before[bulb]
        assert place[2] == pytest.approx(STANDS, abs=0.002)
        assert abs(quaternion[0]) + abs(quaternion[1]) < 0.02  # upright
        assert not world.success()
        places.append(place[:2])
        world.step(np.zeros(7))
        after = world.objects()
        assert all(np.abs(after[name][0] - before[name][0]).max() < 0.004 for name in BULBS)
    room = 0.015  # the cable moves the bulb while it comes to rest
    assert np.all(np.array(places) > scene.LOW - room)
    assert np.all(np.array(places) < scene.HIGH + room)
    assert np.all(np.ptp(places, axis=0) > 0.7 * (scene.HIGH - scene.LOW))


def test_on_the_second_route_the_first_bulb_hangs_already() -> None:
    task = load_task("string_light_route_2")
    world = make_world(task, LIMITS, render_size=32)
    for seed in range(3):
        world.reset(seed)
        for _ in range(10):
            world.step(np.zeros(7))
        hangs, nail = world.objects()[BULBS[0]][0], world.objects()[NAILS[0]][0]
        assert np.abs(hangs - nail)[1] < 0.006
        assert -0.012 < hangs[2] - nail[2] < 0.0
    world.close()


@pytest.mark.slow
def test_the_expert_hangs_the_bulb_and_the_classifier_sees_it(
    task: TaskConfig, world: World
) -> None:
    """benchmarks/near_failures/ has what isn't one."""
    steps = []
    for seed in range(3):
        world.reset(seed)
        outcome = episode(
            task, world, seeded_expert(task, seed), Mode.DEMONSTRATE,
            classifier=make_classifier(task), images=True,
        )  # fmt: skip
        assert outcome.success
        steps.append(outcome.steps)
    assert 50 <= np.mean(steps) <= 120


@pytest.mark.slow
@pytest.mark.parametrize("shift", [(0.0, 0.02, 0.0), (0.0, 0.0, 0.04)], ids=["beside", "over"])
def test_a_bulb_let_go_near_the_nail_is_no_success(
    task: TaskConfig, world: World, shift: tuple[float, ...]
) -> None:
    world.reset(3)
    policy = expert_policy(task, 3, bulb_and_nail(task)[1], shift)
    nobody = seeded_expert(task, 0, rate=0.0)
    classifier = make_classifier(task)
    outcome = episode(task, world, nobody, Mode.CORRECT, policy, classifier, images=True)
    assert outcome.steps == task.max_steps
    assert not world.success()


@pytest.mark.slow
def test_a_bulb_that_hangs_in_a_closed_gripper_is_no_success(
    task: TaskConfig, world: World
) -> None:
    world.reset(0)
    act, closed = expert_policy(task, 0), [False]

    def policy(world: World, step: int) -> np.ndarray:
        action = act(world, step)
        closed[0] = closed[0] or action[6] < 0
        return np.append(action[:6], -1.0 if closed[0] else action[6])

    nobody = seeded_expert(task, 0, rate=0.0)
    outcome = episode(task, world, nobody, Mode.CORRECT, policy, make_classifier(task), images=True)
    assert outcome.steps == task.max_steps
    assert not world.success()


@pytest.mark.slow
def test_a_good_policy_is_left_alone(task: TaskConfig, world: World) -> None:
    for seed in range(2):
        world.reset(seed)
        good, watcher = expert_policy(task, seed + 100), seeded_expert(task, seed)
        outcome = episode(task, world, watcher, Mode.CORRECT, good, done=World.success)
        assert outcome.success
        assert outcome.human == 0


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["frozen", "aside", "beside the nail"])
def test_rescues_a_bad_policy(task: TaskConfig, world: World, kind: str) -> None:
    policies: dict[str, Policy] = {
        "frozen": frozen,
        "aside": lambda world, step: np.array([0.0, 0.6, 0.0, 0.0, 0.0, 0.0, 0.0]),
        "beside the nail": expert_policy(task, 1, bulb_and_nail(task)[1], (0.0, -0.02, 0.0)),
    }
    world.reset(21)
    outcome = episode(
        task, world, seeded_expert(task, 1), Mode.CORRECT, policies[kind], done=World.success
    )
    assert outcome.human > 0
    assert outcome.success

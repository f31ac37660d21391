# SPDX-License-Identifier: Apache-2.0
"""String Light Routing, Insert: the light is on where the plug is in, and nowhere else."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import pytest

from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.control.reset_script import ResetScript
from expo_ft_ros.data.types import Observation, Proprio
from expo_ft_ros.robots import load_robot
from expo_ft_ros.sim.world import World
from expo_ft_ros.tasks import TaskConfig, load_task
from expo_ft_ros.tasks.classifiers import make_classifier
from expo_ft_ros.tasks.experts import Mode
from expo_ft_ros.tasks.scenes import make_world
from expo_ft_ros.tasks.string_light_insert.reward import Classifier, Parameters
from expo_ft_ros.tasks.string_light_insert.scene import (
    HANDLE,
    PLUG,
    PLUG_HIGH,
    PLUG_LOW,
    SOCKET,
    TOOL_HIGH,
    TOOL_LOW,
)
from support.driving import Policy, episode, expert_policy, frozen, observe, seeded_expert

LIMITS = load_robot("sim").limits
LIT, DARK = (255, 210, 30), (150, 150, 155)
SMALL = {
    "bulbs_region": [0.5, 0.0, 1.0, 1.0],
    "light": {"hues": [48], "min_value": 0.7},
    "lit": 0.3,
    "hold_steps": 2,
}


@pytest.fixture(scope="module")
def task() -> TaskConfig:
    return load_task("string_light_insert")


@pytest.fixture(scope="module")
def world(task: TaskConfig) -> Iterator[World]:
    made = make_world(task, LIMITS, render_size=112)
    yield made
    made.close()


def seen(part: float, colour: tuple[int, int, int] = LIT, left: bool = False) -> Observation:
    """So much of the bulbs' half of the image, or of the other one, in that colour."""
    pixels = np.full((40, 40, 3), DARK, np.uint8)
    half = slice(0, 20) if left else slice(20, 40)
    pixels[: round(40 * part), half] = colour
    proprio = Proprio(np.array([0.45, 0.0, 0.2]), np.array([1.0, 0, 0, 0]), 0.02)
    return Observation(0, 0.0, {"side": pixels}, proprio, "")


def first_success(track: list[Observation]) -> int | None:
    """The first observation after the start that is a success."""
    classifier = Classifier(Parameters.model_validate(SMALL))
    classifier.reset(track[0])
    return next((i for i, obs in enumerate(track[1:]) if classifier(obs).success), None)


OFF, ON = seen(0.0), seen(0.6)


@pytest.mark.parametrize(
    ("track", "at"),
    [
        ([OFF, ON, ON], 1),
        ([OFF, ON, OFF, ON, ON], 3),
        ([OFF, ON, OFF, ON, OFF, ON], None),  # it flickers
        ([OFF, *[seen(0.2)] * 4], None),  # too little of it
        ([ON, *[ON] * 4], None),  # it was on before
        ([OFF, *[seen(0.6, DARK)] * 4], None),
        ([OFF, *[seen(0.6, (90, 74, 11))] * 4], None),  # the colour, but it doesn't shine
        ([OFF, *[seen(0.6, left=True)] * 4], None),  # elsewhere in the image
        ([OFF, *[seen(0.6, (235, 92, 15))] * 4], None),  # the plug before the bulbs
    ],
)
def test_success_is_light_that_turns_on_and_lasts(track: list[Observation], at: int | None) -> None:
    assert first_success(track) == at


def test_light_that_was_on_before_asks_for_the_operator() -> None:
    classifier = Classifier(Parameters.model_validate(SMALL))
    classifier.reset(ON)
    assert classifier(ON).human_reset.startswith("take the plug out")
    classifier.reset(OFF)
    assert not any(classifier(obs).human_reset for obs in (OFF, ON, ON))


def test_reason_says_what_is_missing_and_marks_where_it_looks() -> None:
    classifier = Classifier(Parameters.model_validate(SMALL))
    classifier.reset(OFF)
    assert classifier(seen(0.1)).reason == "light off: over 10% more of the bulbs' region, not 30%"
    assert classifier(ON).reason == "light on for 1 of 2 steps"
    marks = classifier.marks(ON.views)["side"]
    assert list(marks.regions) == ["bulbs"]
    assert marks.mask is not None
    assert marks.mask.mean() == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("light.min_value", 0, "light.min_value 0 is black, too"),
        ("lit", 0, "lit: 0: input should be greater than 0"),
        ("lid", 0.2, "lid: no such field (did you mean lit?)"),
    ],
)
def test_a_bad_parameter_is_refused_while_the_task_is_loaded(
    field: str, value: float, message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load_task("string_light_insert", {f"classifier.parameters.{field}": value})
    assert message in str(caught.value)


def test_episodes_start_at_rest_with_the_plug_on_the_table(world: World) -> None:
    plugs, tools = [], []
    for seed in range(20):
        world.reset(seed)
        plug, tool = world.objects()[PLUG][0], world.proprio().position
        assert plug[2] == pytest.approx(HANDLE[2], abs=0.001)
        assert not world.success()
        plugs.append(plug[:2])
        tools.append(tool)
        world.step(np.zeros(7))
        assert np.abs(world.objects()[PLUG][0] - plug).max() < 0.003
    room = 0.012  # the cable moves the plug while it comes to rest
    assert np.all(np.array(plugs) > PLUG_LOW - room)
    assert np.all(np.array(plugs) < PLUG_HIGH + room)
    assert np.all(np.ptp(plugs, axis=0) > 0.7 * (PLUG_HIGH - PLUG_LOW))
    assert np.all(np.array(tools) > TOOL_LOW - 0.002)
    assert np.all(np.array(tools) < TOOL_HIGH + 0.002)


@pytest.mark.slow
def test_the_expert_turns_the_light_on_and_the_classifier_sees_it(
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
    assert 45 <= np.mean(steps) <= 120


@pytest.mark.slow
@pytest.mark.parametrize("shift", [(0.0, 0.02, 0.0), (0.0, 0.0, 0.025)], ids=["side", "over"])
def test_near_failures_are_no_success(
    task: TaskConfig, world: World, shift: tuple[float, ...]
) -> None:
    world.reset(3)
    policy = expert_policy(task, 3, SOCKET, shift)
    classifier = make_classifier(task)
    outcome = episode(
        task, world, seeded_expert(task, 0, rate=0.0), Mode.CORRECT, policy, classifier,
        images=True,
    )  # fmt: skip
    assert outcome.steps == task.max_steps
    assert not world.success()


def test_a_plug_in_the_hole_that_doesn_t_press_the_contact_lights_nothing(
    task: TaskConfig, world: World
) -> None:
    world.reset(0)
    classifier = make_classifier(task)
    classifier.reset(observe(world, images=True))
    policy = expert_policy(task, 0)
    for step in range(task.max_steps):
        tip = world.objects()[PLUG][0][0] + HANDLE[0] + 0.022
        if tip > world.objects()[SOCKET][0][0] + 0.012:
            break
        world.step(policy(world, step) * LIMITS.scale())
    assert tip > world.objects()[SOCKET][0][0] + 0.012
    for _ in range(3):
        world.step(np.zeros(7))
        assert not classifier(observe(world, images=True)).success
    assert not world.success()


@pytest.mark.slow
def test_the_reset_script_pulls_the_plug_out_and_drops_it_within_reach(
    task: TaskConfig, world: World
) -> None:
    low, high = (np.array(side)[:2] for side in (task.workspace.low, task.workspace.high))
    for seed in range(2):
        world.reset(seed)
        shown = seeded_expert(task, seed)
        assert episode(task, world, shown, Mode.DEMONSTRATE, done=World.success).success
        script = ResetScript(task.reset_script, LIMITS, task.period, seed=seed)
        while not script.done:
            world.step(script.advance(world.proprio()) * LIMITS.scale(), task.period)
            assert not script.failed, script.failed
        plug, quaternion = world.objects()[PLUG]
        assert plug[2] == pytest.approx(HANDLE[2], abs=0.003)
        assert np.all((plug[:2] > low) & (plug[:2] < high))
        assert abs(2 * np.arctan2(quaternion[2], quaternion[3])) < 0.6
        assert episode(
            task, world, seeded_expert(task, seed + 50), Mode.DEMONSTRATE, done=World.success
        ).success


def never_closing(act: Policy, world: World, step: int) -> np.ndarray:
    return np.append(act(world, step)[:6], 1.0)


@pytest.mark.slow
def test_a_good_policy_is_left_alone(task: TaskConfig, world: World) -> None:
    for seed in range(2):
        world.reset(seed)
        good = expert_policy(task, seed + 100)
        watcher = seeded_expert(task, seed)
        outcome = episode(task, world, watcher, Mode.CORRECT, good, done=World.success)
        assert outcome.success
        assert outcome.human == 0


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["frozen", "aside", "never closing", "beside the hole"])
def test_rescues_a_bad_policy(task: TaskConfig, world: World, kind: str) -> None:
    for seed in range(2):
        act = expert_policy(task, seed)
        policies: dict[str, Policy] = {
            "frozen": frozen,
            "aside": lambda world, step: np.array([0.0, 0.6, 0.0, 0.0, 0.0, 0.0, 0.0]),
            "never closing": partial(never_closing, act),
            "beside the hole": expert_policy(task, seed, SOCKET, (0.0, -0.02, 0.0)),
        }
        world.reset(seed + 20)
        outcome = episode(
            task, world, seeded_expert(task, seed), Mode.CORRECT, policies[kind], done=World.success
        )
        assert outcome.human > 0
        assert outcome.success

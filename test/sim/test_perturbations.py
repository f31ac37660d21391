# SPDX-License-Identifier: Apache-2.0
"""What perturbations do to the scenes of all tasks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import numpy as np
import pytest

from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.data.perturbations import PERTURBATIONS, parse_perturbations
from expo_ft_ros.experiment.random_episodes import random_episode
from expo_ft_ros.sim.perturbations import require_perturbable
from expo_ft_ros.sim.world import World
from expo_ft_ros.tasks import TaskConfig, known_tasks, load_task
from expo_ft_ros.tasks.scenes import make_scene, make_world
from support.driving import LIMITS

SEEN, FELT = ("lighting", "distractors", "objects"), ("nudge", "push")
NOTHING_LOOSE = {"flower_insert"}
STILL = np.zeros(7)


def world_of(task: TaskConfig, *names: str) -> World:
    return make_world(task, LIMITS, render_size=64, perturbations=names)


def possible(task: TaskConfig) -> list[str]:
    return [name for name in PERTURBATIONS if name != "nudge" or task.name not in NOTHING_LOOSE]


@pytest.fixture(scope="module", params=known_tasks())
def task(request: pytest.FixtureRequest) -> TaskConfig:
    return load_task(request.param)


@pytest.fixture(scope="module")
def plain(task: TaskConfig) -> Iterator[World]:
    with closing(world_of(task)) as made:
        yield made


@pytest.fixture(scope="module")
def whole(task: TaskConfig) -> Iterator[World]:
    """With all that there is for the task."""
    with closing(world_of(task, *possible(task))) as made:
        yield made


def pictures(world: World) -> np.ndarray:
    return np.stack(list(world.images().values())).astype(int)


def positions(world: World) -> np.ndarray:
    return np.array([position for position, _ in world.objects().values()])


def history(world: World, ticks: int) -> tuple[np.ndarray, np.ndarray]:
    """(ticks, objects, 3) and (ticks, 3): where things and tool are while nothing is commanded."""
    things, tools = [], []
    for _ in range(ticks):
        world.step(STILL)
        things.append(positions(world))
        tools.append(world.proprio().position)
    return np.array(things), np.array(tools)


@pytest.mark.parametrize("name", PERTURBATIONS)
def test_it_changes_what_is_seen_or_what_happens(task: TaskConfig, plain: World, name: str) -> None:
    if name not in possible(task):
        pytest.skip(f"{task.name} has nothing for {name}")
    with closing(world_of(task, name)) as perturbed:
        plain.reset(1)
        perturbed.reset(1)
        changed = np.abs(pictures(plain) - pictures(perturbed)).max(axis=-1)
        assert (changed > 8).mean() > 0.002 if name in SEEN else changed.max() == 0
        begin = (positions(plain), positions(perturbed))
        # Smaller candies come to rest a little otherwise.
        nearly = 0.02 if name == "objects" else 0.0
        assert np.abs(begin[0] - begin[1]).max() <= nearly, "the same scene"
        (things, tool), (shoved, pushed) = history(plain, 25), history(perturbed, 25)
    aside = np.linalg.norm(shoved - things, axis=-1).max()
    given_way = np.linalg.norm(pushed - tool, axis=-1).max()
    if name == "nudge":
        assert 0.004 < aside < 0.12
        assert given_way < 0.001
    elif name == "push":
        assert 0.001 < given_way < 0.03
    elif name != "objects":
        assert np.array_equal(shoved, things)
        assert np.array_equal(pushed, tool)
    if name in FELT:
        assert np.array_equal(shoved[:4], things[:4]), "not before half a second"


def test_a_scene_is_disturbed_alike_each_time(whole: World) -> None:
    def seen(seed: int) -> bytes:
        whole.reset(seed)
        first = pictures(whole)
        history(whole, 12)
        last = pictures(whole)
        return first.tobytes() + last.tobytes() + whole.data.qpos.tobytes()

    once = seen(11)
    assert seen(12) != once
    assert seen(11) == once


def test_a_restored_world_goes_on_alike(whole: World) -> None:
    """Also out of the middle of a shove or push."""
    whole.reset(4)
    history(whole, 5)
    state = whole.state()
    first = history(whole, 16)
    whole.restore(state)
    again = history(whole, 16)
    assert all(np.array_equal(*pair) for pair in zip(first, again, strict=True))


@pytest.mark.slow
def test_random_actions_break_nothing_with_all_of_them(task: TaskConfig, whole: World) -> None:
    for seed in range(2):
        episode = random_episode(task, whole, LIMITS, seed, 40)
        assert (episode.fault, episode.steps) == ("", 40)


def test_one_is_drawn_alike_whichever_others_are_on() -> None:
    task = load_task("cube_pick")
    with closing(world_of(task, "lighting")) as alone, closing(world_of(task, *SEEN)) as among:
        for world in (alone, among):
            world.reset(3)
        assert np.array_equal(alone.model.light_dir, among.model.light_dir)
        assert np.array_equal(alone.model.light_diffuse, among.model.light_diffuse)


def test_what_varies_has_its_bounds_with_it() -> None:
    """A ray, as of the camera without OpenGL, meets a shape where its bounds let it."""
    with closing(world_of(load_task("cube_pick"), "objects")) as world:
        cube, sizes = world.model.geom("cube").id, []
        for seed in range(20):
            world.reset(seed)
            half = world.model.geom_size[cube][0]
            sizes.append(half)
            assert world.model.geom_aabb[cube][3:] == pytest.approx([half] * 3)
            assert world.model.geom_rbound[cube] == pytest.approx(np.sqrt(3) * half)
        assert 0.94 * 0.02 <= min(sizes) < max(sizes) <= 0.02


def test_patches_lie_on_what_the_camera_sees() -> None:
    with closing(world_of(load_task("pool_shot"), "distractors")) as world:
        for seed in range(5):
            world.reset(seed)
            for i in range(6):
                place = world.data.body(f"distractor_{i}").xpos
                assert abs(place[2]) < 1e-6 or place[0] < -0.85, "on the table, or on the wall"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("", ()), ("push", ("push",)), ("push, lighting", ("lighting", "push"))],
)
def test_names_are_read_in_one_order(text: str, wanted: tuple[str, ...]) -> None:
    assert parse_perturbations(text) == wanted


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lightning", "no such perturbation 'lightning' .known: lighting, distractors"),
        ("push,push", "push is given twice"),
        ("push,", "no such perturbation ''"),
    ],
)
def test_other_names_are_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_perturbations(text)


def test_what_a_scene_has_nothing_for_is_refused() -> None:
    scene = make_scene(load_task("flower_insert"))
    require_perturbable(scene, [name for name in PERTURBATIONS if name != "nudge"])
    with pytest.raises(ConfigError, match="nudge: nothing lies loose: bottle, flower, stem_tip"):
        require_perturbable(scene, ["push", "nudge"])
    with pytest.raises(ConfigError, match="no such perturbation 'wind'"):
        require_perturbable(scene, ["wind"])


@pytest.mark.parametrize("name", ["candy_scoop", "cube_pick"])
def test_bounds_are_those_of_the_size_whatever_sizes_were_before(name: str) -> None:
    """A sphere uses one of its three sizes; a patch is flat."""
    task = load_task(name)
    with (
        closing(world_of(task, "distractors", "objects")) as often,
        closing(world_of(task, "distractors", "objects")) as once,
    ):
        for seed in range(30):
            often.reset(seed)
        for world in (often, once):
            world.reset(77)
        for part in ("geom_size", "geom_aabb", "geom_rbound"):
            found, expected = (getattr(world.model, part) for world in (often, once))
            np.testing.assert_allclose(found, expected, rtol=1e-9, err_msg=part)

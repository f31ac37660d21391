# SPDX-License-Identifier: Apache-2.0
"""Cameras: what they show, with each renderer there is."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.sim import gl
from expo_ft_ros.sim.gl import RAYCAST, choose_gl, egl_works, osmesa_works
from expo_ft_ros.sim.render import RayRenderer
from expo_ft_ros.sim.world import World
from expo_ft_ros.tasks import TaskConfig
from expo_ft_ros.tasks.experts import Mode, make_expert
from expo_ft_ros.tasks.scenes import make_world
from support.driving import LIMITS, inside, view

_PROBE = """
from expo_ft_ros.robots import load_robot
from expo_ft_ros.tasks.scenes import make_world
from expo_ft_ros.tasks import load_task
world = make_world(load_task("cube_pick"), load_robot("sim").limits)
side = world.images()["side"].astype(int)
red = (side[..., 0] > 90) & (side[..., 0] > 2 * side[..., 1])
print(world.backend, side.shape == (224, 224, 3), red.sum() > 30)
"""


def cube_mask(image: np.ndarray) -> np.ndarray:
    """True where a pixel has the cube's colour."""
    pixels = image.astype(int)
    return (pixels[..., 0] > 70) & (pixels[..., 0] > 2.5 * pixels[..., 1])


def blue_mask(image: np.ndarray) -> np.ndarray:
    """True where a pixel has the fingertips' colour."""
    pixels = image.astype(int)
    return (pixels[..., 2] > 80) & (pixels[..., 2] > 2 * pixels[..., 0])


def probe(**environment: str) -> list[str]:
    """Runs a fresh interpreter with these variables; returns backend, shape, cube seen."""
    base = {k: v for k, v in os.environ.items() if k not in ("MUJOCO_GL", "PYOPENGL_PLATFORM")}
    done = subprocess.run(
        [sys.executable, "-c", _PROBE],
        env=base | environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "Exception ignored" not in done.stderr
    return done.stdout.split()


def test_side_camera_sees_the_cube_wherever_it_lies(world: World) -> None:
    for seed in range(25):
        world.reset(seed)
        images = world.images()
        assert images["side"].shape == images["wrist"].shape == (224, 224, 3)
        assert images["side"].dtype == np.uint8
        assert cube_mask(images["side"]).sum() > 80, f"seed {seed}"
        assert blue_mask(images["side"]).sum() > 20, f"seed {seed}: fingertips out of view"


def test_there_is_a_camera_above_the_table(task: TaskConfig) -> None:
    from_above = make_world(task, LIMITS, cameras=("top",))
    try:
        seen = []
        for seed in range(10):
            from_above.reset(seed)
            (image,) = from_above.images().values()
            seen.append(cube_mask(image).sum())
        # The hand is between them where the cube lies below it.
        assert np.mean(np.array(seen) > 80) > 0.5, seen
    finally:
        from_above.close()


def test_views_differ_and_follow_the_scene(world: World) -> None:
    world.reset(0)
    first = world.images()
    world.reset(1)
    second = world.images()
    assert not np.array_equal(first["side"], first["wrist"])
    for name in first:
        assert not np.array_equal(first[name], second[name])


def test_wrist_camera_sees_fingertips_and_the_cube_below(task: TaskConfig, world: World) -> None:
    world.reset(5)
    operator = make_expert(task, LIMITS, np.random.default_rng(0))
    for step in range(60):
        command = operator.act(view(world, step, Mode.DEMONSTRATE))
        if command.gripper == "close":
            break
        world.step(inside(task, world, command.action().astype(np.float64)))
    wrist = world.images()["wrist"]
    assert cube_mask(wrist).sum() > 500
    assert blue_mask(wrist)[:, :112].sum() > 100
    assert blue_mask(wrist)[:, 112:].sum() > 100


def test_ray_casting_shows_what_opengl_shows(world: World) -> None:
    if world.backend == RAYCAST:
        pytest.skip("no OpenGL on this machine to compare with")
    world.reset(7)
    rays = RayRenderer(world.model, 224)
    for name, drawn in world.images().items():
        cast = rays.render(world.data, name)
        assert cast.shape == drawn.shape
        assert cast.dtype == np.uint8
        both = cube_mask(cast) & cube_mask(drawn)
        either = cube_mask(cast) | cube_mask(drawn)
        assert both.sum() > 0.8 * either.sum() > 0


@pytest.mark.process
def test_disabled_opengl_means_ray_casting() -> None:
    assert probe(MUJOCO_GL="disable") == ["raycast", "True", "True"]


@pytest.mark.process
def test_opengl_that_fails_to_start_falls_back_to_ray_casting() -> None:
    assert probe(MUJOCO_GL="egl", PYOPENGL_PLATFORM="osmesa") == ["raycast", "True", "True"]


@pytest.mark.process
@pytest.mark.skipif(not osmesa_works(), reason="no libOSMesa here")
def test_osmesa_draws() -> None:
    assert probe(MUJOCO_GL="osmesa") == ["osmesa", "True", "True"]


@pytest.mark.process
@pytest.mark.skipif(not egl_works(), reason="no EGL device here")
def test_egl_is_chosen_where_it_works() -> None:
    assert probe() == ["egl", "True", "True"]


@pytest.mark.parametrize("library", ["egl", "osmesa"])
def test_a_renderer_asked_for_but_missing_is_one_line_with_the_remedy(
    library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MUJOCO_GL", library)
    monkeypatch.setattr(gl, f"{library}_works", lambda: False)
    with pytest.raises(ConfigError, match=f"MUJOCO_GL={library}: .* missing .*apt-get install"):
        choose_gl()


def test_an_unknown_renderer_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUJOCO_GL", "nonsense")
    with pytest.raises(ConfigError, match="known: egl"):
        choose_gl()


def test_choose_gl_is_idempotent() -> None:
    assert choose_gl() == choose_gl()


def test_a_closed_renderer_is_replaced(task: TaskConfig) -> None:
    world = make_world(task, LIMITS)
    before = world.images()["side"]
    world.close()
    world.close()
    assert np.array_equal(world.images()["side"], before)
    world.close()

# SPDX-License-Identifier: Apache-2.0
"""A colour range is measured, and finds what it was measured of."""

from __future__ import annotations

import colorsys
from contextlib import closing

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from expo_ft_ros.tasks import known_tasks, load_task
from expo_ft_ros.tasks.calibration import calibrate, colour_names, fit_colours
from expo_ft_ros.tasks.colours import Colours, inside
from expo_ft_ros.tasks.scenes import make_world
from support.driving import LIMITS

SOURCES = np.random.default_rng(0)


def painted(*colours: tuple[float, float, float], noise: int = 4) -> np.ndarray:
    """(n, 3) pixels of these hues [degrees], saturations and brightnesses, in equal parts."""
    rgb = [np.array(colorsys.hsv_to_rgb(h / 360.0, s, v)) for h, s, v in colours]
    pixels = np.repeat(255.0 * np.array(rgb), 120, axis=0)
    pixels += SOURCES.uniform(-noise, noise, pixels.shape)
    return pixels.round().clip(0, 255).astype(np.uint8)


def share(pixels: np.ndarray, found) -> float:
    return float(Colours(found)(pixels[None]).mean())


@given(st.floats(0, 359), st.floats(0.45, 1.0), st.floats(0.4, 1.0))
def test_a_hue_is_found_and_others_are_not(hue: float, saturation: float, value: float) -> None:
    pixels = painted((hue, saturation, value))
    found = fit_colours(pixels)
    assert share(pixels, found) > 0.95
    apart = abs((found.hues[0] - hue + 180.0) % 360.0 - 180.0)
    assert len(found.hues) == 1
    assert apart < 4.0
    assert found.tolerance < 25.0
    for turn in (60.0, 180.0, 300.0):
        assert share(painted(((hue + turn) % 360.0, saturation, value)), found) == 0.0
    grey = painted((0.0, 0.02, value))
    assert share(grey, found) == 0.0


@given(st.floats(0, 359), st.lists(st.floats(35, 60), min_size=1, max_size=4))
def test_several_hues_are_told_apart(first: float, steps: list[float]) -> None:
    hues = [(first + ahead) % 360.0 for ahead in np.cumsum([0.0, *steps])]
    pixels = painted(*((hue, 0.9, 0.9) for hue in hues))
    found = fit_colours(pixels)
    assert len(found.hues) == len(hues)
    assert share(pixels, found) > 0.95


def test_white_and_black_are_known_by_their_brightness() -> None:
    white, black, grey = painted((0, 0.03, 0.9)), painted((200, 0.3, 0.05)), painted((0, 0.0, 0.5))
    of_white, of_black = fit_colours(white), fit_colours(black)
    assert share(white, of_white) > 0.95
    assert share(black, of_black) > 0.95
    assert share(black, of_white) == share(white, of_black) == share(grey, of_black) == 0.0
    assert share(painted((20, 0.8, 0.9)), of_white) == 0.0


def test_too_few_pixels_are_no_measurement() -> None:
    with pytest.raises(ValueError, match=r"3 pixels are too few to measure .take 20"):
        fit_colours(painted((10, 0.9, 0.9))[:3])


def test_what_looks_as_elsewhere_is_left_out() -> None:
    image = np.zeros((40, 40, 3), dtype=np.uint8)
    image[:] = painted((35, 0.4, 0.6), noise=0)[0]
    image[10:20, 10:20] = painted((120, 0.9, 0.8), noise=0)[0]
    wide = (0.1, 0.1, 0.65, 0.65)
    both, alone = calibrate(image, [wide]), calibrate(image, [wide], [(0.7, 0.0, 1.0, 1.0)])
    assert both.outside > 0.5
    assert alone.outside == 0.0
    assert alone.mask.sum() == 100
    assert alone.inside == pytest.approx(100 / 22**2)


def test_the_colours_of_each_classifier_are_known() -> None:
    found = {name: colour_names(load_task(name)) for name in known_tasks()}
    assert found["cube_pick"] == []
    assert found["egg_flip"] == ["egg", "yolk"]
    assert found["pool_shot"] == ["white", "black"]
    assert all(names for name, names in found.items() if name != "cube_pick")


@pytest.mark.parametrize(
    ("name", "colour", "region", "where"),
    [
        ("pool_shot", "white", (0.48, 0.345, 0.52, 0.385), (0.1, 0.28, 0.9, 0.8)),
        ("pool_shot", "black", (0.46, 0.50, 0.50, 0.55), (0.1, 0.28, 0.9, 0.7)),
        ("egg_flip", "yolk", (0.54, 0.46, 0.57, 0.50), (0.18, 0.33, 0.815, 0.84)),
        ("string_light_route_2", "bulb", (0.37, 0.79, 0.42, 0.87), (0.2, 0.6, 0.6, 1.0)),
    ],
)
def test_one_measurement_finds_what_the_task_file_finds(
    name: str, colour: str, region: tuple, where: tuple
) -> None:
    """In the simulation's image of a task, within what its classifier looks at."""
    task = load_task(name)
    with closing(make_world(task, LIMITS, seed=3)) as world:
        image = world.images()["side"]
    measured = inside(calibrate(image, [region]).mask, where)
    written = inside(Colours(getattr(task.classifier.parameters, colour))(image), where)
    assert (measured & written).sum() > 0.75 * (measured | written).sum() > 0

# SPDX-License-Identifier: Apache-2.0
"""Colour masks against the standard library's HSV, and regions against counting."""

from __future__ import annotations

import colorsys

import numpy as np
import pytest

from expo_ft_ros.tasks.colours import (
    ColourRange,
    Colours,
    inside,
    part,
    part_of_image,
    part_outside,
)

HUES, TOLERANCE, SATURATION, VALUE = (5.0, 120.0, 352.0), 12.0, 0.6, 0.25


def test_a_pixel_is_known_by_its_hue_saturation_and_value() -> None:
    image = np.random.default_rng(0).integers(0, 256, (120, 120, 3), dtype=np.uint8)
    wanted = ColourRange(hues=HUES, tolerance=TOLERANCE, min_saturation=SATURATION, min_value=VALUE)
    mask = Colours(wanted)(image)
    compared = 0
    for pixel, found in zip(image.reshape(-1, 3), mask.ravel(), strict=True):
        hue, saturation, value = colorsys.rgb_to_hsv(*(pixel / 255.0))
        apart = min(abs((360.0 * hue - known + 180.0) % 360.0 - 180.0) for known in HUES)
        margins = (TOLERANCE - apart) / 2.0, 255 * (saturation - SATURATION), value - VALUE
        # OpenCV keeps a hue in steps of two degrees, a saturation in steps of 1/255.
        if min(abs(margins[0]), abs(margins[1])) < 1.0:
            continue
        compared += 1
        assert found == all(margin >= 0 for margin in margins), (pixel, margins)
    assert compared > 10_000
    assert mask.sum() > 200


@pytest.mark.parametrize(
    ("region", "share"),
    [((0.0, 0.0, 1.0, 1.0), 0.25), ((0.0, 0.0, 0.5, 0.5), 1.0), ((0.5, 0.0, 1.0, 1.0), 0.0)],
)
def test_a_region_is_given_by_parts_of_width_and_height(region: tuple, share: float) -> None:
    mask = np.zeros((20, 40), np.bool_)
    mask[:10, :20] = True
    assert part(mask, region) == share


def test_what_lies_outside_is_a_part_of_the_whole_image() -> None:
    mask = np.ones((10, 10), np.bool_)
    outside = part_outside(mask, [(0.0, 0.0, 0.5, 1.0), (0.4, 0.0, 0.6, 0.5)])
    assert outside == pytest.approx(0.45)
    assert mask.all(), "the mask itself stays"


def test_white_and_black_are_known_by_little_saturation_and_little_value() -> None:
    image = np.array([[(240, 240, 236), (10, 11, 9), (120, 120, 120), (240, 20, 20)]], np.uint8)
    grey = {"hues": (0,), "tolerance": 180, "min_saturation": 0}
    white = Colours(ColourRange(**grey, max_saturation=0.2, min_value=0.7))
    black = Colours(ColourRange(**grey, min_value=0, max_value=0.15))
    assert white(image).tolist() == [[True, False, False, False]]
    assert black(image).tolist() == [[False, True, False, False]]


def test_a_range_without_room_is_refused() -> None:
    with pytest.raises(ValueError, match=r"min_saturation 0\.6 must lie below max_saturation 0\.3"):
        ColourRange(hues=(0,), max_saturation=0.3)


def test_part_of_the_image_inside_and_outside_add_up() -> None:
    mask = np.random.default_rng(1).random((30, 50)) < 0.3
    region = (0.2, 0.1, 0.7, 0.6)
    both = part_of_image(mask, region) + part_outside(mask, [region])
    assert both == pytest.approx(mask.mean())


def test_inside_of_a_region_a_mask_is_itself_and_nothing_outside() -> None:
    mask = np.random.default_rng(2).random((30, 50)) < 0.3
    kept = inside(mask, (0.2, 0.1, 0.7, 0.6))
    assert np.array_equal(kept[3:18, 10:35], mask[3:18, 10:35])
    assert kept.sum() == mask[3:18, 10:35].sum()

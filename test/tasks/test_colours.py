# SPDX-License-Identifier: Apache-2.0
"""Colour masks against the standard library's HSV, and regions against counting."""

from __future__ import annotations

import colorsys

import numpy as np
import pytest

from expo_ft_ros.tasks.colours import ColourRange, Colours, part, part_outside

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

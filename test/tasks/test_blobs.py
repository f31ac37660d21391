# SPDX-License-Identifier: Apache-2.0
"""Patches of a mask, against rectangles that were drawn."""

from __future__ import annotations

import numpy as np
import pytest

from expo_ft_ros.tasks.blobs import blobs, largest


def drawn(*boxes: tuple[int, int, int, int]) -> np.ndarray:
    """(40, 80) mask with rectangles: left, top, right, bottom [px]."""
    mask = np.zeros((40, 80), np.bool_)
    for left, top, right, bottom in boxes:
        mask[top:bottom, left:right] = True
    return mask


def test_each_patch_has_its_middle_size_and_box_and_the_largest_comes_first() -> None:
    found = blobs(drawn((8, 4, 12, 8), (40, 20, 60, 30)))
    assert [blob.size for blob in found] == pytest.approx([200 / 3200, 16 / 3200])
    assert (found[0].x, found[0].y) == pytest.approx((50 / 80, 25 / 40))
    assert found[1].box == pytest.approx((8 / 80, 4 / 40, 12 / 80, 8 / 40))


def test_pixels_that_touch_at_a_corner_are_one_patch() -> None:
    assert len(blobs(drawn((0, 0, 4, 4), (4, 4, 8, 8)))) == 1
    assert len(blobs(drawn((0, 0, 4, 4), (5, 5, 8, 8)))) == 2


def test_only_what_lies_in_the_region_and_is_large_enough_counts() -> None:
    mask = drawn((0, 0, 20, 20), (60, 0, 62, 2))
    (blob,) = blobs(mask, (0.125, 0.0, 1.0, 1.0), least=5 / 3200)
    assert blob.box == pytest.approx((10 / 80, 0.0, 20 / 80, 20 / 40))
    assert blob.x == pytest.approx(15 / 80)
    assert largest(mask, (0.5, 0.0, 1.0, 1.0), least=5 / 3200) is None
    assert largest(np.zeros((40, 80), np.bool_)) is None

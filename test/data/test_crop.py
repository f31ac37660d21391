# SPDX-License-Identifier: Apache-2.0
"""What of a camera's image is seen, and that recording and training take it as it is."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from expo_ft_ros.data.crop import crop_image, crop_of
from expo_ft_ros.data.images import resize_image
from expo_ft_ros.rl.input_builder import network_image

sides = st.integers(1, 96)


@given(st.data(), sides, sides, st.integers(8, 64))
def test_a_part_is_seen_as_if_it_were_the_image(data, width, height, size):
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    x, y = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    w, h = data.draw(st.integers(1, width - x)), data.draw(st.integers(1, height - y))
    seen = resize_image(crop_image(image, (x, y, w, h)), size)
    part = np.ascontiguousarray(image[y : y + h, x : x + w])
    expected = cv2.resize(part, (size, size), interpolation=cv2.INTER_AREA)
    np.testing.assert_array_equal(seen, expected)
    assert resize_image(seen, size) is seen, "recordings of that size change nothing"
    np.testing.assert_array_equal(network_image(seen, size), expected.transpose(2, 0, 1))


@given(sides, sides)
def test_without_a_crop_it_is_the_largest_centre_square(width, height):
    x, y, w, h = crop_of(None, width, height)
    assert w == h == min(width, height)
    assert abs((width - w) - 2 * x) <= 1
    assert abs((height - h) - 2 * y) <= 1


def test_a_part_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="does not lie in the image of 4x4"):
        crop_of((1, 0, 4, 4), 4, 4)

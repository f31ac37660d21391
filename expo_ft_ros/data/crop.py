# SPDX-License-Identifier: Apache-2.0
"""What of a camera's image is seen."""

from __future__ import annotations

from expo_ft_ros.data.types import ImageArray

Rectangle = tuple[int, int, int, int]
"""x, y, width, height [px]."""


def crop_of(crop: Rectangle | None, width: int, height: int) -> Rectangle:
    """The part of an image that is seen.

    Args:
        crop: x, y, width, height of the part [px]; None: the largest centre square.
        width: Of the image [px].
        height: Of the image [px].

    Raises:
        ValueError: when the rectangle does not lie in the image.
    """
    if crop is None:
        side = min(height, width)
        return (width - side) // 2, (height - side) // 2, side, side
    x, y, w, h = crop
    if x + w > width or y + h > height:
        raise ValueError(f"crop {crop} does not lie in the image of {width}x{height}")
    return crop


def crop_image(image: ImageArray, crop: Rectangle | None) -> ImageArray:
    """A part of `image` (h, w, 3), which shares its memory; as `crop_of`, whose error it raises."""
    height, width = image.shape[:2]
    x, y, w, h = crop_of(crop, width, height)
    return image[y : y + h, x : x + w]

"""Where an image has given colours: what rules about pixels are made of."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from expo_ft_ros.data.types import ImageArray

MaskArray = NDArray[np.bool_]
Region = tuple[float, ...]
"""left, top, right, bottom, as parts of an image's width and height in [0, 1]."""


class Colours:
    """hues [degrees], each with tolerance [degrees]; min_saturation, min_value: in [0, 1]."""

    def __init__(
        self, hues: Sequence[float], tolerance: float, min_saturation: float, min_value: float
    ) -> None:
        of_byte = 2.0 * np.arange(180)  # as OpenCV keeps a hue
        apart = np.abs(of_byte[:, None] - np.array(hues))
        self._known = (np.minimum(apart, 360.0 - apart) <= tolerance).any(axis=-1)
        self._saturation, self._value = 255.0 * min_saturation, 255.0 * min_value

    def __call__(self, image: ImageArray) -> MaskArray:
        """(h, w) True where the image (h, w, 3) RGB has one of the colours."""
        hue, saturation, value = cv2.split(cv2.cvtColor(image, cv2.COLOR_RGB2HSV))
        mask: MaskArray = self._known[hue]
        mask &= (saturation >= self._saturation) & (value >= self._value)
        return mask


def part(mask: MaskArray, region: Region) -> float:
    """Part of the region's pixels that the mask has, in [0, 1]."""
    return float(mask[_window(mask, region)].mean())


def part_outside(mask: MaskArray, regions: Sequence[Region]) -> float:
    """Part of the image that the mask has outside of the regions, in [0, 1]."""
    rest = mask.copy()
    for region in regions:
        rest[_window(rest, region)] = False
    return float(rest.mean())


def _window(mask: MaskArray, region: Region) -> tuple[slice, slice]:
    """The region's pixels, one at least."""
    height, width = mask.shape
    left, right = (round(edge * width) for edge in region[::2])
    top, bottom = (round(edge * height) for edge in region[1::2])
    return slice(top, max(bottom, top + 1)), slice(left, max(right, left + 1))

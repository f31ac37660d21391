# SPDX-License-Identifier: Apache-2.0
"""Where an image has given colours: what rules about pixels are made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, Field, model_validator

from expo_ft_ros.configuration import Config
from expo_ft_ros.data.types import ImageArray

MaskArray = NDArray[np.bool_]
Box = tuple[float, float, float, float]


def _has_area(region: Box) -> Box:
    left, top, right, bottom = region
    if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
        raise ValueError(
            "should be [left, top, right, bottom] in [0, 1] with left < right and top < bottom"
        )
    return region


Share = Annotated[float, Field(ge=0, le=1)]
"""Part of a whole, in [0, 1]."""

Region = Annotated[Box, AfterValidator(_has_area)]
"""left, top, right, bottom, as parts of an image's width and height in [0, 1]."""

WHOLE: Box = (0.0, 0.0, 1.0, 1.0)


class ColourRange(Config):
    """Which pixels have a colour."""

    hues: tuple[Annotated[float, Field(ge=0, lt=360)], ...] = Field(
        min_length=1, description="angles on the colour circle, in [0, 360) [degrees]"
    )
    tolerance: float = Field(
        default=12.0, gt=0, le=180, description="to either side of each hue [degrees]"
    )
    min_saturation: float = Field(default=0.6, ge=0, le=1, description="of a pixel, 0 to 1")
    min_value: float = Field(default=0.25, ge=0, le=1, description="its brightness, 0 to 1")
    max_saturation: float = Field(
        default=1.0, ge=0, le=1, description="below 1 for white, grey and black, which have no hue"
    )
    max_value: float = Field(default=1.0, ge=0, le=1, description="below 1 for black")

    @model_validator(mode="after")
    def _in_order(self) -> ColourRange:
        for least, most, of in (
            (self.min_saturation, self.max_saturation, "saturation"),
            (self.min_value, self.max_value, "value"),
        ):
            if least >= most:
                raise ValueError(f"min_{of} {least} must lie below max_{of} {most}")
        return self


class Colours:
    """Finds the pixels of a colour range."""

    def __init__(self, wanted: ColourRange) -> None:
        of_byte = 2.0 * np.arange(180)  # as OpenCV keeps a hue
        apart = np.abs(of_byte[:, None] - np.array(wanted.hues))
        self._known = (np.minimum(apart, 360.0 - apart) <= wanted.tolerance).any(axis=-1)
        self._saturation = 255.0 * wanted.min_saturation, 255.0 * wanted.max_saturation
        self._value = 255.0 * wanted.min_value, 255.0 * wanted.max_value

    def __call__(self, image: ImageArray) -> MaskArray:
        """(h, w) True where the image (h, w, 3) RGB has one of the colours."""
        import cv2  # Heavy: help and checks read a task's parameters without it.

        hue, saturation, value = cv2.split(cv2.cvtColor(image, cv2.COLOR_RGB2HSV))
        mask: MaskArray = self._known[hue]
        for channel, (least, most) in ((saturation, self._saturation), (value, self._value)):
            mask &= (channel >= least) & (channel <= most)
        return mask


def inside(mask: MaskArray, region: Box) -> MaskArray:
    """(h, w) what the mask (h, w) has inside of the region."""
    kept = np.zeros_like(mask)
    at = window(mask, region)
    kept[at] = mask[at]
    return kept


def part(mask: MaskArray, region: Box) -> float:
    """Part of the region's pixels that the mask has, in [0, 1]."""
    return float(mask[window(mask, region)].mean())


def part_of_image(mask: MaskArray, region: Box) -> float:
    """Part of the whole image that the mask has inside of the region, in [0, 1]."""
    return float(mask[window(mask, region)].sum() / mask.size)


def part_outside(mask: MaskArray, regions: Sequence[Box]) -> float:
    """Part of the image that the mask has outside of the regions, in [0, 1]."""
    rest = mask.copy()
    for region in regions:
        rest[window(rest, region)] = False
    return float(rest.mean())


def window(mask: MaskArray, region: Box) -> tuple[slice, slice]:
    """The rows and columns of the region, one of each at least."""
    height, width = mask.shape
    left, right = (round(edge * width) for edge in region[::2])
    top, bottom = (round(edge * height) for edge in region[1::2])
    return slice(top, max(bottom, top + 1)), slice(left, max(right, left + 1))

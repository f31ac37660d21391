# SPDX-License-Identifier: Apache-2.0
"""From pixels of a thing to the colour range that finds it: calibration of a classifier's colours.

The rule is that by which one measures twenty pixels by hand: hues are the middles of what is seen,
the tolerance is what is furthest and 5 degrees more, least saturation and brightness are somewhat
below the least that is seen. The outermost pixels, as of an edge, are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from expo_ft_ros.data.types import ImageArray
from expo_ft_ros.tasks.colours import Box, ColourRange, Colours, MaskArray, part_outside, window
from expo_ft_ros.tasks.config import TaskConfig

_FEWEST = 20  # pixels that something can be said of
_HUED = 0.2, 0.15  # saturation and brightness from which a pixel has a hue that means anything
_OUTERMOST = 0.02  # part of the pixels at either end that is left out
_GAP, _LEAST_GROUP = 14.0, 0.05  # between two hues [degrees]; part of the pixels that is one
_MARGIN, _HUE_MARGIN = 0.1, 5.0  # of saturation and brightness; of a hue [degrees]
_BRIGHT, _DARK_MARGIN = 0.35, 0.06  # what is darker is black; above the brightest of that
_STEP = 2.0  # of a hue, as OpenCV keeps it [degrees]
_ALIKE = np.array([5, 25, 25])  # what is as near in OpenCV's hue, saturation, brightness is alike


@dataclass(frozen=True)
class Calibration:
    """A colour range, and how well it tells the thing from the rest of an image.

    Attributes:
        colours: The range.
        mask: (h, w) what of the image has it.
        inside: Part of the regions' pixels that has it, in [0, 1].
        outside: Part of the image that has it outside of them, in [0, 1].
    """

    colours: ColourRange
    mask: MaskArray
    inside: float
    outside: float


def colour_names(task: TaskConfig) -> list[str]:
    """The colours among the parameters of a task's classifier."""
    parameters = task.classifier.parameters
    names = type(parameters).model_fields
    return [name for name in names if isinstance(getattr(parameters, name), ColourRange)]


def calibrate(image: ImageArray, regions: Sequence[Box], others: Sequence[Box] = ()) -> Calibration:
    """The colour range of what regions of an image are filled with.

    Args:
        image: (h, w, 3) uint8 RGB.
        regions: Boxes, at least one, in which the thing is seen.
        others: Boxes without it: what looks as there is left out of the regions.

    Raises:
        ValueError: for regions with too few pixels.
    """
    within, without = _pixels(image, regions), _pixels(image, others)
    pixels = image[within]
    if without.any():
        pixels = pixels[~np.isin(_looks(pixels), _looks(image[without]))]
    colours = fit_colours(pixels)
    mask = Colours(colours)(image)
    return Calibration(colours, mask, float(mask[within].mean()), part_outside(mask, regions))


def _pixels(image: ImageArray, regions: Sequence[Box]) -> MaskArray:
    """(h, w) True in the regions."""
    within = np.zeros(image.shape[:2], dtype=bool)
    for region in regions:
        within[window(within, region)] = True
    return within


def _looks(pixels: ImageArray) -> NDArray[np.int64]:
    """(n,) a number for pixels (n, 3) that look nearly alike."""
    hue, saturation, value = (_hsv(pixels) // _ALIKE).T.astype(np.int64)
    return np.asarray((hue * 256 + saturation) * 256 + value)


def _hsv(pixels: ImageArray) -> ImageArray:
    """(n, 3) uint8 as OpenCV keeps hue (in steps of two degrees), saturation and brightness."""
    import cv2  # Heavy: help and checks read a task's parameters without it.

    converted = cv2.cvtColor(np.ascontiguousarray(pixels[None]), cv2.COLOR_RGB2HSV)
    return np.asarray(converted[0], dtype=np.uint8)


def fit_colours(pixels: ImageArray) -> ColourRange:
    """The colour range of pixels (n, 3) uint8 RGB: hues where most of them have one, else little
    saturation and much or little brightness.

    Raises:
        ValueError: for too few pixels.
    """
    if len(pixels) < _FEWEST:
        raise ValueError(f"{len(pixels)} pixels are too few to measure (take {_FEWEST} at least)")
    hue, saturation, value = _hsv(pixels).T * np.array([[_STEP], [1 / 255], [1 / 255]])
    hued = (saturation >= _HUED[0]) & (value >= _HUED[1])
    if hued.mean() < 0.5:
        return _colourless(saturation[~hued], value[~hued])
    hues, tolerance = _hues(hue[hued])
    return ColourRange(
        hues=hues,
        tolerance=tolerance,
        min_saturation=_below(saturation[hued]),
        min_value=_below(value[hued]),
    )


def _colourless(saturation: NDArray[np.float64], value: NDArray[np.float64]) -> ColourRange:
    """White, grey or black."""
    if float(np.median(value)) >= _BRIGHT:
        most = min(1.0, _quantile(saturation, 1 - _OUTERMOST) + _MARGIN)
        return ColourRange(
            hues=(0.0,), tolerance=180.0, min_saturation=0.0, max_saturation=round(most, 2),
            min_value=_below(value),
        )  # fmt: skip
    most = min(1.0, _quantile(value, 1 - _OUTERMOST) + _DARK_MARGIN)
    return ColourRange(
        hues=(0.0,), tolerance=180.0, min_saturation=0.0, min_value=0.0, max_value=round(most, 2)
    )


def _below(values: NDArray[np.float64]) -> float:
    return round(max(0.0, _quantile(values, _OUTERMOST) - _MARGIN), 2)


def _quantile(values: NDArray[np.float64], share: float) -> float:
    return float(np.quantile(values, share))


def _hues(hue: NDArray[np.float64]) -> tuple[tuple[float, ...], float]:
    """The middles of the groups of hues (n,) that lie together on the circle, and how far from its
    middle the widest one reaches, with the margin [degrees]."""
    count = np.bincount((hue / _STEP).astype(int), minlength=180)
    seen = _STEP * np.flatnonzero(count > _OUTERMOST / 10 * len(hue))
    ends = np.flatnonzero(np.diff(np.append(seen, seen[0] + 360.0)) > _GAP)
    if not len(ends):  # all around the circle
        return (0.0,), 180.0
    middles, widest = [], 0.0
    for end, before in zip(ends, np.roll(ends, 1), strict=True):
        first, last = seen[(before + 1) % len(seen)], seen[end]
        width = (last - first) % 360.0
        inside = (hue - first) % 360.0 <= width
        if inside.mean() >= _LEAST_GROUP:
            least, most = np.quantile((hue[inside] - first) % 360.0, [_OUTERMOST, 1 - _OUTERMOST])
            middles.append(float(round(first + (least + most) / 2) % 360))
            widest = max(widest, float(most - least) / 2)
    return tuple(sorted(middles)), float(min(180.0, np.ceil(widest + _HUE_MARGIN)))

# SPDX-License-Identifier: Apache-2.0
"""Drawn over a camera's image: what the reward classifier looks at, and words."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np

from expo_ft_ros.data.types import ImageArray
from expo_ft_ros.monitor.paths import Colour
from expo_ft_ros.tasks.reward import Classifier, Marks

MASK: Colour = (255, 0, 255)
REGION: Colour = (0, 255, 255)
_SHARE = 0.55  # of the mask's colour where it covers a pixel
_LARGEST = 448  # px: small images are drawn larger, so that the words can be read


def enlarged(image: ImageArray) -> ImageArray:
    """A new image that can be drawn on: one of (h, w, 3) that is small comes out twice as large, or
    a whole number of times."""
    scale = max(1, _LARGEST // max(image.shape[:2]))
    return np.repeat(np.repeat(image, scale, axis=0), scale, axis=1)


def marks_of(images: Mapping[str, ImageArray], classifier: Classifier) -> Mapping[str, Marks]:
    """What a classifier looks at, view -> marks; nothing on images of a recording that lacks a view
    that the classifier names. images: view -> (h, w, 3) RGB."""
    try:
        return classifier.marks(_Recorded(images))
    except _NotRecordedError:
        return {}


class _NotRecordedError(LookupError):
    """A view that isn't among the images."""


class _Recorded(dict[str, ImageArray]):
    """Images by view, which tell a view that isn't there from a classifier's own mistake."""

    def __missing__(self, view: str) -> ImageArray:
        raise _NotRecordedError(view)


def marked_images(
    images: Mapping[str, ImageArray], classifier: Classifier
) -> dict[str, ImageArray]:
    """New images as `enlarged`, with what a classifier looks at; images: view -> (h, w, 3) RGB."""
    marks = marks_of(images, classifier)
    return {name: draw_marks(image, marks.get(name)) for name, image in images.items()}


def draw_marks(image: ImageArray, marks: Marks | None) -> ImageArray:
    """A new image (H, W, 3) RGB as `enlarged`: pixels that count in one colour, regions as named
    boxes. image: (h, w, 3) RGB, not changed."""
    drawn = enlarged(image)
    if marks is not None:
        scale = len(drawn) // len(image)
        if marks.mask is not None:
            mask = np.repeat(np.repeat(marks.mask, scale, axis=0), scale, axis=1)
            mixed = (1 - _SHARE) * drawn[mask] + _SHARE * np.array(MASK)
            drawn[mask] = np.round(mixed).astype(np.uint8)
        height, width = drawn.shape[:2]
        for name, (left, top, right, bottom) in marks.regions.items():
            corner = (round(left * width), round(top * height))
            opposite = (round(right * width) - 1, round(bottom * height) - 1)
            cv2.rectangle(drawn, corner, opposite, REGION, 1)
            write_words(drawn, name, (corner[0] + 3, corner[1] - 4), REGION)
    return drawn


def veil(image: ImageArray, words: str) -> None:
    """Greys an image (H, W, 3) that isn't one of now, and says so; it is changed."""
    image[:] = (image.mean(axis=2, keepdims=True) * 0.4 + 40).astype(np.uint8)
    write_words(image, words, (6, 28), (255, 255, 255))


def write_below(image: ImageArray, words: str) -> None:
    """In the lower left of an image (H, W, 3), which is changed."""
    if words:
        write_words(image, words, (6, image.shape[0] - 8), (255, 255, 255))


def write_words(image: ImageArray, words: str, place: tuple[int, int], colour: Colour) -> None:
    """In one line from its lower left at `place` [px] on, with a dark edge, so that it can be read
    on anything; the image (H, W, 3) is changed."""
    face, size = cv2.FONT_HERSHEY_SIMPLEX, 0.65
    plain = words.encode("ascii", "replace").decode()
    left, low = place
    # Of one thickness: in OpenCV 5 a thicker text is a wider one as well.
    for right, down in ((-1, 0), (1, 0), (0, -1), (0, 1)):
        cv2.putText(image, plain, (left + right, low + down), face, size, (0, 0, 0), 1, cv2.LINE_AA)
    cv2.putText(image, plain, place, face, size, colour, 1, cv2.LINE_AA)

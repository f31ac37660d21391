# SPDX-License-Identifier: Apache-2.0
"""What the reward classifier looks at, drawn over a camera's image."""

from __future__ import annotations

import cv2
import numpy as np

from expo_ft_ros.data.types import ImageArray
from expo_ft_ros.monitor.paths import Colour
from expo_ft_ros.tasks.reward import Marks

MASK: Colour = (255, 0, 255)
REGION: Colour = (0, 255, 255)
_SHARE = 0.55  # of the mask's colour where it covers a pixel
_LARGEST = 448  # px: small images are drawn larger, so that the words can be read


def draw_marks(image: ImageArray, marks: Marks | None, words: str = "") -> ImageArray:
    """A new image (H, W, 3) RGB: pixels that count in one colour, regions as named boxes, words in
    its lower left. image: (h, w, 3) RGB, not changed; a small one comes out twice as large."""
    scale = max(1, _LARGEST // max(image.shape[:2]))
    drawn = np.repeat(np.repeat(image, scale, axis=0), scale, axis=1)
    if marks is not None:
        if marks.mask is not None:
            mask = np.repeat(np.repeat(marks.mask, scale, axis=0), scale, axis=1)
            mixed = (1 - _SHARE) * drawn[mask] + _SHARE * np.array(MASK)
            drawn[mask] = np.round(mixed).astype(np.uint8)
        height, width = drawn.shape[:2]
        for name, (left, top, right, bottom) in marks.regions.items():
            corner = (round(left * width), round(top * height))
            opposite = (round(right * width) - 1, round(bottom * height) - 1)
            cv2.rectangle(drawn, corner, opposite, REGION, 1)
            _write(drawn, name, (corner[0] + 3, corner[1] - 4), REGION)
    if words:
        _write(drawn, words, (6, drawn.shape[0] - 8), (255, 255, 255))
    return drawn


def _write(image: ImageArray, words: str, place: tuple[int, int], colour: Colour) -> None:
    """In one line, with a dark edge, so that it can be read on anything."""
    face, size = cv2.FONT_HERSHEY_SIMPLEX, 0.65
    plain = words.encode("ascii", "replace").decode()
    left, low = place
    # Of one thickness: in OpenCV 5 a thicker text is a wider one as well.
    for right, down in ((-1, 0), (1, 0), (0, -1), (0, 1)):
        cv2.putText(image, plain, (left + right, low + down), face, size, (0, 0, 0), 1, cv2.LINE_AA)
    cv2.putText(image, plain, place, face, size, colour, 1, cv2.LINE_AA)

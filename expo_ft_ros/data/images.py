# SPDX-License-Identifier: Apache-2.0
"""Image sizes: the one place where a camera image becomes a network's input size."""

from __future__ import annotations

import cv2
import numpy as np

from expo_ft_ros.data.types import ImageArray


def resize_image(image: ImageArray, size: int) -> ImageArray:
    """(h, w, 3) uint8 to (size, size, 3) uint8, by area (no aliasing when shrinking).

    Raises ValueError when the image is not (h, w, 3) uint8.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ValueError(
            f"image has shape {image.shape} and dtype {image.dtype}, expected (h, w, 3) uint8"
        )
    if image.shape[:2] == (size, size):
        return image
    resized: ImageArray = cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    return resized

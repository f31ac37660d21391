# SPDX-License-Identifier: Apache-2.0
"""Connected patches of a mask: one object of a colour each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from expo_ft_ros.tasks.colours import WHOLE, Box, MaskArray, window


@dataclass(frozen=True)
class Blob:
    """A connected patch. x, y: its middle, and box: what it fills, as parts of the image's width
    and height; size: its pixels, as a part of the image's."""

    x: float
    y: float
    size: float
    box: Box


def blobs(mask: MaskArray, region: Box = WHOLE, least: float = 0.0) -> list[Blob]:
    """The mask's patches, largest first; pixels that touch at a corner are connected.

    Args:
        mask: (h, w).
        region: Where they are looked for; what reaches beyond it is cut off.
        least: Size from which a patch counts.
    """
    import cv2  # Heavy: help and checks read a task's parameters without it.

    height, width = mask.shape
    rows, columns = window(mask, region)
    inside = mask[rows, columns].astype(np.uint8)
    _, _, stats, middles = cv2.connectedComponentsWithStats(inside, connectivity=8)
    found = []
    for (left, top, across, down, pixels), middle in zip(stats[1:], middles[1:], strict=True):
        size = float(pixels) / mask.size
        if size < least:
            continue
        left, top = left + columns.start, top + rows.start
        # A pixel's middle is half a pixel from its edge.
        x, y = middle + 0.5 + [columns.start, rows.start]
        box = (left / width, top / height, (left + across) / width, (top + down) / height)
        found.append(Blob(float(x) / width, float(y) / height, size, box))
    return sorted(found, key=lambda blob: -blob.size)


def largest(mask: MaskArray, region: Box = WHOLE, least: float = 0.0) -> Blob | None:
    """The largest of `blobs`; None where there is none."""
    return next(iter(blobs(mask, region, least)), None)

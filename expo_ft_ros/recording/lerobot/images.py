# SPDX-License-Identifier: Apache-2.0
"""Encoded images: their size without decoding them, and their pixels."""

from __future__ import annotations

import struct
import zlib

import cv2
import numpy as np

from expo_ft_ros.data.types import ImageArray

_PNG = b"\x89PNG\r\n\x1a\n"
_BROKEN = "the image does not decode (cut off, or of an unknown format)"


def image_size(data: bytes) -> tuple[int, int]:
    """(height, width) [px] of an encoded image that is whole.

    A PNG is not decoded, which would take minutes for a large dataset: the checksums of its parts
    say whether it is whole. Others are.

    Raises:
        ValueError: where it isn't whole.
    """
    if not data.startswith(_PNG):
        height, width = decode_image(data).shape[:2]
        return height, width
    size, place = (0, 0), len(_PNG)
    while place + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, place)
        end = place + 12 + length
        kind = data[place + 4 : place + 8]
        if end > len(data):
            break
        (said,) = struct.unpack_from(">I", data, end - 4)
        if zlib.crc32(data[place + 4 : end - 4]) != said:
            break
        if kind == b"IHDR" and length >= 8:
            width, height = struct.unpack_from(">II", data, place + 8)
            size = height, width
        if kind == b"IEND" and all(size):
            return size
        place = end
    raise ValueError(_BROKEN)


def decode_image(data: bytes) -> ImageArray:
    """(h, w, 3) uint8 RGB. Raises ValueError where it doesn't decode."""
    try:
        image = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        image = None
    if image is None:
        raise ValueError(_BROKEN)
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), dtype=np.uint8)

# SPDX-License-Identifier: Apache-2.0
"""Calibration of a camera, as of the part of its image that the graph sees."""

from __future__ import annotations

from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header

from expo_ft_ros.data.crop import Rectangle
from expo_ft_ros.devices.cameras.camera import Lens


def pinhole_info(header: Header, size: int, focal_length: float) -> CameraInfo:
    """Of a square image without distortion, whose centre is its principal point.

    Args:
        header: Stamp and optical frame of the image.
        size: Side of the image [px].
        focal_length: [px].
    """
    centre = (size - 1) / 2
    info = CameraInfo(header=header, width=size, height=size, distortion_model="plumb_bob")
    info.d = [0.0] * 5
    info.k = [focal_length, 0.0, centre, 0.0, focal_length, centre, 0.0, 0.0, 1.0]
    info.r = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
    info.p = [focal_length, 0.0, centre, 0.0, 0.0, focal_length, centre, 0.0, 0.0, 0.0, 1.0, 0.0]
    return info


def lens_info(header: Header, size: tuple[int, int], lens: Lens) -> CameraInfo:
    """Of a whole image, as its device has it.

    Args:
        header: Stamp and optical frame of the image.
        size: Width and height of the image [px].
        lens: The calibration.
    """
    (fx, fy), (cx, cy) = lens.focal, lens.centre
    info = CameraInfo(header=header, width=size[0], height=size[1], distortion_model="plumb_bob")
    info.d = list(lens.distortion)
    info.k = [fx, 0.0, cx, 0.0, fy, cy, 0.0, 0.0, 1.0]
    info.r = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
    info.p = [fx, 0.0, cx, 0.0, 0.0, fy, cy, 0.0, 0.0, 0.0, 1.0, 0.0]
    return info


def fit_info(info: CameraInfo, part: Rectangle, size: int) -> CameraInfo:
    """The calibration of a part of the image, scaled to a square.

    Args:
        info: Of the whole image.
        part: What is cut from the image.
        size: Side of the square that the part becomes [px].
    """
    x, y, width, height = part
    fitted = CameraInfo(
        header=info.header,
        width=size,
        height=size,
        distortion_model=info.distortion_model,
        d=info.d,
        r=info.r,
    )
    fitted.k = _scaled(list(info.k), 3, (x, y), (size / width, size / height))
    fitted.p = _scaled(list(info.p), 4, (x, y), (size / width, size / height))
    return fitted


def _scaled(
    matrix: list[float], columns: int, origin: tuple[int, int], scale: tuple[float, float]
) -> list[float]:
    """A projection whose pixels are counted from another origin, at another scale; a pixel's
    coordinates are those of its centre."""
    made = list(matrix)
    for row in (0, 1):
        for column in range(columns):
            made[row * columns + column] *= scale[row]
        centre = matrix[row * columns + 2] - origin[row]
        made[row * columns + 2] = (centre + 0.5) * scale[row] - 0.5
    return made

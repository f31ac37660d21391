# SPDX-License-Identifier: Apache-2.0
"""Where points of the base frame are in a camera's image: a pinhole, with its lens's distortion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from expo_ft_ros.data.rotation import matrix_of

Vector = NDArray[np.float64]

_FARTHEST = 1e5  # from the image's corner [px]
_NEAREST = 0.01  # before the lens [m]: what is nearer, or behind it, isn't seen
_MARGIN = 0.5  # of the image's size around it, where a distorting lens may still bring a point in


@dataclass(frozen=True)
class Camera:
    """A calibrated camera, as of the pixels that are seen of it.

    Attributes:
        on_tool: Whether it moves with the tool; else it stands in the base frame.
        position: (3,) in the tool's or the base frame [m].
        quaternion: (4,) x, y, z, w of its optical axes there: z where it looks, x to the right of
            the image, y down.
        matrix: (3, 3) from the camera's axes to pixels [px], K of sensor_msgs/CameraInfo; a pixel's
            coordinates are those of its centre.
        size: Width and height of the image [px].
        distortion: (n,) coefficients in OpenCV's order; none for a lens without.
    """

    on_tool: bool
    position: Vector
    quaternion: Vector
    matrix: Vector
    size: tuple[int, int]
    distortion: Vector = field(default_factory=lambda: np.zeros(0))

    @property
    def field_of_view(self) -> float:
        """Across the height of the image, without the distortion [rad]."""
        return float(2 * np.arctan(self.size[1] / 2 / self.matrix[1, 1]))

    def see(
        self, points: NDArray[np.floating[Any]], tool: Vector, tool_quaternion: Vector
    ) -> Vector:
        """(..., 3) points of the base frame in the camera's axes [m].

        Args:
            points: (..., 3) [m].
            tool: (3,) where the tool is, base frame [m].
            tool_quaternion: (4,) x, y, z, w of the tool.
        """
        seen = np.asarray(points, np.float64)
        if self.on_tool:
            seen = (seen - tool) @ matrix_of(tool_quaternion)
        return np.asarray((seen - self.position) @ matrix_of(self.quaternion))

    def pixels(self, seen: NDArray[np.floating[Any]]) -> Vector:
        """(..., 2) x and y [px] of points before the lens, in the camera's axes (..., 3) [m]."""
        if not seen.size or not self.distortion.any():
            image = seen @ self.matrix.T
            return np.asarray(image[..., :2] / image[..., 2:])
        none = np.zeros(3)
        flat, _ = cv2.projectPoints(
            np.ascontiguousarray(seen).reshape(-1, 1, 3), none, none, self.matrix, self.distortion
        )
        return np.asarray(flat, np.float64).reshape(*seen.shape[:-1], 2)

    def clip(self, segments: NDArray[np.floating[Any]]) -> tuple[Vector, NDArray[np.intp]]:
        """What can be in the image of segments, and which these are of.

        Args:
            segments: (N, 2, 3) in the camera's axes [m].

        Returns:
            (M, 2, 3) their parts before the lens and within the image, or near it where the lens
            distorts; (M,) the number of each in `segments`.
        """
        width, height = self.size
        margin = _MARGIN if self.distortion.any() else 0.0
        left, top = -0.5 - margin * width, -0.5 - margin * height
        right, low = width - 0.5 + margin * width, height - 0.5 + margin * height
        across, down, depth = self.matrix
        # Each row is positive on the inner side of one plane of what the camera sees.
        planes = [across - left * depth, right * depth - across]
        planes += [down - top * depth, low * depth - down]
        inside = segments @ np.stack([*planes, np.array([0.0, 0.0, 1.0])]).T
        inside[..., -1] -= _NEAREST
        return _within(np.asarray(segments, np.float64), inside)


def project(
    camera: Camera,
    segments: NDArray[np.floating[Any]],
    tool: Vector,
    tool_quaternion: Vector,
) -> tuple[Vector, NDArray[np.intp]]:
    """Segments of the base frame as a camera sees them.

    Args:
        camera: Whose image it is.
        segments: (N, 2, 3) [m].
        tool: (3,) where the tool is, base frame [m].
        tool_quaternion: (4,) x, y, z, w of the tool.

    Returns:
        (M, 2, 2) x and y of both ends of what is seen of them [px]; (M,) the number of each in
        `segments`.
    """
    parts, of = camera.clip(camera.see(segments, tool, tool_quaternion))
    pixels = camera.pixels(parts)
    # What a wrong lens makes of them is nowhere.
    somewhere = (np.abs(pixels) < _FARTHEST).all(axis=(1, 2))
    return pixels[somewhere], of[somewhere]


def project_points(
    camera: Camera, points: Sequence[Vector] | Vector, tool: Vector, tool_quaternion: Vector
) -> tuple[Vector, NDArray[np.intp]]:
    """As `project`, of points (N, 3): (M, 2) of those that are in the image, (M,) their numbers."""
    single = np.asarray(points, np.float64).reshape(-1, 1, 3)
    pixels, of = project(camera, np.repeat(single, 2, axis=1), tool, tool_quaternion)
    return pixels[:, 0], of


def _within(segments: Vector, inside: Vector) -> tuple[Vector, NDArray[np.intp]]:
    """The parts of segments (N, 2, 3) where each of the values, linear along them and (N, 2, P) at
    their ends, is positive, and whose these are (after Cyrus and Beck)."""
    start, end = inside[:, 0], inside[:, 1]
    change = end - start
    with np.errstate(divide="ignore", invalid="ignore"):
        crossing = -start / change
    first = np.where((start < 0) & (end >= 0), crossing, 0.0).max(axis=1, initial=0.0)
    last = np.where((start >= 0) & (end < 0), crossing, 1.0).min(axis=1, initial=1.0)
    outside = ((start < 0) & (end < 0)).any(axis=1)
    (of,) = np.nonzero(~outside & (first <= last))
    along = np.stack([first, last], axis=1)[of, :, None]
    begin, whole = segments[of, :1], segments[of, 1:] - segments[of, :1]
    return begin + along * whole, of

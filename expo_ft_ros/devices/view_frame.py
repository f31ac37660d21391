# SPDX-License-Identifier: Apache-2.0
"""The frame in which a device's pushes are meant: the robot's base, or a camera's picture.

In a picture's frame left is the picture's left and forward leads away from the camera, both level;
up stays up, so that what is pushed along the table stays on it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from expo_ft_ros.configuration import ConfigError, nearest
from expo_ft_ros.data.rotation import matrix_of
from expo_ft_ros.robots import RobotConfig

BASE = "base"
"""As x forward, y left, z up of the robot's base (REP 103)."""

_ON_WRIST = ("left_wrist", "right_wrist")
_UP = np.array([0.0, 0.0, 1.0])
# Of the picture's right along the table, at least: rolled by more nothing in it is left or right.
_LEVEL = 0.5


def axes_of_picture(quaternion: NDArray[np.float64]) -> NDArray[np.float64]:
    """(3, 3) forward, left and up of a camera's picture as columns, in the base frame.

    Args:
        quaternion: (4,) x, y, z, w of the camera's optical axes in the base frame: z where it
            looks, x to the right of the image, y down.

    Raises:
        ValueError: for a camera that is rolled on its side.
    """
    right = matrix_of(quaternion)[:, 0] * [1.0, 1.0, 0.0]
    length = float(np.linalg.norm(right))
    if length < _LEVEL:
        raise ValueError(
            "the camera is rolled on its side: nothing in its picture is left or right"
        )
    right = right / length
    return np.stack([np.cross(_UP, right), -right, _UP], axis=1)


def turned(twist: NDArray[np.float64], axes: NDArray[np.float64]) -> NDArray[np.float64]:
    """(6,) twist in [-1, 1] along the base's axes of one along `axes`: shorter where it would leave
    that range, never in another direction."""
    moved = np.concatenate([axes @ twist[:3], axes @ twist[3:]])
    return np.asarray(moved / max(1.0, float(np.abs(moved).max())))


def require_frame(frame: str, robot: RobotConfig, file: str) -> None:
    """Checks that a frame is one of the robot's. file: of config/, that names it.

    Raises:
        ConfigError: for a view that the robot hasn't, and one on its wrist.
    """
    fixed = [view.name for view in robot.views if view.role not in _ON_WRIST]
    if frame != BASE and frame not in fixed:
        moves = "moves with the tool" if frame in robot.view_names else "is none of the robot's"
        raise ConfigError(
            f"config/{file}: frame: the view {frame!r} {moves} ({nearest(frame, [BASE, *fixed])})"
        )

# SPDX-License-Identifier: Apache-2.0
"""What messages tell of the cameras, as plain values."""

from __future__ import annotations

import numpy as np
from geometry_msgs.msg import Transform
from sensor_msgs.msg import CameraInfo

from expo_ft_ros.monitor.calibration import Lens, Placed
from expo_ft_ros.recording.messages import BadMessage

# Numbers of coefficients that OpenCV takes.
_COEFFICIENTS = (0, 4, 5, 8, 12, 14)


def lens_of(info: CameraInfo) -> Lens:
    """How a camera sees, by its raw image's calibration.

    Raises:
        BadMessage: for a size of nothing, or a number of coefficients that no lens has.
    """
    if info.width == 0 or info.height == 0:
        raise BadMessage(f"camera_info is of an image of {info.width}x{info.height}")
    distortion = np.array(info.d, np.float64)
    if len(distortion) not in _COEFFICIENTS or not np.isfinite(distortion).all():
        raise BadMessage(f"camera_info has the distortion {distortion.tolist()}")
    matrix = np.array(info.k, np.float64).reshape(3, 3)
    return Lens(matrix, (int(info.width), int(info.height)), distortion, info.distortion_model)


def placed_of(transform: Transform) -> Placed:
    """Where a frame is in another."""
    moved, turned = transform.translation, transform.rotation
    return Placed(
        np.array([moved.x, moved.y, moved.z]),
        np.array([turned.x, turned.y, turned.z, turned.w]),
    )

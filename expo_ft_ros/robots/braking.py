# SPDX-License-Identifier: Apache-2.0
"""Keeps an arm that follows velocities inside its workspace."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from expo_ft_ros.robots.config import Workspace

Vector = NDArray[np.float64]


def brake_at_faces(velocity: Vector, position: Vector, box: Workspace, time: float) -> Vector:
    """(3,) the velocity, slower towards a face that it would reach in less than `time`.

    Args:
        velocity: (3,) of the tool, base axes [m/s].
        position: (3,) where it is measured [m].
        box: The robot's workspace.
        time: In which a face is reached at the earliest [s].

    Returns:
        The velocity; zero towards a face that the tool is at or beyond, and free away from it.
    """
    low = np.minimum(0.0, (np.array(box.low) - position) / time)
    high = np.maximum(0.0, (np.array(box.high) - position) / time)
    return np.asarray(np.clip(velocity, low, high))

# SPDX-License-Identifier: Apache-2.0
"""Rotations as quaternions x, y, z, w, as in REP 103's messages."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

TOOL_DOWN = np.array([1.0, 0.0, 0.0, 0.0])
"""A tool that points straight down: its x forward, its z down."""


def turn_to(actual: Vector, wanted: Vector) -> Vector:
    """(3,) the turn from one unit quaternion to another the shorter way about, in the axes that
    both are given in; its length is 2 sin(angle / 2), which is the angle where that is small."""
    x, y, z, w = actual
    vector = 2.0 * compose(np.asarray(wanted, dtype=np.float64), np.array([-x, -y, -z, w]))
    return np.asarray(vector[:3] * np.sign(vector[3] or 1.0))


def matrix_of(quaternion: Vector) -> Vector:
    """(3, 3) rotation matrix of a unit quaternion (4,)."""
    x, y, z, w = quaternion
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def quaternion_of(matrix: Vector) -> Vector:
    """(4,) unit quaternion of a rotation matrix (3, 3), by its greatest component."""
    trace = float(np.trace(matrix))
    squares = np.array([*(2.0 * np.diag(matrix) - trace), trace])
    greatest = int(np.argmax(squares))
    if greatest == 3:
        skew = matrix - matrix.T
        quaternion = np.array([skew[2, 1], skew[0, 2], skew[1, 0], 1.0 + trace])
    else:
        i, j, k = greatest, (greatest + 1) % 3, (greatest + 2) % 3
        quaternion = np.zeros(4)
        quaternion[i] = 1.0 + squares[i]
        quaternion[j] = matrix[j, i] + matrix[i, j]
        quaternion[k] = matrix[k, i] + matrix[i, k]
        quaternion[3] = matrix[k, j] - matrix[j, k]
    return np.asarray(quaternion / np.linalg.norm(quaternion))


def rotation_of(turn: Vector) -> Vector:
    """(4,) unit quaternion of a turn (3,), whose length is its angle [rad]."""
    angle = float(np.linalg.norm(turn))
    # np.sinc(x) is sin(pi x) / (pi x).
    half = 0.5 * np.sinc(angle / (2.0 * np.pi))
    return np.array([*(half * np.asarray(turn)), np.cos(angle / 2.0)])


def rotation_vector(quaternion: Vector) -> Vector:
    """(3,) turn of a unit quaternion the shorter way about, whose length is its angle [rad]: what
    `rotation_of` is given, up to half a turn."""
    vector = quaternion[:3] * (np.sign(quaternion[3]) or 1.0)
    sine = float(np.linalg.norm(vector))
    if sine < 1e-9:
        return np.asarray(2.0 * vector)
    return np.asarray(vector * (2.0 * np.arctan2(sine, abs(quaternion[3])) / sine))


def inverse(quaternion: Vector) -> Vector:
    """(4,) the turn back, of a unit quaternion."""
    x, y, z, w = quaternion
    return np.array([-x, -y, -z, w])


def compose(a: Vector, b: Vector) -> Vector:
    """(4,) first the turn b, then a about the axes that b is given in: Hamilton's product."""
    # Written out: np.cross takes longer than all the rest of a controller's cycle.
    (ax, ay, az, _), (bx, by, bz, _) = a, b
    across = np.array([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx])
    vector = a[3] * b[:3] + b[3] * a[:3] + across
    return np.array([*vector, a[3] * b[3] - a[:3] @ b[:3]])

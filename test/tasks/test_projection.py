# SPDX-License-Identifier: Apache-2.0
"""Places by measured points, against a pinhole camera."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from expo_ft_ros.tasks.projection import HeightScale, PlaneScale

CORNERS = ((0.3, -0.2), (0.3, 0.2), (0.7, 0.2), (0.7, -0.2))
CAMERA, LOOKS_AT = np.array([1.0, -0.3, 0.8]), np.array([0.5, 0.0, 0.0])


def pixel(x: float, y: float) -> tuple[float, float]:
    """Where a pinhole camera sees a point of the plane z = 0."""
    ahead = (LOOKS_AT - CAMERA) / np.linalg.norm(LOOKS_AT - CAMERA)
    right = np.cross(ahead, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    ray = np.array([x, y, 0.0]) - CAMERA
    depth = ray @ ahead
    return float(ray @ right / depth + 0.5), float(ray @ np.cross(ahead, right) / depth + 0.5)


SCALE = PlaneScale(image=tuple(pixel(*corner) for corner in CORNERS), plane=CORNERS)
inside = st.tuples(st.floats(0.3, 0.7), st.floats(-0.2, 0.2))


@given(inside)
def test_four_points_place_every_other_one(point: tuple[float, float]) -> None:
    assert SCALE.place(*pixel(*point)) == pytest.approx(point, abs=1e-9)
    assert SCALE.pixel(*point) == pytest.approx(pixel(*point), abs=1e-9)


@given(inside)
def test_there_and_back_is_where_it_was(point: tuple[float, float]) -> None:
    assert SCALE.pixel(*SCALE.place(*point)) == pytest.approx(point, abs=1e-9)


def test_points_on_a_line_are_refused() -> None:
    with pytest.raises(ValidationError, match="three of the points of image lie on one line"):
        PlaneScale(image=((0.1, 0.1), (0.2, 0.2), (0.3, 0.3), (0.9, 0.1)), plane=CORNERS)


def test_rows_are_heights_between_two_points_and_beyond() -> None:
    scale = HeightScale(rows=(0.2, 0.8), heights=(0.4, 0.1))
    rows = (0.2, 0.5, 0.8, 1.0)
    assert [scale.height(row) for row in rows] == pytest.approx([0.4, 0.25, 0.1, 0.0])
    with pytest.raises(ValidationError, match="must differ"):
        HeightScale(rows=(0.2, 0.2), heights=(0.4, 0.1))

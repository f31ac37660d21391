# SPDX-License-Identifier: Apache-2.0
"""From a place in a fixed camera's image to one in the base frame, by a few measured points."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from expo_ft_ros.configuration import Config
from expo_ft_ros.tasks.colours import Share

Point = tuple[float, float]
_SMALL = 1e-9


class HeightScale(Config):
    """Rows of an image as heights, for what moves in a plane that faces the camera."""

    rows: tuple[Share, Share] = Field(description="of two points, as parts of the image's height")
    heights: tuple[float, float] = Field(description="of the same points above the base [m]")

    @model_validator(mode="after")
    def _apart(self) -> HeightScale:
        if self.rows[0] == self.rows[1] or self.heights[0] == self.heights[1]:
            raise ValueError(f"rows {self.rows} and heights {self.heights} [m] must differ")
        return self

    def height(self, row: float) -> float:
        """Of what is seen in a row, a part of the image's height [m]."""
        (top, bottom), (high, low) = self.rows, self.heights
        return high + (row - top) / (bottom - top) * (low - high)


class PlaneScale(Config):
    """Places of an image as places of a level plane, by four points of it."""

    image: tuple[Point, Point, Point, Point] = Field(
        description="x, y of the points, as parts of the image's width and height"
    )
    plane: tuple[Point, Point, Point, Point] = Field(
        description="x, y of the same points in the base frame [m]"
    )

    @model_validator(mode="after")
    def _spread(self) -> PlaneScale:
        for name, points in (("image", self.image), ("plane", self.plane)):
            for left_out in range(4):
                a, b, c = (np.array(point) for i, point in enumerate(points) if i != left_out)
                if abs((b - a)[0] * (c - a)[1] - (b - a)[1] * (c - a)[0]) < _SMALL:
                    raise ValueError(f"three of the points of {name} lie on one line: {points}")
        return self

    @cached_property
    def _matrix(self) -> NDArray[np.float64]:
        """Homography from image to plane."""
        rows = []
        for (u, v), (x, y) in zip(self.image, self.plane, strict=True):
            rows += [[u, v, 1, 0, 0, 0, -u * x, -v * x], [0, 0, 0, u, v, 1, -u * y, -v * y]]
        solved = np.linalg.solve(np.array(rows, dtype=np.float64), np.ravel(self.plane))
        matrix: NDArray[np.float64] = np.append(solved, 1.0).reshape(3, 3)
        return matrix

    def place(self, x: float, y: float) -> NDArray[np.float64]:
        """x, y (2,) in the base frame [m] of a place of the image."""
        return _mapped(self._matrix, x, y)

    def pixel(self, x: float, y: float) -> NDArray[np.float64]:
        """Place (2,) of the image, as parts of width and height, of x, y in the base frame [m]."""
        inverse: NDArray[np.float64] = np.linalg.inv(self._matrix).astype(np.float64)
        return _mapped(inverse, x, y)


def _mapped(matrix: NDArray[np.float64], x: float, y: float) -> NDArray[np.float64]:
    mapped = matrix @ np.array([x, y, 1.0])
    place: NDArray[np.float64] = mapped[:2] / mapped[2]
    return place

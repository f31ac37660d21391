# SPDX-License-Identifier: Apache-2.0
"""Where chunks would take the tool, in what, and in which colour."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from expo_ft_ros.data.types import Source
from expo_ft_ros.robots import RobotLimits

Colour = tuple[int, int, int]

DRIVER_COLOURS: dict[Source, Colour] = {
    Source.POLICY: (80, 140, 255),
    Source.HUMAN: (255, 140, 0),
    Source.HOLD: (140, 140, 140),
}
"""Who drove, as RGB: the same in every view."""

_DARKEST = 0.35  # share of viridis that is left out


def tool_paths(
    position: NDArray[np.floating[Any]],
    actions: NDArray[np.floating[Any]],
    limits: RobotLimits,
    period: float,
) -> NDArray[np.float64]:
    """(N, H + 1, 3) positions of the tool centre point [m], base frame, from where it is now.

    position: (3,) [m]; actions: (N, H, 7) normalised; period: of a step [s]. What the safety filter
    would change, and how a robot lags behind, isn't in it.
    """
    moved = np.asarray(actions, dtype=np.float64)[..., :3] * limits.linear_velocity * period
    start = np.zeros((moved.shape[0], 1, 3))
    return np.asarray(position + np.concatenate([start, np.cumsum(moved, axis=1)], axis=1))


def box_edges(low: Sequence[float], high: Sequence[float]) -> NDArray[np.float64]:
    """(12, 2, 3) the edges of a box between two opposite corners [m]."""
    corners = np.array(list(itertools.product(*zip(low, high, strict=True))))
    pairs = [(a, b) for a in range(8) for b in (a | 1, a | 2, a | 4) if a < b]
    return np.asarray(corners[np.array(pairs)])


def q_colours(q: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
    """(N, 3) RGB, blue for the least of q (N,) to yellow for the greatest, so that the brighter is
    the better; all bright where they are equal, grey where one is no number.

    Viridis without its lowest part, which can't be told from a dark background.
    """
    values = np.asarray(q, dtype=np.float64)
    known = np.isfinite(values)
    colours = np.full((len(values), 3), 140, np.uint8)
    if not known.any():
        return colours
    low, high = values[known].min(), values[known].max()
    share = (values[known] - low) / (high - low) if high > low else np.ones(known.sum())
    bytes_ = np.round(255 * (_DARKEST + (1 - _DARKEST) * share)).astype(np.uint8)[:, None]
    colours[known] = cv2.applyColorMap(bytes_, cv2.COLORMAP_VIRIDIS)[:, 0, ::-1]
    return colours

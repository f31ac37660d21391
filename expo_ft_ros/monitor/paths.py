# SPDX-License-Identifier: Apache-2.0
"""Where chunks would take the tool, in what, and in which colour."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from expo_ft_ros.data.types import GRIPPER, CandidateKind, Source
from expo_ft_ros.robots import RobotLimits

Colour = tuple[int, int, int]

DRIVER_COLOURS: dict[Source, Colour] = {
    Source.POLICY: (80, 140, 255),
    Source.HUMAN: (255, 140, 0),
    Source.HOLD: (140, 140, 140),
}
"""Who drove, as RGB: the same in every view."""

_DARKEST = 0.35  # share of viridis that is left out
_DECIDED = 0.2  # of the greatest gripper velocity: less is no decision
_NOTABLE = 0.1  # of the greatest opening: less is no change


class GripperChange(NamedTuple):
    """Where a chunk opens or closes the gripper: before its step-th action, from 0 on."""

    step: int
    opens: bool


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


def path_segments(
    paths: NDArray[np.floating[Any]], kind: NDArray[np.uint8], chosen: int
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """(N, 2, 3) what is drawn of paths (K, H + 1, 3), and (N,) the number of the path of each.

    An edit's path is dashed: every other step of it is left out. A gripper decision goes where its
    base chunk does, so that it is drawn only where it is chosen. kind: (K,) of CandidateKind.
    """
    count, length = len(paths), max(0, paths.shape[1] - 1)
    segments = np.stack([paths[:, :-1], paths[:, 1:]], axis=2).reshape(-1, 2, 3)
    of = np.repeat(np.arange(count), length)
    step = np.tile(np.arange(length), count)
    left_out = (kind[of] == CandidateKind.EDITED) & (step % 2 == 1)
    left_out |= (kind[of] == CandidateKind.GRIPPER) & (of != chosen)
    return segments[~left_out], of[~left_out]


def gripper_changes(
    actions: NDArray[np.floating[Any]],
    width: float,
    before: NDArray[np.floating[Any]] | Sequence[float],
    limits: RobotLimits,
    period: float,
) -> tuple[GripperChange, ...]:
    """Where a chunk decides otherwise than before, by a tenth of the greatest opening or more.

    Args:
        actions: (H, 7) normalised.
        width: The gripper's opening when it begins [m].
        before: (n,) gripper actions of the episode until then, in order, normalised: going on
            closing on what is held changes nothing.
        limits: What an action of 1 means.
        period: Of a step [s].
    """
    asked = np.asarray(actions, np.float64)[:, GRIPPER]
    last = next((sign for sign in _decided(before)[::-1].tolist() if sign), 0.0)
    greatest, changes, start = limits.gripper_max_width, list[GripperChange](), 0
    for sign, run in itertools.groupby(_decided(asked).tolist()):
        end = start + len(list(run))
        moved = float(asked[start:end].sum()) * limits.gripper_velocity * period
        reached = float(np.clip(width + moved, 0.0, greatest))
        if sign not in (0.0, last) and abs(reached - width) >= _NOTABLE * greatest:
            changes.append(GripperChange(start, sign > 0))
        last, width, start = sign or last, reached, end
    return tuple(changes)


def _decided(gripper: NDArray[np.floating[Any]] | Sequence[float]) -> NDArray[np.float64]:
    """1 for each gripper action that opens, -1 for one that closes, else 0."""
    asked = np.asarray(gripper, np.float64)
    return np.where(np.abs(asked) < _DECIDED, 0.0, np.sign(asked))


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
    colours[known] = _viridis()[np.round(255 * (_DARKEST + (1 - _DARKEST) * share)).astype(int)]
    return colours


@cache
def _viridis() -> NDArray[np.uint8]:
    """(256, 3) RGB; made once, since OpenCV takes half a millisecond for it."""
    every = np.arange(256, dtype=np.uint8)[:, None]
    return np.asarray(cv2.applyColorMap(every, cv2.COLORMAP_VIRIDIS)[:, 0, ::-1])

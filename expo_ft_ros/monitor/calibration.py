# SPDX-License-Identifier: Apache-2.0
"""What is known of the robot's cameras: where each is, and how it sees."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from expo_ft_ros.data.rotation import compose, matrix_of
from expo_ft_ros.monitor.projection import Camera
from expo_ft_ros.robots import Frames, ViewConfig

Vector = NDArray[np.float64]

_MODELS = ("", "plumb_bob", "rational_polynomial")
"""Lenses of sensor_msgs/CameraInfo whose coefficients OpenCV takes as they are."""

_MOST_FRAMES = 1000  # of which anybody can invent more


class Placed(NamedTuple):
    """A frame in another: its origin (3,) [m] and x, y, z, w of its axes (4,) there."""

    position: Vector
    quaternion: Vector

    def __matmul__(self, other: Placed) -> Placed:
        """Where `other` is, which is placed in this one."""
        moved = self.position + matrix_of(self.quaternion) @ other.position
        return Placed(moved, compose(self.quaternion, other.quaternion))

    def inverse(self) -> Placed:
        """Where the outer frame is in this one."""
        back = self.quaternion * [-1.0, -1.0, -1.0, 1.0]
        return Placed(-matrix_of(back) @ self.position, back)


@dataclass(frozen=True)
class Lens:
    """What a camera's driver tells of it: as of `Camera`, for the pixels that the graph sees; model
    is the name of the distortion's."""

    matrix: Vector
    size: tuple[int, int]
    distortion: Vector
    model: str = ""


class Calibrations:
    """Takes what is told, in whatever order."""

    def __init__(self, views: Sequence[ViewConfig], frames: Frames) -> None:
        """views: of the robot; frames: those of its base and tool."""
        self._views, self._frames = tuple(views), frames
        self._lenses: dict[str, Lens] = {}
        # Of each frame the one that it is fixed to, and where it is there.
        self._fixed: dict[str, tuple[str, Placed]] = {}
        self._found: tuple[dict[str, Camera], dict[str, str]] | None = None

    def take_lens(self, view: str, lens: Lens) -> None:
        """How a view's camera sees."""
        if not _same(self._lenses.get(view), lens):
            self._lenses[view], self._found = lens, None

    def take_fixed(self, parent: str, child: str, placed: Placed) -> None:
        """That a frame stands still in another one, and no longer in an earlier one. What isn't a
        pose, or one of very many, is left out."""
        length = float(np.linalg.norm(placed.quaternion))
        if not (np.isfinite(placed.position).all() and np.isfinite(length) and length > 0.1):
            return
        if child in self._fixed or len(self._fixed) < _MOST_FRAMES:
            upright = Placed(placed.position, placed.quaternion / length)
            self._fixed[child], self._found = (parent, upright), None

    def cameras(self) -> Mapping[str, Camera]:
        """Name of each view of which all is known -> its camera; the same ones as before unless
        something else has been told."""
        return self._all()[0]

    def missing(self) -> Mapping[str, str]:
        """Name of every other view -> what isn't known of it."""
        return self._all()[1]

    def _all(self) -> tuple[dict[str, Camera], dict[str, str]]:
        if self._found is None:
            self._found = {}, {}
            for view in self._views:
                self._look_at(view, *self._found)
        return self._found

    def _look_at(self, view: ViewConfig, known: dict[str, Camera], lacking: dict[str, str]) -> None:
        """Puts a view into one of the two."""
        base, tool = self._frames.base, self._frames.tool
        lens, mount = self._lenses.get(view.name), self._mount(view.frame)
        lacks = ["no camera_info received"] if lens is None else _flaw(lens)
        if mount is None:
            lacks = [*lacks, f"no fixed frame leads from {view.frame} to {base} or {tool}"]
        if lens is None or mount is None or lacks:
            lacking[view.name] = "; ".join(lacks)
            return
        root, placed = mount
        known[view.name] = Camera(
            root == tool, *placed, matrix=lens.matrix, size=lens.size, distortion=lens.distortion
        )

    def _mount(self, frame: str) -> tuple[str, Placed] | None:
        """Base or tool, and where a frame is in it, by the shortest way."""
        # Of each frame its neighbours, and where they are in it.
        beside: dict[str, dict[str, Placed]] = {}
        for child, (parent, placed) in self._fixed.items():
            beside.setdefault(parent, {})[child] = placed
            beside.setdefault(child, {})[parent] = placed.inverse()
        origin = Placed(np.zeros(3), np.array([0.0, 0.0, 0.0, 1.0]))
        # In each frame the one that is looked for.
        reached, queue = {frame: origin}, deque([frame])
        while queue:
            here = queue.popleft()
            if here in (self._frames.base, self._frames.tool):
                return here, reached[here]
            for other, placed in beside.get(here, {}).items():
                if other not in reached:
                    reached[other] = placed.inverse() @ reached[here]
                    queue.append(other)
        return None


def _flaw(lens: Lens) -> list[str]:
    """Why nothing can be drawn by it, if so."""
    # As sensor_msgs/CameraInfo has it of a camera that isn't calibrated.
    if not (np.isfinite(lens.matrix).all() and lens.matrix[0, 0] > 0 and lens.matrix[1, 1] > 0):
        return ["its camera_info is that of a camera without calibration"]
    if lens.distortion.any() and lens.model not in _MODELS:
        return [f"lenses of the kind {lens.model} aren't known"]
    return []


def _same(one: Lens | None, other: Lens) -> bool:
    return (
        one is not None
        and (one.size, one.model) == (other.size, other.model)
        and np.array_equal(one.matrix, other.matrix)
        and np.array_equal(one.distortion, other.distortion)
    )

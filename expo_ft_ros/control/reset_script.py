"""The robot's own reset: waypoints between episodes (appendix B.1, `TaskConfig.reset_script`)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from expo_ft_ros.control.arbitration import GRIPPER
from expo_ft_ros.data.rotation import turn_to
from expo_ft_ros.data.types import ACTION_DIM, FloatArray, Proprio
from expo_ft_ros.tasks.config import RobotLimits, Waypoint

GAIN = 2.0
"""Velocity asked for per deviation [1/s]: well damped with a command each 0.1 s."""
AT_POSITION, AT_ROTATION = 0.008, 0.05
"""A waypoint is reached within so much along each axis [m] and about each axis [rad]."""
_GRIPPER = {"open": 1.0, "close": -1.0, None: 0.0}


class ResetScript:
    """Goes through the waypoints in their order; made anew for each reset.

    Each deviation is answered by a velocity in proportion, up to the waypoint's speed; what comes
    out is to pass the safety filter like any action. period: of a call [s]; seed: of the places;
    succeeded: whether the episode before did.
    """

    def __init__(
        self,
        waypoints: Sequence[Waypoint],
        limits: RobotLimits,
        period: float,
        *,
        seed: int,
        succeeded: bool,
    ) -> None:
        self._waypoints = [p for p in waypoints if succeeded or p.after == "any"]
        self._scale, self._period = limits.scale(), period
        self._rng = np.random.default_rng(seed)
        self._index = 0
        self._target: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None
        self._there = self._tried = 0

    @property
    def done(self) -> bool:
        """Whether every waypoint was reached."""
        return self._index >= len(self._waypoints)

    @property
    def where(self) -> str:
        """In words."""
        return f"scripted reset, waypoint {self._index + 1} of {len(self._waypoints)}"

    @property
    def failed(self) -> str:
        """Why the arm doesn't get on; "" while it does."""
        if self.done or self._tried * self._period < self._waypoints[self._index].within:
            return ""
        within = self._waypoints[self._index].within
        return f"{self.where} was not reached within {within:g} s"

    def advance(self, proprio: Proprio) -> FloatArray:
        """(7,) normalised action of the next period; zeros once done, or failed. Time counts by
        calls, so that nothing is missed while somebody else holds the arm."""
        action = np.zeros(ACTION_DIM, np.float32)
        if self.done or self.failed:
            return action
        point = self._waypoints[self._index]
        if self._target is None:
            self._target = self._draw(point, proprio)
            self._there = self._tried = 0
        position, rotation = self._target
        off = position - proprio.position
        turn = turn_to(proprio.quaternion, rotation)
        if np.abs(off).max() <= AT_POSITION and np.abs(turn).max() <= AT_ROTATION:
            self._there += 1
        self._tried += 1
        wanted = GAIN * np.concatenate([off, turn]) / self._scale[:6]
        # All axes slow down together, so that the tool goes straight.
        action[:6] = wanted * min(1.0, point.speed / max(np.abs(wanted).max(), 1e-9))
        action[GRIPPER] = _GRIPPER[point.gripper]
        if self._there and (self._there - 1) * self._period >= point.hold:
            self._index += 1
            self._target = None
        return action

    def _draw(
        self, point: Waypoint, proprio: Proprio
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        place = [
            here if middle is None else middle + self._rng.uniform(-1.0, 1.0) * spread
            for here, middle, spread in zip(
                proprio.position, point.position, point.spread, strict=True
            )
        ]
        rotation = proprio.quaternion if point.quaternion is None else point.quaternion
        return np.array(place, dtype=np.float64), np.array(rotation, dtype=np.float64)

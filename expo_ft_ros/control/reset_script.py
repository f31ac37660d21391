# SPDX-License-Identifier: Apache-2.0
"""The robot's own reset: waypoints between episodes (appendix B.1, `TaskConfig.reset_script`)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from expo_ft_ros.data.rotation import turn_to
from expo_ft_ros.data.types import ACTION_DIM, GRIPPER, FloatArray, Proprio
from expo_ft_ros.robots import RobotLimits
from expo_ft_ros.tasks.config import Waypoint

GAIN = 2.0
"""Velocity asked for per deviation [1/s]: well damped with a command each 0.1 s."""
_GRIPPER = {"open": 1.0, "close": -1.0, None: 0.0}


class ResetScript:
    """Goes through the waypoints in their order; made anew for each reset.

    Each deviation is answered by a velocity in proportion, up to the waypoint's speed; what comes
    out is to pass the safety filter like any action. period: of a call [s]; seed: of the places.
    """

    def __init__(
        self, waypoints: Sequence[Waypoint], limits: RobotLimits, period: float, *, seed: int
    ) -> None:
        self._waypoints = tuple(waypoints)
        self._scale, self._period = limits.scale(), period
        self._rng = np.random.default_rng(seed)
        self._index = 0
        self._start: Proprio | None = None
        self._drawn = np.zeros(3)
        self._there = self._tried = 0

    @property
    def done(self) -> bool:
        """Whether every waypoint was reached, or left out."""
        return self._index >= len(self._waypoints)

    @property
    def where(self) -> str:
        """In words."""
        if self.done:
            return "scripted reset, done"
        return f"scripted reset, waypoint {self._index + 1} of {len(self._waypoints)}"

    @property
    def failed(self) -> str:
        """Why the arm doesn't get on; "" while it does."""
        if self.done or self._tried * self._period < self._waypoints[self._index].within:
            return ""
        within = self._waypoints[self._index].within
        return f"{self.where} was not reached within {within:g} s"

    def interrupt(self) -> None:
        """Somebody else had the arm: what a waypoint leaves as it is, is as it is found then."""
        self._start = None

    def advance(self, proprio: Proprio) -> FloatArray:
        """(7,) normalised action of the next period; zeros once done, or failed. Time counts by
        calls, so that nothing is missed while somebody else holds the arm."""
        action = np.zeros(ACTION_DIM, np.float32)
        if not self._tried:
            self._leave_out(proprio.gripper_width)
        if self.done or self.failed:
            return action
        point = self._waypoints[self._index]
        if not self._tried:
            self._drawn = self._rng.uniform(-1.0, 1.0, 3) * point.spread
        self._start = self._start or proprio
        off, turn = self._deviation(point, self._start, proprio)
        if np.abs(off).max() <= point.near and np.abs(turn).max() <= point.turned:
            self._there += 1
        self._tried += 1
        wanted = GAIN * np.concatenate([off, turn]) / self._scale[:6]
        # All axes slow down together, so that the tool goes straight.
        action[:6] = wanted * min(1.0, point.speed / max(np.abs(wanted).max(), 1e-9))
        action[GRIPPER] = _GRIPPER[point.gripper]
        if self._there and (self._there - 1) * self._period >= point.hold:
            self._index += 1
            self._start = None
            self._there = self._tried = 0
        return action

    def _leave_out(self, width: float) -> None:
        """Goes past the waypoints that are for an arm that holds something, where it doesn't."""
        while not self.done:
            holding = self._waypoints[self._index].holding
            if holding is None or holding[0] <= width <= holding[1]:
                return
            self._index += 1

    def _deviation(
        self, point: Waypoint, start: Proprio, now: Proprio
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """What is missing to the waypoint: along [m] and about [rad] the base's axes, each (3,)."""
        places = zip(start.position, point.position, self._drawn, strict=True)
        target = np.array([here if at is None else at + drawn for here, at, drawn in places])
        rotation = start.quaternion if point.quaternion is None else np.array(point.quaternion)
        return target - now.position, turn_to(now.quaternion, rotation)

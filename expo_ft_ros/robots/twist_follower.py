# SPDX-License-Identifier: Apache-2.0
"""From velocity commands at the control rate to a tool pose that a controller can follow.

A twist is held until the next one comes. Its steps are smoothed by a critically damped second order
and integrated to a target pose, which stays close ahead of the measured one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from expo_ft_ros.data.rotation import compose, rotation_of, turn_to
from expo_ft_ros.robots.config import RobotConfig
from expo_ft_ros.robots.twist_smoother import TwistSmoother

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Target:
    """Where the tool shall be now, in the base frame.

    Attributes:
        position: (3,) [m].
        quaternion: (4,) x, y, z, w, of length 1.
        twist: (6,) smoothed velocity, linear then angular [m/s, rad/s].
    """

    position: Vector
    quaternion: Vector
    twist: Vector


class TwistFollower:
    """Integrates and smooths a commanded twist (`TwistSmoother`, which says how smooth); call
    `advance` in each cycle of the controller."""

    def __init__(self, robot: RobotConfig, position: Vector, quaternion: Vector) -> None:
        """Begins at rest.

        Args:
            robot: Its limits, its workspace and its `following`.
            position: (3,) measured position of the tool, base frame [m].
            quaternion: (4,) its measured orientation, x, y, z, w.

        Raises:
            ValueError: for a number that is not finite.
        """
        self._limits = robot.limits.scale()[:6]
        self._low, self._high = np.array(robot.workspace.low), np.array(robot.workspace.high)
        self._config = robot.following
        self._smoother = TwistSmoother(self._config.bandwidth)
        self.reset(position, quaternion)

    @property
    def target(self) -> Target:
        """The newest target."""
        return Target(
            self._position.copy(), self._quaternion.copy(), self._smoother.velocity.copy()
        )

    def reset(self, position: Vector, quaternion: Vector) -> None:
        """At rest where the tool is: after a fault, or when somebody has guided the arm by hand.

        Args:
            position: (3,) measured [m].
            quaternion: (4,) measured, x, y, z, w.

        Raises:
            ValueError: for a number that is not finite.
        """
        self._position = _finite("position", position, 3).copy()
        self._quaternion = _unit(_finite("quaternion", quaternion, 4))
        self.freeze()

    def is_left_behind(self, position: Vector, quaternion: Vector) -> bool:
        """Whether the tool is further from the target than a target may be ahead of it.

        Args:
            position: (3,) measured [m].
            quaternion: (4,) measured, x, y, z, w.
        """
        away = float(np.linalg.norm(self._position - position))
        turned = _angle_of(turn_to(_unit(quaternion), self._quaternion))
        return away > self._config.lead or turned > self._config.turn_lead

    def freeze(self) -> None:
        """Stops the target where it is, at once."""
        self._smoother.stop()

    def advance(self, twist: Vector, position: Vector, quaternion: Vector, dt: float) -> Target:
        """The target after a cycle.

        Args:
            twist: (6,) commanded velocity, base axes [m/s, rad/s]; cut to the robot's limits.
            position: (3,) measured position of the tool [m].
            quaternion: (4,) measured orientation, x, y, z, w.
            dt: Length of the cycle [s].

        Returns:
            The target; within `following.lead` and `following.turn_lead` of the measured pose, and
            inside the robot's workspace, or no further outside than the tool is.

        Raises:
            ValueError: for a number that is not finite, or a dt that isn't positive.
        """
        if not (np.isfinite(dt) and dt > 0):
            raise ValueError(f"dt: {dt} s must be positive")
        wanted = np.clip(_finite("twist", twist, 6), -self._limits, self._limits)
        measured = _finite("position", position, 3)
        turned = _unit(_finite("quaternion", quaternion, 4))
        travelled = self._smoother.advance(wanted, dt)
        self._position = self._bound(self._position + travelled[:3], measured)
        ahead = compose(rotation_of(travelled[3:]), self._quaternion)
        self._quaternion = self._bound_turn(_unit(ahead), turned)
        return self.target

    def _bound(self, target: Vector, measured: Vector) -> Vector:
        ahead = target - measured
        distance = float(np.linalg.norm(ahead))
        if distance > self._config.lead:
            target = measured + ahead * (self._config.lead / distance)
        inside = np.clip(target, np.minimum(self._low, measured), np.maximum(self._high, measured))
        return np.asarray(inside)

    def _bound_turn(self, target: Vector, measured: Vector) -> Vector:
        turn = turn_to(measured, target)
        size = float(np.linalg.norm(turn))
        if _angle_of(turn) <= self._config.turn_lead:
            return target
        return _unit(compose(rotation_of(turn * (self._config.turn_lead / size)), measured))


def _angle_of(turn: Vector) -> float:
    """[rad] of a turn as `turn_to` gives it."""
    return 2.0 * float(np.arcsin(min(1.0, float(np.linalg.norm(turn)) / 2.0)))


def _finite(name: str, values: Vector, size: int) -> Vector:
    array = np.asarray(values, dtype=np.float64)
    if array.shape != (size,) or not np.isfinite(array).all():
        raise ValueError(f"{name} {array.tolist()} is not {size} finite numbers")
    return array


def _unit(quaternion: Vector) -> Vector:
    length = float(np.linalg.norm(quaternion))
    if not 0.5 < length < 2.0:
        raise ValueError(f"quaternion {quaternion.tolist()} is no rotation")
    return np.asarray(quaternion / length)

# SPDX-License-Identifier: Apache-2.0
"""The velocity that an arm is sent in a control cycle: smooth, within all limits, at rest without
a command."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.fci.messages import ArmCommand
from expo_ft_ros.robots import RobotConfig
from expo_ft_ros.robots.joint_limits import GAIN, JointLimits, share_within
from expo_ft_ros.robots.singularity import share_before_singular
from expo_ft_ros.robots.twist_smoother import TwistSmoother
from expo_ft_ros.robots.watchdog import CommandWatchdog

Vector = NDArray[np.float64]

_FACE_GAIN = 10.0
"""Share of the way to a face of the workspace that may be commanded a second [1/s]."""

_LAG = 0.05
"""By which an arm follows its commanded velocity late [s]."""

_SINGULAR = 0.08
"""Least singular value of the Jacobian to which the arm goes: an FR3 at home is at 0.15, and one
that is too near to a singular posture begins no Cartesian motion any more."""

_REST = 1e-4
"""Speed below which a commanded rest is one [m/s, rad/s]."""

_DAMPING = 1e-8 * np.eye(6)
"""Keeps the inverse of a singular arm finite; so small that its joint speeds are still large, and
the twist is scaled down."""


class CartesianMotion:
    """From the newest command to a cycle's twist; call `step` in each cycle.

    - A command older than `following.command_timeout` is zero.
    - Towards a face of the workspace it slows down so that it comes to rest there; along the face
      and away from it it is free. What will still be travelled counts as done already.
    - The whole twist is scaled so that no joint is faster than its limit or than its distance to
      the margin before its end allows, and so that it rests before a singular posture; away from
      both it is free. Joint speeds are those of the minimum-norm
      inverse; the robot resolves its seventh degree of freedom by itself, so they are an estimate,
      and the robot's own limits are the real ones.
    - It is smoothed (`TwistSmoother`), and its change in a cycle is scaled so that no joint
      accelerates more than `fci.joint_acceleration`.
    """

    def __init__(self, robot: RobotConfig) -> None:
        """At rest.

        Args:
            robot: Its limits, workspace, `following` and `fci`.

        Raises:
            ConfigError: for a robot without `fci`.
        """
        if robot.fci is None:
            raise ConfigError(f"robot {robot.name}: fci: the section is missing")
        margin = robot.fci.joint_margin
        self._joint_limits = JointLimits(
            np.array(robot.fci.joint_low) + margin,
            np.array(robot.fci.joint_high) - margin,
            np.array(robot.fci.joint_velocity),
        )
        self._joint_acceleration = robot.fci.joint_acceleration
        self._limits = robot.limits.scale()[:6]
        self._near, self._far = np.array(robot.workspace.low), np.array(robot.workspace.high)
        self._watchdog = CommandWatchdog(robot.following.command_timeout)
        self._smoother = TwistSmoother(robot.following.bandwidth)

    @property
    def is_at_rest(self) -> bool:
        """Whether zero was sent in the last cycle."""
        return not self._smoother.velocity.any()

    def step(
        self,
        command: ArmCommand,
        position: Vector,
        joints: Vector,
        jacobian: Vector,
        now: float,
        dt: float,
    ) -> Vector:
        """The twist of this cycle.

        Args:
            command: The newest.
            position: (3,) measured position of the tool, base frame [m].
            joints: (7,) measured [rad].
            jacobian: (6, 7) of the tool in base axes, at these joints.
            now: [s, time.monotonic].
            dt: Since the last cycle [s].

        Returns:
            (6,) in base axes [m/s, rad/s].
        """
        self._watchdog.command(command.stamp)
        wanted = np.zeros(6)
        if not self._watchdog.expired(now):
            wanted = np.array(command.twist)
            if not np.isfinite(wanted).all():
                wanted = np.zeros(6)
        wanted = np.minimum(np.maximum(wanted, -self._limits), self._limits)
        if wanted.any():
            wanted[:3] = self._within_workspace(wanted[:3], position)
        inverse = jacobian.T @ np.linalg.inv(jacobian @ jacobian.T + _DAMPING)
        speeds = inverse @ wanted
        wanted *= min(
            share_within(speeds, self._joint_limits.allowed(speeds, joints)),
            share_before_singular(jacobian, speeds, least=_SINGULAR, gain=GAIN),
        )
        before, smoother = self._smoother.velocity, self._smoother
        smoother.advance(wanted, dt)
        change = smoother.velocity - before
        fastest = float(np.abs(inverse @ change).max())
        allowed = self._joint_acceleration * dt
        if fastest > allowed:
            smoother.velocity = before + change * (allowed / fastest)
            smoother.acceleration = smoother.acceleration * (allowed / fastest)
        elif not wanted.any() and np.abs(smoother.velocity).max() < _REST:
            smoother.stop()
        return smoother.velocity

    def _within_workspace(self, wanted: Vector, position: Vector) -> Vector:
        smoother = self._smoother
        rests = position + smoother.stopping_travel[:3] + _LAG * smoother.velocity[:3]
        up = np.maximum(_FACE_GAIN * (self._far - rests), 0.0)
        down = np.minimum(_FACE_GAIN * (self._near - rests), 0.0)
        return np.minimum(np.maximum(wanted, down), up)

# SPDX-License-Identifier: Apache-2.0
"""From a velocity of the tool to speeds of the joints: damped least squares, within all limits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.robots.arm_model import ArmModel
from expo_ft_ros.robots.config import RobotConfig
from expo_ft_ros.robots.joint_group_config import JointGroupConfig
from expo_ft_ros.robots.joint_limits import GAIN, JointLimits, share_within

Vector = NDArray[np.float64]

_AHEAD = 1e-3
"""By how much the posture is followed to see whether its condition becomes worse [rad]."""

_STILL = 1e-9
"""Speeds below it lead nowhere [rad/s]."""

_SLOWED = 0.5
"""A share of the commanded velocity below it is told, with its cause."""


class JointMotion:
    """Call `step` in each cycle of the controller.

    - The tool's velocity becomes joint speeds by the Jacobian's inverse, damped where its condition
      number is above `max_condition` (there the tool's direction isn't kept).
    - Joints beyond six go to `home`, without moving the tool, and only while it moves.
    - All speeds are scaled together: by the fastest joint, by the nearest limit (`JointLimits`),
      and by how fast the condition number comes near `max_condition`. So the direction is kept, and
      what leads away from a limit is free.
    - No joint accelerates more than `joint_acceleration`; `stop` is at once.

    Attributes:
        limits: Of the joints' angles and speeds.
    """

    def __init__(self, robot: RobotConfig, config: JointGroupConfig, model: ArmModel) -> None:
        """At rest.

        Args:
            robot: Its `limits` and `home`.
            config: Its section.
            model: Of its joints.

        Raises:
            ConfigError: where URDF and section leave nothing of a joint, or don't limit its speed.
        """
        self._model, self._config = model, config
        self.limits = limits_of(config, model)
        self._home = np.array(robot.home)
        self._turns = np.isinf(self.limits.low) & np.isinf(self.limits.high)
        self._scale = robot.limits.scale()[:6]
        self.stop()

    @property
    def note(self) -> str:
        """Why the last step was slower than commanded; "" where it wasn't."""
        return self._note

    def stop(self) -> None:
        """At rest, at once."""
        self._speeds = np.zeros(len(self._home))
        self._note = ""

    def step(self, twist: Vector, joints: Vector, dt: float) -> Vector:
        """The speeds of a cycle.

        Args:
            twist: (6,) of the tool, base axes [m/s, rad/s].
            joints: (n,) measured [rad].
            dt: Since the last step [s].

        Returns:
            (n,) [rad/s].
        """
        now = _Posture.of(self._model.jacobian(joints), self._config.max_condition)
        speeds = now.inverse @ twist
        share, note = self._share(speeds, joints, now)
        speeds = share * speeds
        speeds = speeds + self._to_home(twist, speeds, joints, now)
        change, most = speeds - self._speeds, self._config.joint_acceleration * dt
        self._speeds = self._speeds + change * share_within(change, np.full_like(change, most))
        is_damped = now.condition > self._config.max_condition
        self._note = note if twist.any() and (share < _SLOWED or is_damped) else ""
        return self._speeds.copy()

    def _share(self, speeds: Vector, joints: Vector, now: _Posture) -> tuple[float, str]:
        """Of the speeds, and what allows no more."""
        allowed = self.limits.allowed(speeds, joints)
        share, note = share_within(speeds, allowed), ""
        if share < 1.0:
            worst = int(np.argmin(allowed / np.maximum(np.abs(speeds), 1e-12)))
            end = self.limits.high if speeds[worst] > 0 else self.limits.low
            name, angle = self._model.joints[worst], joints[worst]
            note = f"joint {name} is as fast as it may be"
            if allowed[worst] < self.limits.velocity[worst]:
                note = f"joint {name} is at {angle:.2f} rad, and may go to {end[worst]:.2f}"
        rate = self._worsening(speeds, joints, now)
        left = np.log(self._config.max_condition / now.condition)
        singular = share_within(np.array([rate]), np.array([max(0.0, GAIN * left)]))
        if singular < share or left < 0:
            return min(share, singular), (
                f"near a singularity: condition {now.condition:.0f}, at most "
                f"{self._config.max_condition:g} (move away from it; where no command does, move "
                "the joints by the driver's means)"
            )
        return share, note

    def _worsening(self, speeds: Vector, joints: Vector, now: _Posture) -> float:
        """Growth of the logarithm of the condition number, 0 where it falls [1/s]."""
        fastest = float(np.abs(speeds).max(initial=0.0))
        if fastest < _STILL:
            return 0.0
        ahead = self._model.jacobian(joints + speeds * (_AHEAD / fastest))
        grown = np.log(_condition(np.linalg.svd(ahead, compute_uv=False)) / now.condition)
        return max(0.0, float(grown) * fastest / _AHEAD)

    def _to_home(self, twist: Vector, speeds: Vector, joints: Vector, now: _Posture) -> Vector:
        """(n,) speeds that don't move the tool, in what the others leave of the limits."""
        if not now.free.size:
            return np.zeros_like(speeds)
        ease = min(1.0, float(np.abs(twist / self._scale).max()))
        way = self._home - joints
        way = np.where(self._turns, (way + np.pi) % (2 * np.pi) - np.pi, way)
        wanted = ease * self._config.rest_gain * way
        wanted = now.free.T @ (now.free @ wanted)
        # Both together go at most as fast as a joint may in that direction.
        room = self.limits.allowed(wanted, joints) - np.sign(wanted) * speeds
        return np.asarray(wanted * share_within(wanted, np.maximum(room, 0.0)))


class JointReference:
    """The angles that a controller of positions is given: speeds integrated, at most `lead` ahead
    of the measured joints and never beyond their limits, also of an arm that lags or is held:
    freed it goes where it was sent last."""

    def __init__(self, limits: JointLimits, lead: float) -> None:
        """Where the arm is.

        Args:
            limits: Of the joints.
            lead: Of a commanded angle ahead of the measured one, at most [rad].
        """
        self._limits, self._lead = limits, lead
        self.forget()

    @property
    def angles(self) -> Vector | None:
        """(n,) the newest [rad]; None: where the arm is."""
        return self._angles

    def forget(self) -> None:
        """The next begins where the arm is then."""
        self._angles: Vector | None = None

    def advance(self, speeds: Vector, joints: Vector, dt: float) -> Vector:
        """The angles after a cycle.

        Args:
            speeds: (n,) [rad/s].
            joints: (n,) measured [rad].
            dt: Since the last cycle [s].

        Returns:
            (n,) [rad]; beyond a limit only as far as the joint is already.
        """
        before = joints if self._angles is None else self._angles
        if not speeds.any() and np.abs(before - joints).max() > self._lead:
            before = joints  # Somebody has guided it by hand: nothing pulls at it.
        after = np.clip(before + speeds * dt, joints - self._lead, joints + self._lead)
        low, high = np.minimum(self._limits.low, joints), np.maximum(self._limits.high, joints)
        self._angles = np.clip(after, low, high)
        return self._angles.copy()


def limits_of(config: JointGroupConfig, model: ArmModel) -> JointLimits:
    """What the section says, else the URDF, less the margins; raises ConfigError for too little."""
    low = model.low if config.joint_low is None else np.array(config.joint_low)
    high = model.high if config.joint_high is None else np.array(config.joint_high)
    fastest = (
        config.velocity_share * model.velocity
        if config.joint_velocity is None
        else np.array(config.joint_velocity)
    )
    for name, least, most, speed in zip(model.joints, low, high, fastest, strict=True):
        if not least + 2 * config.joint_margin < most:
            raise ConfigError(
                f"joint {name}: from {least:g} to {most:g} rad nothing is left between margins of "
                f"{config.joint_margin:g} rad (set joint_low, joint_high or joint_margin)"
            )
        if not 0 < speed < np.inf:
            raise ConfigError(f"joint {name}: the URDF limits no speed of it (set joint_velocity)")
        if config.joint_acceleration < GAIN * speed:
            raise ConfigError(
                f"joint {name}: joint_acceleration {config.joint_acceleration:g} rad/s^2 is too "
                f"little to brake {speed:.2f} rad/s before an end (set {GAIN * speed:.1f} or more, "
                "or less of joint_velocity or velocity_share)"
            )
    return JointLimits(low + config.joint_margin, high - config.joint_margin, fastest)


@dataclass(frozen=True)
class _Posture:
    """A Jacobian, taken apart.

    Attributes:
        inverse: (n, 6), damped where the condition is too bad.
        free: (n - 6, n) directions that don't move the tool.
        condition: Greatest singular value by the least.
    """

    inverse: Vector
    free: Vector
    condition: float

    @classmethod
    def of(cls, jacobian: Vector, max_condition: float) -> _Posture:
        """Takes a Jacobian (6, n) apart."""
        left, values, right = np.linalg.svd(jacobian)
        floor = values[0] / max_condition
        # Nothing above the floor; below it the more, so that speeds stay finite and continuous.
        damping = max(0.0, floor**2 - values[-1] ** 2)
        inverse = right[: len(values)].T @ np.diag(values / (values**2 + damping)) @ left.T
        return cls(inverse, right[len(values) :], _condition(values))


def _condition(values: NDArray[Any]) -> float:
    return float(values[0] / max(float(values[-1]), 1e-12))

# SPDX-License-Identifier: Apache-2.0
"""What stops the arm: inputs that are too old, and a filter that every action passes.

Fail-closed: whatever can't be trusted gives zero velocity and a cause in words.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from expo_ft_ros.configuration import Config, ConfigError, config_dir, load_yaml
from expo_ft_ros.data.types import ACTION_DIM, FloatArray, Proprio
from expo_ft_ros.robots import RobotLimits, Workspace

Seconds = Annotated[float, Field(gt=0, le=60)]

INPUTS = ("cameras", "proprio", "teleop", "reward", "policy")
"""What has a deadline; that of cameras is each camera's."""
CAMERA = "camera/"
"""What the input of each camera begins with."""

# Alterations smaller than this are rounding, not worth a cause.
VISIBLE = 1e-4

_REMEMBERED = 3  # commands; at least two periods


_IMAGE_JITTER = 1.2  # a camera's image may come so many periods after the one before it


class SafetyConfig(Config):
    """config/safety.yaml, which has the comments."""

    deadlines: dict[str, Seconds] = Field(
        description="input -> greatest age of its newest sample [s]; in (0, 60]"
    )
    linear_acceleration: float = Field(
        default=5.0, gt=0, le=50, description="change of velocity along each axis [m/s^2]"
    )
    angular_acceleration: float = Field(
        default=15.0, gt=0, le=200, description="change of rotation about each axis [rad/s^2]"
    )
    late_tick: float = Field(
        default=0.03,
        ge=0,
        le=0.1,
        description="in real time a command may last so much longer than its period [s]",
    )
    verdict_timeout: float = Field(
        default=0.5, ge=0, le=60, description="wait for the last step's verdict [s]"
    )
    takeover_gripper: float = Field(
        default=0.5,
        gt=0,
        le=1,
        description="|gripper action| from which a takeover goes on closing or opening",
    )

    @field_validator("deadlines")
    @classmethod
    def _of_every_input(cls, value: dict[str, float]) -> dict[str, float]:
        if set(value) != set(INPUTS):
            raise ValueError(f"must name {', '.join(INPUTS)}, got {', '.join(value) or 'nothing'}")
        return value

    def require_time_for_chunks(self, task: str, seconds: float) -> None:
        """Refuses a deadline that even a punctual policy can't keep.

        Args:
            task: Its name.
            seconds: Between two of its chunks.

        Raises:
            ConfigError: with both times.
        """
        deadline = self.deadlines["policy"]
        if deadline <= seconds:
            raise ConfigError(
                f"config/safety.yaml: deadlines.policy: {deadline} s, but task {task} asks for a "
                f"chunk every {seconds:g} s (give the policy more)"
            )

    def require_images_in_time(self, view: str, rate: float) -> None:
        """Refuses a camera that is too slow for its deadline.

        Args:
            view: Its name.
            rate: Images a second.

        Raises:
            ConfigError: with both times.
        """
        deadline = self.deadlines["cameras"]
        if _IMAGE_JITTER / rate > deadline:
            raise ConfigError(
                f"views: {view} has rate {rate:g}, an image every {1 / rate:.2f} s and some later, "
                f"but config/safety.yaml stops the arm after {deadline} s without one "
                "(deadlines.cameras; take a faster camera, or allow more)"
            )

    @classmethod
    def load(cls, path: Path | None = None) -> SafetyConfig:
        """From a file, by default config/safety.yaml; raises ConfigError."""
        return load_yaml(cls, path or config_dir() / "safety.yaml")


class Deadlines:
    """How old each input may be."""

    def __init__(self, config: SafetyConfig) -> None:
        self._limits = config.deadlines

    def check(self, now: float, stamps: Mapping[str, float | None]) -> str:
        """Cause to hold still, or "". stamps: input -> time of its newest sample [s], None: never.

        A stamp that lies ahead of now by more than the deadline is refused too: the clocks
        disagree, and its true age isn't known. Raises ValueError for an input without a deadline.
        """
        for name, stamp in stamps.items():
            limit = self._limits.get("cameras" if name.startswith(CAMERA) else name)
            if limit is None:
                raise ValueError(f"input {name}: has no deadline (add it to config/safety.yaml)")
            if stamp is None:
                return f"{name} never arrived"
            age = now - stamp
            if age < -limit:
                return f"{name} stamped {-age:.2f} s ahead of the clock"
            if not age <= limit:
                return f"{name} stale {age:.2f} s > {limit:.2f} s"
        return ""


class Heartbeats:
    """Who of those that must live is silent. within: greatest time between two beats [s].

    Who was never heard of is silent; a beat of somebody else is ignored.
    """

    def __init__(self, names: Iterable[str], within: float) -> None:
        self._heard = dict.fromkeys(names, -math.inf)
        self._within = within

    def beat(self, name: str, now: float) -> None:
        """The node lives. now: [s] of a steady clock."""
        if name in self._heard:
            self._heard[name] = now

    def silent(self, now: float) -> list[str]:
        """Names in order."""
        return sorted(
            name for name, heard in self._heard.items() if not now - heard <= self._within
        )


@dataclass(frozen=True)
class Filtered:
    """An action that may be sent. action: (7,) float32 normalised; cause: why it was altered."""

    action: FloatArray
    cause: str = ""


class SafetyFilter:
    """Velocity limits, acceleration limits and the workspace box, in this order.

    The tool stays in the box as long as a robot does what it was sent, a measured position is at
    most as old as two periods, and each command lasts no longer than is said here.
    """

    def __init__(self, config: SafetyConfig, limits: RobotLimits, workspace: Workspace) -> None:
        self._scale = limits.scale()
        self._acceleration = np.array(
            [config.linear_acceleration] * 3 + [config.angular_acceleration] * 3
        )
        self._low = np.array(workspace.low)
        self._high = np.array(workspace.high)
        self._velocity = np.zeros(ACTION_DIM)
        # Of the tool, newest last: what may have been executed since a position was measured. Stops
        # aren't kept: several may come at once, and what moved before them would be forgotten.
        self._sent: deque[NDArray[np.float64]] = deque(maxlen=_REMEMBERED)

    def reset(self) -> None:
        """The robot stands still: a new episode, a pause, a stop."""
        self._velocity = np.zeros(ACTION_DIM)

    def stop(self, cause: str) -> Filtered:
        """Zero velocity at once; a stop isn't slowed by the acceleration limit."""
        self.reset()
        return Filtered(np.zeros(ACTION_DIM, np.float32), cause)

    def filter(
        self,
        action: FloatArray,
        proprio: Proprio,
        dt: float,
        *,
        age: float = 0.0,
        slack: float = 0.0,
    ) -> Filtered:
        """What may be sent for `dt` seconds. action: (7,) normalised, anything; age: of the
        proprio [s]; slack: by how much longer than dt it may last until the next command [s].

        Raises ValueError for a wrong shape or a dt that isn't positive.
        """
        if np.shape(action) != (ACTION_DIM,):
            raise ValueError(f"action: shape {np.shape(action)}, not ({ACTION_DIM},)")
        if not dt > 0:
            raise ValueError(f"dt: {dt} s must be positive")
        if not np.isfinite(action).all():
            return self.stop("action is not finite")
        if not np.isfinite(proprio.vector()).all():
            return self.stop("proprio is not finite")
        wanted = np.asarray(action, dtype=np.float64)
        within_speed = np.clip(wanted, -1.0, 1.0)
        smooth = self._limit_acceleration(within_speed * self._scale, dt)
        inside = self._keep_inside(smooth, np.asarray(proprio.position), dt, age, slack)
        self._velocity = inside
        self._sent.append(inside[:3])
        alterations = (
            ("velocity limit", wanted, within_speed),
            ("acceleration limit", within_speed, smooth / self._scale),
            ("workspace", smooth / self._scale, inside / self._scale),
        )
        causes = [name for name, a, b in alterations if np.abs(a - b).max() > VISIBLE]
        sent = np.clip(inside / self._scale, -1.0, 1.0).astype(np.float32)
        return Filtered(sent, ", ".join(causes))

    def _limit_acceleration(self, velocity: NDArray[np.float64], dt: float) -> NDArray[np.float64]:
        """The gripper is left alone: its own controller ramps it, and it must close in time."""
        change = self._acceleration * dt
        smooth = velocity.copy()
        before = self._velocity[:6]
        smooth[:6] = np.clip(velocity[:6], before - change, before + change)
        return smooth

    def _keep_inside(
        self,
        velocity: NDArray[np.float64],
        position: NDArray[np.float64],
        dt: float,
        age: float,
        slack: float,
    ) -> NDArray[np.float64]:
        """Cut what would leave the box, axis by axis, so that the tool slides along a face.

        It brakes in time to stop at the face within the acceleration limit, from where the tool may
        have got to since its position was measured. A tool that is outside already may only stay or
        come back.
        """
        slower, lasts = self._acceleration[:3] * dt, dt + slack
        since = np.array([np.zeros(3), *self._sent]) * max(0.0, age)
        upper = _braking_speed(self._high - position - since.max(axis=0), slower, lasts)
        lower = -_braking_speed(position + since.min(axis=0) - self._low, slower, lasts)
        inside = velocity.copy()
        inside[:3] = np.clip(velocity[:3], lower, upper)
        return inside


def _braking_speed(
    room: NDArray[np.float64], slower: NDArray[np.float64], dt: float
) -> NDArray[np.float64]:
    """Greatest speed [m/s] for the next `dt` after which a stop still fits into `room` [m].

    Each tick takes `slower` off the speed. Stopping from v in k more ticks covers
    dt * ((k + 1) v - slower k (k + 1) / 2), largest allowed v over all k.
    """
    per_tick = np.maximum(room, 0.0) / dt
    # The number of ticks to stop: the largest k with k (k + 1) / 2 * slower <= room / dt.
    ticks = np.floor((np.sqrt(1.0 + 8.0 * per_tick / slower) - 1.0) / 2.0)
    return np.asarray((per_tick + slower * ticks * (ticks + 1) / 2.0) / (ticks + 1))

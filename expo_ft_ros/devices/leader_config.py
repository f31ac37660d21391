# SPDX-License-Identifier: Apache-2.0
"""What a leader arm is: config/leader.yaml, and what of teleop's file must hold for it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from expo_ft_ros.configuration import Config, ConfigError, config_dir, load_yaml
from expo_ft_ros.devices.teleop import CONFIG_FILES, TeleopConfig
from expo_ft_ros.robots.ros2_control import RosName

LEADER = "leader"
"""The option `operator`, teleop's device and the node that reads the arm."""

LEADER_FILE = "leader.yaml"
"""In config/."""

_MOST_PER_PERIOD = 0.5  # share of the way to the target; what is measured is a period old


class TriggerConfig(Config):
    """A joint of the leader that the operator squeezes."""

    joint: str = Field(min_length=1, description="its name in joint_states; none of joints")
    opened: float = Field(description="its position for an open gripper")
    closed: float = Field(description="and for a closed one, in the same unit")

    @model_validator(mode="after")
    def _moves(self) -> TriggerConfig:
        if self.opened == self.closed:
            raise ValueError(f"opened and closed are both {self.opened}")
        return self

    def share(self, position: float) -> float:
        """Of the way from opened to closed, whichever is greater."""
        return (position - self.opened) / (self.closed - self.opened)


class LeaderConfig(Config):
    """config/leader.yaml, which has the comments and the values."""

    joint_states: RosName = Field(description="sensor_msgs/JointState of the leader's driver")
    description: RosName | None = Field(
        default=None, description="std_msgs/String, the leader's URDF as robot_state_publisher has"
    )
    urdf: str | None = Field(
        default=None,
        pattern=r"^/.*",
        description="file of the leader's URDF, a whole path; in place of description",
    )
    joints: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        min_length=1, max_length=16, description="all joints of the URDF between base and tip"
    )
    base: str = Field(min_length=1, description="link of the URDF that stands")
    tip: str = Field(min_length=1, description="link of the URDF that the operator moves")
    yaw: float = Field(
        default=0.0,
        ge=-3.1416,
        le=3.1416,
        description="turn of the leader's base about the vertical, in the robot's base frame [rad]",
    )
    scale: float = Field(
        default=1.0, ge=0.1, le=5, description="way of the tool for a way of 1 of the leader's"
    )
    gain: float = Field(
        default=3.0, gt=0, le=10, description="velocity for a way of 1 that is left [1/s]"
    )
    lead: float = Field(
        default=0.1,
        ge=0.01,
        le=0.5,
        description="of the target ahead of the tool; what the leader is further ahead is let go "
        "of, so that turning back is turning back at once [m]",
    )
    turn_lead: float = Field(default=0.5, ge=0.05, le=1.5, description="likewise [rad]")
    clutch: Literal["motion", "button"] = Field(
        description="what takes over: that the leader moves, or that a button of leader/joy is held"
    )
    clutch_button: int = Field(default=0, ge=0, le=31, description="of leader/joy, for button")
    start: float = Field(
        default=0.01, ge=0.002, le=0.1, description="way within `rest` that is a motion [m]"
    )
    start_turn: float = Field(default=0.08, ge=0.01, le=0.5, description="likewise [rad]")
    rest: float = Field(
        default=1.0, ge=0.3, le=5, description="without a motion for so long, it gives back [s]"
    )
    trigger: TriggerConfig | None = Field(
        default=None, description="joint that closes and opens the gripper; null: none does"
    )
    timeout: float = Field(
        default=0.25,
        ge=0.05,
        le=1,
        description="a leader, or a button, that is silent for so long is lost [s]",
    )
    jump: float = Field(
        default=0.4,
        ge=0.05,
        le=1.5,
        description="of a joint between two readings: no motion, but a fault [rad]",
    )
    rate: float = Field(default=50.0, ge=20, le=100, description="readings a second [Hz]")

    @model_validator(mode="after")
    def _fits_together(self) -> LeaderConfig:
        if (self.description is None) == (self.urdf is None):
            raise ValueError("needs one of description (a topic) and urdf (a file)")
        twice = sorted({name for name in self.wanted if self.wanted.count(name) > 1})
        if twice:
            raise ValueError(f"joints and trigger: {', '.join(twice)} given twice")
        return self

    @property
    def wanted(self) -> tuple[str, ...]:
        """Names of all joints that a reading has, the trigger's last."""
        return (*self.joints, *([self.trigger.joint] if self.trigger else []))

    def require_stable(self, period: float) -> None:
        """Refuses a gain at which the tool would swing about its target.

        Args:
            period: Of control [s].

        Raises:
            ConfigError: with the greatest that may be.
        """
        if self.gain * period > _MOST_PER_PERIOD:
            raise ConfigError(
                f"config/{LEADER_FILE}: gain: {self.gain:g} /s is too much for a command each "
                f"{period:g} s (set {_MOST_PER_PERIOD / period:g} or less)"
            )

    @classmethod
    def load(cls, path: Path | None = None) -> LeaderConfig:
        """From a file, by default `LEADER_FILE`; raises ConfigError."""
        return load_yaml(cls, path or config_dir() / LEADER_FILE)


def require_base_axes(config: TeleopConfig) -> None:
    """Checks that teleop hands a leader's readings on as they are: turned, the tool would run from
    its target.

    Args:
        config: Of teleop, for the device `LEADER`.

    Raises:
        ConfigError: for the first field that turns or scales them.
    """
    plain = TeleopConfig(dead_zone=0.0, engage_button=2)
    names = ("full_scale", "dead_zone", "axes", "signs", "frame", "close_button", "open_button")
    for name in (*names, "engage_button"):
        given, wanted = getattr(config, name), getattr(plain, name)
        if given != wanted:
            raise ConfigError(
                f"config/{CONFIG_FILES[LEADER]}: {name}: is {given}, of a leader arm it is "
                f"{wanted} (turn and scale it by yaw and scale of config/{LEADER_FILE})"
            )


def angles_of(
    names: Sequence[str], positions: Sequence[float], wanted: Sequence[str]
) -> NDArray[np.float64]:
    """(n,) positions of the joints that are wanted, of a JointState.

    Raises:
        ValueError: when one is missing, given twice or no number.
    """
    if len(names) != len(positions):
        raise ValueError(f"{len(names)} names and {len(positions)} positions")
    for name in wanted:
        if list(names).count(name) != 1:
            raise ValueError(
                f"{'two joints' if name in names else 'no joint'} {name!r} (has "
                f"{', '.join(names) or 'nothing'}; set joints and trigger of config/{LEADER_FILE})"
            )
    found = np.array([positions[list(names).index(name)] for name in wanted], dtype=np.float64)
    if not np.isfinite(found).all():
        raise ValueError(f"joint {wanted[int(np.argmin(np.isfinite(found)))]!r} is no number")
    return found

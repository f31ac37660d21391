# SPDX-License-Identifier: Apache-2.0
"""What a Franka arm needs to be driven through libfranka: the section `fci` of a robot's file."""

from __future__ import annotations

import importlib.util
from typing import Literal

from pydantic import Field, model_validator

from expo_ft_ros.configuration import Config, ConfigError

FCI_ADAPTER = "expo_ft_ros.nodes.franka_fci"
"""The adapter that reads it."""

PYLIBFRANKA = "pylibfranka==0.21.3"
"""What pip installs."""

Seven = tuple[float, float, float, float, float, float, float]
Six = tuple[float, float, float, float, float, float]


class FciConfig(Config):
    """The arm's address, and the limits within which its loop keeps it.

    Joint limits are those of an FR3, as its manual has them.
    """

    address: str = Field(
        min_length=1,
        pattern=r"^[A-Za-z0-9.:_-]+$",
        description="IP address or host name of the robot's control box; robot_ip:= replaces it",
    )
    realtime: Literal["required", "if allowed"] = Field(
        default="required",
        description="required: without a real-time kernel and priority the arm isn't driven; "
        "if allowed: the priority is taken where the user may have it, for a simulation",
    )
    joint_low: Seven = Field(
        default=(-2.7437, -1.7837, -2.9007, -3.0421, -2.8065, 0.5445, -3.0159),
        description="least angle of each joint [rad]",
    )
    joint_high: Seven = Field(
        default=(2.7437, 1.7837, 2.9007, -0.1518, 2.8065, 4.5169, 3.0159),
        description="greatest angle of each joint [rad]",
    )
    joint_margin: float = Field(
        default=0.1,
        ge=0.02,
        le=0.5,
        description="of a joint's angle to its limits, kept free [rad]",
    )
    joint_velocity: Seven = Field(
        default=(1.3, 1.3, 1.3, 1.3, 2.6, 2.1, 2.6),
        description="greatest speed of each joint, half of an FR3's [rad/s]",
    )
    joint_acceleration: float = Field(
        default=6.0,
        gt=0,
        le=10,
        description="greatest acceleration of a joint; an FR3 stops itself at 10 [rad/s^2]",
    )
    collision_torque: Seven = Field(
        default=(20.0, 20.0, 18.0, 18.0, 16.0, 14.0, 12.0),
        description="external torque of each joint at which the robot stops itself [Nm]",
    )
    collision_force: Six = Field(
        default=(20.0, 20.0, 20.0, 25.0, 25.0, 25.0),
        description="external force and torque on the tool at which the robot stops itself [N, Nm]",
    )
    grasp_force: float = Field(
        default=40.0, gt=0, le=70, description="with which the hand holds what it has grasped [N]"
    )

    @model_validator(mode="after")
    def _has_room(self) -> FciConfig:
        for joint, (low, high) in enumerate(zip(self.joint_low, self.joint_high, strict=True), 1):
            if not low + 2.0 * self.joint_margin < high:
                raise ValueError(
                    f"joint {joint}: from {low} to {high} rad nothing is left between margins of "
                    f"{self.joint_margin} rad"
                )
        if min(self.joint_velocity + self.collision_torque + self.collision_force) <= 0.0:
            raise ValueError(
                "joint_velocity, collision_torque and collision_force must be positive"
            )
        return self


def require_pylibfranka() -> None:
    """Refuses where libfranka's Python package isn't installed.

    Raises:
        ConfigError: in one line, with the command that installs it.
    """
    if importlib.util.find_spec("pylibfranka") is None:
        raise ConfigError(
            f"adapter {FCI_ADAPTER}: the Python package pylibfranka is not installed "
            f"(./expo-ft python -m pip install {PYLIBFRANKA}; Python 3.9 to 3.12 on Linux)"
        )

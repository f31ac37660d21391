# SPDX-License-Identifier: Apache-2.0
"""What an arm needs to be driven joint by joint: the section `joint_group` of a robot's file."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from expo_ft_ros.robots.ros2_control import Brake, ControllerConfig, RosName

JOINT_GROUP = "joint_group"
"""Section of a robot's file, and adapter of this name in nodes/."""

VELOCITY_GUARD = "velocity_guard"
"""Node that ends joint velocities whose adapter is gone."""

PINOCCHIO = (
    "pinocchio",
    "./expo-ft python -m pip install pin==4.1.0, or apt install ros-$ROS_DISTRO-pinocchio",
)
"""Kinematics of any URDF; what else reads one here (MuJoCo) wants its meshes, too."""

Angles = tuple[float, ...]
Speed = Annotated[float, Field(gt=0)]
_COMMANDS = "/commands"


class JointGroupConfig(ControllerConfig):
    """A controller that takes one number for each joint, in the order of the robot's `joints`:
    JointGroupVelocityController, JointGroupPositionController, ForwardCommandController.

    `frames.base` is a link of the URDF, and `home` the posture that joints beyond six are drawn to.
    """

    interface: Literal["velocity", "position"] = Field(
        description="what the controller's numbers are. It keeps the last for ever: a killed "
        "adapter leaves a position where it is, and a velocity to velocity_guard, which ends it"
    )
    description: RosName | None = Field(
        default=None, description="std_msgs/String, the URDF as robot_state_publisher gives it"
    )
    urdf: str | None = Field(
        default=None,
        pattern=r"^/.*",
        description="file of the URDF, a whole path; in place of description",
    )
    tip: str = Field(
        min_length=1, description="link of the URDF that is the tool: its pose is the tool's"
    )
    joint_low: Angles | None = Field(
        default=None, description="least angle of each joint [rad]; null: the URDF's"
    )
    joint_high: Angles | None = Field(
        default=None, description="greatest angle of each joint [rad]; null: the URDF's"
    )
    joint_margin: float = Field(
        default=0.05,
        ge=0.01,
        le=0.5,
        description="of a joint's angle to its limits, kept free [rad]",
    )
    joint_velocity: tuple[Speed, ...] | None = Field(
        default=None,
        description="greatest speed of each joint [rad/s]; null: velocity_share of the URDF's",
    )
    velocity_share: float = Field(
        default=0.5, gt=0, le=1, description="of the speeds that the URDF allows"
    )
    joint_acceleration: float = Field(
        default=5.0,
        gt=0,
        le=50,
        description="greatest acceleration of a joint while commands come, zeros among them: an "
        "E-STOP brakes by it. Without commands or state a stop is at once [rad/s^2]",
    )
    joint_lead: float = Field(
        default=0.1,
        gt=0,
        le=0.5,
        description="of a commanded position ahead of the measured one; interface position [rad]",
    )
    max_condition: float = Field(
        default=30.0,
        gt=1,
        le=1000,
        description="condition number of the tool's Jacobian at which nothing that would raise it "
        "is done any more (moveit_servo's hard_stop_singularity_threshold)",
    )
    rest_gain: float = Field(
        default=0.5,
        ge=0,
        le=5,
        description="share of the way to home that an arm of more than six joints may go a second, "
        "without moving the tool [1/s]",
    )
    brake: Brake = 0.2

    @field_validator("target")
    @classmethod
    def _is_the_controller_s(cls, value: str) -> str:
        if not value.endswith(_COMMANDS) or value == _COMMANDS:
            raise ValueError("is not <controller>/commands")
        return value

    @model_validator(mode="after")
    def _has_one_urdf(self) -> JointGroupConfig:
        if (self.description is None) == (self.urdf is None):
            raise ValueError("needs one of description (a topic) and urdf (a file)")
        return self

    @property
    def controller(self) -> str:
        """Name of the controller's node."""
        return self.target.removesuffix(_COMMANDS)

    @property
    def needs_guard(self) -> bool:
        """Whether the arm goes on when its adapter is killed."""
        return self.interface == "velocity"

    @property
    def packages(self) -> tuple[tuple[str, str], ...]:
        """See ControllerConfig."""
        return (PINOCCHIO, *super().packages)

    def require_joints(self, count: int) -> None:
        """Raises ValueError where a limit isn't given for each of so many joints."""
        for name in ("joint_low", "joint_high", "joint_velocity"):
            values = getattr(self, name)
            if values is not None and len(values) != count:
                raise ValueError(f"{JOINT_GROUP}.{name}: {len(values)} numbers for {count} joints")

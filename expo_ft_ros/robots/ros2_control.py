# SPDX-License-Identifier: Apache-2.0
"""What an adapter to a controller behind ros2_control has to know: names of topics and actions."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from expo_ft_ros.configuration import Config

RosName = Annotated[
    str, Field(pattern=r"^/?[A-Za-z_][A-Za-z0-9_]*(/[A-Za-z_][A-Za-z0-9_]*)*$", min_length=1)
]

CRISP, FRANKA_ROS2, SERVO = "crisp", "franka_ros2", "servo"
"""Sections of a robot's file, and adapters of these names in nodes/."""

FRANKA_MSGS = ("franka_msgs", "https://github.com/frankarobotics/franka_ros2, branch jazzy")
CONTROL_MSGS = ("control_msgs", "apt install ros-$ROS_DISTRO-control-msgs")
MOVEIT_MSGS = ("moveit_msgs", "apt install ros-$ROS_DISTRO-moveit-msgs moveit-servo")


class GripperActionConfig(Config):
    """A gripper that opens and closes by an action."""

    kind: Literal["franka", "command", "parallel"] = Field(
        description="franka: the actions move and grasp of franka_gripper's node; command, "
        "parallel: an action of control_msgs/GripperCommand or control_msgs/ParallelGripperCommand"
    )
    name: RosName = Field(
        description="of franka_gripper's node, or of the action (gripper_controller/gripper_cmd)"
    )
    speed: float = Field(
        default=0.1, gt=0, le=0.5, description="of the opening; kind franka only [m/s]"
    )
    force: float = Field(default=20.0, gt=0, le=140, description="of the grasp [N]")
    opening_per_position: float = Field(
        default=1.0,
        gt=0,
        le=10,
        description="opening between the fingertips for a command's position of 1 [m]; 2 where the "
        "position is one finger's; not for kind franka",
    )
    closed_position: float = Field(
        default=0.0, description="with open_position: the position when it is closed"
    )
    open_position: float | None = Field(
        default=None,
        description="for a joint that is no opening [m], as of a gripper with knuckles: its "
        "position when the gripper is open, in commands and in joint_states; null: the positions "
        "are metres; not for kind franka",
    )

    @model_validator(mode="after")
    def _moves(self) -> GripperActionConfig:
        if self.open_position is not None and self.kind == "franka":
            raise ValueError("open_position: a gripper of kind franka is told in metres")
        if self.open_position == self.closed_position:
            raise ValueError(f"open_position and closed_position are both {self.open_position}")
        return self

    def position_of(self, opening: float, max_width: float) -> float:
        """The position to command.

        Args:
            opening: Between the fingertips [m].
            max_width: Of the open gripper [m].
        """
        if self.open_position is None:
            return opening / self.opening_per_position
        way = self.open_position - self.closed_position
        return self.closed_position + way * opening / max_width

    def opening_of(self, position: float, max_width: float) -> float:
        """The opening between the fingertips [m].

        Args:
            position: Sum over the robot's fingers, as the driver tells it.
            max_width: Of the open gripper [m].
        """
        if self.open_position is None:
            return position
        share = (position - self.closed_position) / (self.open_position - self.closed_position)
        return max_width * min(max(share, 0.0), 1.0)


Brake = Annotated[
    float,
    Field(
        ge=0.05,
        le=2,
        description="the velocity towards a face of the workspace is at most what reaches it in "
        "this time [s]",
    ),
]


class ControllerConfig(Config):
    """What the adapters have in common; names are those of the driver, absolute ones are best."""

    target: RosName = Field(description="topic that the controller takes commands on")
    joints: RosName = Field(description="sensor_msgs/JointState of the arm, not the graph's own")
    fingers: RosName = Field(description="sensor_msgs/JointState of the fingers; may be the same")
    fingers_timeout: float = Field(
        default=0.3,
        ge=0.05,
        le=2,
        description="a reading of the fingers that is older is none [s]; franka_gripper gives 15 a "
        "second",
    )
    twist_window: float = Field(
        default=0.05,
        gt=0.005,
        le=0.5,
        description="the tool's velocity is the mean over so long, and so half of it late [s]",
    )
    gripper: GripperActionConfig = Field(description="how the gripper is told")

    @property
    def packages(self) -> tuple[tuple[str, str], ...]:
        """Python packages that the adapter needs, each with where it is had from."""
        return (FRANKA_MSGS,) if self.gripper.kind == "franka" else (CONTROL_MSGS,)


class CartesianControllerConfig(ControllerConfig):
    """A controller of the tool, and the driver of a Franka arm that the launch files start."""

    namespace: str = Field(
        default="",
        pattern=r"^([A-Za-z_][A-Za-z0-9_]*(/[A-Za-z_][A-Za-z0-9_]*)*)?$",
        description="in which the launch files start the driver; empty: the root",
    )
    controller: RosName = Field(
        default="cartesian_impedance_controller",
        description="that the launch files start; controller:= replaces it",
    )
    activate: bool = Field(
        default=True,
        description="the launch files activate it at once; false where it moves the arm by itself "
        "when it is activated, so that a human does it",
    )
    is_distributed: bool = Field(
        default=False,
        description="franka_bringup's controllers.yaml has it; false: the launch files want "
        "controllers_yaml:= or controller:=",
    )
    pose: RosName = Field(
        description="measured pose of the tool, geometry_msgs/PoseStamped in frames.base"
    )

    @property
    def manager(self) -> str:
        """Name of the driver's controller_manager."""
        return f"/{self.namespace}/controller_manager" if self.namespace else "/controller_manager"


class CrispConfig(CartesianControllerConfig):
    """The Cartesian controller of crisp_controllers: target_pose, and its pose_broadcaster."""


class FrankaRos2Config(CartesianControllerConfig):
    """The Cartesian impedance controller of franka_ros2, and its state broadcaster."""

    robot_state: RosName = Field(
        description="franka_msgs/FrankaRobotState of franka_robot_state_broadcaster"
    )
    recovery: RosName = Field(
        default="/fr3/action_server/error_recovery",
        description="action franka_msgs/ErrorRecovery, which robot/recover calls; its server is in "
        "the driver's namespace",
    )

    @property
    def packages(self) -> tuple[tuple[str, str], ...]:
        """See ControllerConfig."""
        return tuple(dict.fromkeys((FRANKA_MSGS, *super().packages)))


class ServoConfig(CartesianControllerConfig):
    """moveit_servo's node, which takes velocities."""

    node: RosName = Field(
        description="of servo: its service switch_command_type and its topic status are below it"
    )
    brake: Brake = 0.2

    @property
    def packages(self) -> tuple[tuple[str, str], ...]:
        """See ControllerConfig."""
        return (MOVEIT_MSGS, *super().packages)

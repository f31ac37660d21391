# SPDX-License-Identifier: Apache-2.0
"""What a robot is: one YAML file in config/robots/, read into a RobotConfig."""

from __future__ import annotations

import re
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationInfo, field_validator, model_validator

from expo_ft_ros.configuration import Config, ConfigError
from expo_ft_ros.robots.fci_config import FCI_ADAPTER, FciConfig
from expo_ft_ros.robots.joint_group_config import JOINT_GROUP, VELOCITY_GUARD, JointGroupConfig
from expo_ft_ros.robots.ros2_control import (
    CRISP,
    FRANKA_ROS2,
    SERVO,
    CartesianControllerConfig,
    ControllerConfig,
    CrispConfig,
    FrankaRos2Config,
    ServoConfig,
)

Vector = tuple[float, float, float]
Name = Annotated[str, Field(min_length=1)]
Role = Literal["base", "left_wrist", "right_wrist"]
"""Which of a pretrained policy's cameras a view stands for."""

SIM = "sim"
"""The adapter that is our simulation."""

GRAPH_NODES = (
    "agent",
    "arbitration",
    "bringup",
    "camera",
    "camera_driver",
    "keyboard",
    "leader",
    "learner",
    "monitor",
    "operator",
    "policy",
    "proprio",
    "recorder",
    "reward",
    "robot_state_publisher",
    "rviz",
    "session",
    "spacemouse",
    "stop",
    "teleop",
    VELOCITY_GUARD,
)
"""Names that an adapter's node can't have: another node's heartbeat would count as its."""

EXTERNAL = "external"
"""The adapter that somebody else starts."""

SECTIONS = {
    FCI_ADAPTER: "fci",
    **{f"expo_ft_ros.nodes.{name}": name for name in (CRISP, FRANKA_ROS2, JOINT_GROUP, SERVO)},
}
"""Module of an adapter -> section of the file that is its."""

MAX_VIEWS = 4
TOPIC_PATTERN = r"^/?[A-Za-z_~][A-Za-z0-9_]*(/[A-Za-z_][A-Za-z0-9_]*)*$"
_MODULE = r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)+"


class Workspace(Config):
    """A box for the tool centre point."""

    low: Vector = Field(description="least x, y, z of the tool centre point, base frame [m]")
    high: Vector = Field(description="greatest x, y, z of the tool centre point, base frame [m]")

    @model_validator(mode="after")
    def _has_volume(self) -> Workspace:
        if not all(low < high for low, high in zip(self.low, self.high, strict=True)):
            raise ValueError(f"low {self.low} must be less than high {self.high} on each axis")
        return self

    def contains(self, other: Workspace) -> bool:
        """Whether no point of the other box lies outside this one."""
        return all(
            low <= other_low and other_high <= high
            for low, other_low, other_high, high in zip(
                self.low, other.low, other.high, self.high, strict=True
            )
        )

    def __str__(self) -> str:
        """As [low, high] of each axis in metres."""
        axes = zip("xyz", self.low, self.high, strict=True)
        return ", ".join(f"{axis} {low:g} to {high:g}" for axis, low, high in axes) + " m"


class RobotLimits(Config):
    """What an action of 1 means; the robot is never commanded faster."""

    linear_velocity: float = Field(
        default=0.25, gt=0, le=1.5, description="tool speed along an axis at action 1 [m/s]"
    )
    angular_velocity: float = Field(
        default=1.0, gt=0, le=2.5, description="tool rotation about an axis at action 1 [rad/s]"
    )
    gripper_velocity: float = Field(
        default=0.12, gt=0, le=0.5, description="change of the gripper's opening at action 1 [m/s]"
    )
    gripper_max_width: float = Field(
        default=0.08, gt=0, le=0.5, description="opening between the fingertips when fully open [m]"
    )

    def scale(self) -> NDArray[np.float64]:
        """(7,) SI velocity of a normalised action of ones [m/s, rad/s, m/s]."""
        velocities = [self.linear_velocity] * 3 + [self.angular_velocity] * 3
        return np.array([*velocities, self.gripper_velocity])


class Frames(Config):
    """The coordinate frames that the robot's messages are told in."""

    base: str = Field(
        default="base", min_length=1, description="frame_id of tool poses, twists and commands"
    )
    tool: str = Field(
        default="tcp", min_length=1, description="frame of the tool centre point, for TF"
    )

    @model_validator(mode="after")
    def _differ(self) -> Frames:
        if self.base == self.tool:
            raise ValueError(f"base and tool are both {self.base!r} (give each its own name)")
        return self


def info_topic(image_topic: str) -> str:
    """Where drivers give the calibration that belongs to an image topic."""
    folder, slash, _ = image_topic.rpartition("/")
    return f"{folder}{slash}camera_info"


class ViewConfig(Config):
    """One camera, and what of its image the policy sees."""

    name: str = Field(
        pattern=r"^[a-z][a-z0-9_]*$",
        description="what the view is called everywhere (camera/<name>/image_raw), snake_case",
    )
    topic: str = Field(
        pattern=TOPIC_PATTERN, description="image topic of the camera's driver, without /compressed"
    )
    transport: Literal["raw", "compressed"] = Field(
        default="raw",
        description="what the driver gives: sensor_msgs/Image on topic, or CompressedImage on "
        "topic/compressed",
    )
    frame: str = Field(min_length=1, description="optical frame of the camera, its frame_id")
    crop: tuple[int, int, int, int] | None = Field(
        default=None,
        description="x, y, width, height cut from the image [px]; null: the largest centre square",
    )
    rate: float = Field(default=30.0, gt=0, le=1000, description="images a second [Hz]")
    role: Role | None = Field(
        default=None,
        description="which camera of a pretrained policy it stands for: base, left_wrist or "
        "right_wrist; null: none in particular",
    )

    @field_validator("crop")
    @classmethod
    def _is_a_rectangle(
        cls, value: tuple[int, int, int, int] | None
    ) -> tuple[int, int, int, int] | None:
        if value is not None and (min(value[:2]) < 0 or min(value[2:]) < 1):
            raise ValueError("x and y start from 0, width and height from 1")
        return value

    @property
    def info_topic(self) -> str:
        """Topic of the driver's calibration, beside its images."""
        return info_topic(self.topic)


class Capabilities(Config):
    """What the adapter can do beyond driving the arm."""

    resets_scene: bool = Field(
        default=False,
        description="it offers sim/reset and puts the scene in place (scene_reset:=automatic, "
        "asked)",
    )
    lockstep: bool = Field(
        default=False,
        description="it has a clock of its own (/clock) and waits for each command; false: "
        "realtime:=true only",
    )
    knows_objects: bool = Field(
        default=False,
        description="it tells where each object is (sim/state), which operator:=scripted needs",
    )


class FollowingConfig(Config):
    """How an adapter turns the commanded twist into a target pose (robots/twist_follower.py)."""

    bandwidth: float = Field(
        default=15.0,
        ge=2,
        le=100,
        description="of the critically damped smoothing [rad/s]; an FR3 takes 15",
    )
    lead: float = Field(
        default=0.05, gt=0, le=0.5, description="of the target ahead of the measured position [m]"
    )
    turn_lead: float = Field(
        default=0.3, gt=0, le=1.5, description="of the target ahead of the measured rotation [rad]"
    )
    command_timeout: float = Field(
        default=0.2, ge=0.05, le=1, description="without a command for so long the robot stands [s]"
    )
    state_timeout: float = Field(
        default=0.15,
        ge=0.02,
        le=0.5,
        description="a measurement of the robot that is older is none: the target stands [s]; the "
        "graph's own deadline (proprio of config/safety.yaml) must not be longer",
    )


class RobotConfig(Config):
    """One robot: everything that the graph has to know of it."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$", description="the file's name, snake_case")
    adapter: str = Field(
        description="who drives it: sim, external (somebody else starts the adapter), or a Python "
        "module with main() that is started with the graph (my_robot.adapter)"
    )
    node: str = Field(
        default="robot",
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*$",
        description="name of the adapter's ROS node, by which it says that it is ready and alive",
    )
    capabilities: Capabilities = Field(
        default_factory=Capabilities, description="what the adapter can do beyond driving"
    )
    frames: Frames = Field(default_factory=Frames, description="coordinate frames")
    joints: tuple[Name, ...] = Field(
        min_length=1, max_length=16, description="the arm's joints in joint_states, in order"
    )
    fingers: tuple[Name, ...] = Field(
        min_length=1,
        max_length=8,
        description="finger joints in joint_states, whose positions add up to the opening [m]",
    )
    home: tuple[float, ...] = Field(
        description="angle of each joint at rest, for adapters that bring the arm there [rad]"
    )
    limits: RobotLimits = Field(
        default_factory=RobotLimits, description="velocities at action 1, gripper width"
    )
    workspace: Workspace = Field(description="the box that no task's workspace leaves")
    following: FollowingConfig = Field(
        default_factory=FollowingConfig, description="how the adapter follows commands"
    )
    fci: FciConfig | None = Field(
        default=None, description=f"of an arm that {FCI_ADAPTER} drives; null for any other"
    )
    state_rate: float = Field(
        default=100.0,
        ge=20,
        le=10_000,
        description="joint_states, robot/tcp_pose, robot/tcp_twist a second [Hz]",
    )
    views: tuple[ViewConfig, ...] = Field(
        min_length=1, max_length=MAX_VIEWS, description="cameras, in the order that policies see"
    )
    crisp: CrispConfig | None = Field(
        default=None, description="topics of crisp_controllers, for adapter expo_ft_ros.nodes.crisp"
    )
    franka_ros2: FrankaRos2Config | None = Field(
        default=None,
        description="topics and actions of franka_ros2, for adapter expo_ft_ros.nodes.franka_ros2",
    )
    joint_group: JointGroupConfig | None = Field(
        default=None,
        description="topics, limits and tool of an arm that is driven joint by joint, for adapter "
        "expo_ft_ros.nodes.joint_group",
    )
    servo: ServoConfig | None = Field(
        default=None, description="topics of moveit_servo, for adapter expo_ft_ros.nodes.servo"
    )

    @field_validator("node")
    @classmethod
    def _is_its_own(cls, value: str) -> str:
        if value in GRAPH_NODES:
            raise ValueError("a node of the graph has this name (give the adapter another)")
        return value

    @field_validator("adapter")
    @classmethod
    def _is_an_adapter(cls, value: str) -> str:
        if value not in (SIM, EXTERNAL) and not re.fullmatch(_MODULE, value):
            raise ValueError(f"is neither {SIM}, {EXTERNAL} nor a Python module as a.b")
        return value

    @field_validator("joints", "fingers")
    @classmethod
    def _once_each(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        _refuse_repeated(value)
        return value

    @field_validator("fingers")
    @classmethod
    def _are_no_arm_joints(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        both = [name for name in value if name in info.data.get("joints", ())]
        if both:
            raise ValueError(f"{', '.join(both)} in joints, too")
        return value

    @field_validator("home")
    @classmethod
    def _of_each_joint(cls, value: tuple[float, ...], info: ValidationInfo) -> tuple[float, ...]:
        joints = info.data.get("joints")
        if joints is not None and len(value) != len(joints):
            raise ValueError(f"{len(value)} angles for {len(joints)} joints")
        return value

    @field_validator("views")
    @classmethod
    def _can_be_told_apart(cls, value: tuple[ViewConfig, ...]) -> tuple[ViewConfig, ...]:
        _refuse_repeated([view.name for view in value], "name")
        _refuse_repeated([view.topic for view in value], "topic")
        _refuse_repeated([view.role for view in value if view.role], "role")
        return value

    @model_validator(mode="after")
    def _has_the_section_of_its_adapter(self) -> RobotConfig:
        own = SECTIONS.get(self.adapter, "")
        given = [name for name in SECTIONS.values() if getattr(self, name) is not None]
        if own and own not in given:
            file = f"config/robots/{self.adapter.rpartition('.')[2]}.yaml"
            raise ValueError(f"adapter {self.adapter} needs the section {own} ({file} has one)")
        other = [name for name in given if name != own]
        if other:
            raise ValueError(
                f"section {', '.join(other)} is of no use to the adapter {self.adapter} (remove it)"
            )
        if self.fci is not None and len(self.joints) != len(self.fci.joint_low):
            raise ValueError(f"fci: a Franka arm has 7 joints, but {len(self.joints)} have names")
        if self.joint_group is not None:
            self.joint_group.require_joints(len(self.joints))
        return self

    @property
    def controller(self) -> ControllerConfig | None:
        """What its adapter to a controller behind ros2_control has to know; None for others."""
        section = SECTIONS.get(self.adapter)
        found = getattr(self, section) if section else None
        return found if isinstance(found, ControllerConfig) else None

    @property
    def franka_driver(self) -> CartesianControllerConfig | None:
        """Its section where the launch files can start the driver of its arm; None for others."""
        found = self.controller
        return found if isinstance(found, CartesianControllerConfig) else None

    @property
    def view_names(self) -> tuple[str, ...]:
        """Names of the views, in order."""
        return tuple(view.name for view in self.views)

    def require_reach(self, workspace: Workspace, whose: str) -> None:
        """Refuses a box that leaves the robot's.

        Args:
            workspace: The box of a task.
            whose: The file that it comes from.

        Raises:
            ConfigError: with both boxes.
        """
        if not self.workspace.contains(workspace):
            raise ConfigError(
                f"{whose}: workspace: {workspace} leaves that of the robot {self.name}, "
                f"{self.workspace} (make it smaller, or take another robot)"
            )

    @property
    def is_external(self) -> bool:
        """Whether somebody else starts its adapter."""
        return self.adapter == EXTERNAL


def _refuse_repeated(values: tuple[str, ...] | list[str], what: str = "") -> None:
    repeated = sorted({value for value in values if list(values).count(value) > 1})
    if repeated:
        raise ValueError(" ".join(filter(None, [what, ", ".join(repeated), "given twice"])))

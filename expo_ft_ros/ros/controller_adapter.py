# SPDX-License-Identifier: Apache-2.0
"""What adapters to controllers behind ros2_control do alike: state, gripper, checks.

`ControllerAdapter` is for any of them; `CartesianAdapter` for one whose driver tells the tool's
pose, and whose controller follows one.
"""

from __future__ import annotations

import time
from typing import Any, TypeVar

import numpy as np
from geometry_msgs.msg import PoseStamped
from numpy.typing import NDArray
from rclpy.publisher import Publisher
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import JointState

from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.data.types import Proprio
from expo_ft_ros.recording.messages import (
    BadMessage,
    joint_positions,
    nanoseconds,
    pose_arrays,
    require_frame,
)
from expo_ft_ros.robots.braking import brake_at_faces
from expo_ft_ros.robots.gripper import GripperGoal
from expo_ft_ros.robots.pose_twist import TwistFromPoses
from expo_ft_ros.robots.ros2_control import CartesianControllerConfig, ControllerConfig
from expo_ft_ros.robots.stillness import Stillness
from expo_ft_ros.robots.twist_follower import Target
from expo_ft_ros.ros.gripper_action import ActionGripper
from expo_ft_ros.ros.messages import header_of, pose_of
from expo_ft_ros.ros.newest_message import NewestMessage
from expo_ft_ros.ros.robot_adapter import AdapterParameters, PoseAdapter

P = TypeVar("P", bound=AdapterParameters)
C = TypeVar("C", bound=ControllerConfig)

TARGET_QOS = QoSProfile(
    history=HistoryPolicy.KEEP_LAST, depth=1, reliability=ReliabilityPolicy.RELIABLE
)
"""A writer that every controller matches, and whose newest target counts."""

_COUNT_PERIOD = 0.1
"""Who else is on the target's topic is looked up this often [s]."""

_SHOWN = 5.0
"""A warning is on /diagnostics for so long [s]."""


class ControllerAdapter(PoseAdapter[P]):
    """Reads the driver's topics that the robot's file names, and tells the gripper by its action.

    Nothing is sent before the arm has stood for a second: what moves it until then is a hand,
    another program, or the controller's own motion. The tool's velocity is computed from its poses.
    """

    TARGET_TYPE: type[Any]
    GUARD: str = ""
    """Node that may publish targets, too: zeros, where this one falls silent."""

    @property
    def needs_guard(self) -> bool:
        """Whether nothing is sent unless that node listens."""
        return False

    def _setup(self) -> None:
        super()._setup()
        config = self.controller(ControllerConfig)
        self._position: NDArray[np.float64] | None = None
        self._joints = self._newest(JointState, config.joints)
        self._fingers = (
            self._joints
            if config.fingers == config.joints
            else self._newest(JointState, config.fingers)
        )
        self._twists = TwistFromPoses(config.twist_window)
        self._twist, self._twist_ns = np.zeros(6), 0
        self._stillness, self._has_stood = Stillness(), False
        self._publisher_conflict, self._no_listener, self._counted_at = "", "", 0.0
        self._warning, self._warned_at = "", 0.0
        self._target_out: Publisher[Any] = self.create_publisher(
            self.TARGET_TYPE, config.target, TARGET_QOS
        )
        self._entities.append((self.destroy_publisher, self._target_out))
        width = self.robot.limits.gripper_max_width
        self._gripper = ActionGripper(self, config.gripper, width, self._warn)

    def _teardown(self) -> None:
        gripper = getattr(self, "_gripper", None)
        if gripper is not None:
            gripper.close()
            del self._gripper
        super()._teardown()

    def controller(self, section: type[C]) -> C:
        """The section of the robot's file that is this adapter's.

        Args:
            section: Its class.

        Raises:
            ConfigError: where the file is that of another adapter.
        """
        found = self.robot.controller
        if not isinstance(found, section):
            raise ConfigError(
                f"robot {self.robot.name}: adapter: {self.robot.adapter!r} is another than this "
                "node (start the one that the file names)"
            )
        return found

    def _is_ready(self) -> bool:
        return self._has_stood and self._gripper.is_ready

    # -- state ----------------------------------------------------------------------------------
    def tool_pose(
        self, joints: NDArray[np.float64], stamp_ns: int
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], int]:
        """The tool's position (3,) [m] and quaternion (4,) in the base frame, and when it was there
        [ns]. Must not block.

        Args:
            joints: (n,) measured [rad].
            stamp_ns: When [ns].

        Raises:
            BadMessage: where it isn't known.
        """
        raise NotImplementedError

    def read_state(self) -> tuple[Proprio, int] | None:
        """See PoseAdapter; the time is the older one of pose and joints.

        Raises:
            BadMessage: naming the topic on which nothing has come, or what it isn't.
        """
        self._position = None
        config = self.controller(ControllerConfig)
        joints, fingers = self._joints.read(), self._fingers.read()
        arm = np.array(joint_positions(joints, self.robot.joints, self._joints.topic))
        joints_ns = nanoseconds(joints.header.stamp)
        position, quaternion, stamp_ns = self.tool_pose(arm, joints_ns)
        late = 1e-9 * (stamp_ns - nanoseconds(fingers.header.stamp))
        if late > config.fingers_timeout:
            raise BadMessage(
                f"{self._fingers.topic}: {late:.2f} s older than the tool's pose (is the gripper's "
                "driver up, and its clock that of the arm's?)"
            )
        told = sum(joint_positions(fingers, self.robot.fingers, self._fingers.topic))
        if stamp_ns != self._twist_ns:
            self._twist = self._twists.update(stamp_ns, position, quaternion)
            self._twist_ns = stamp_ns
        state = Proprio(
            position=position,
            quaternion=quaternion,
            gripper_width=config.gripper.opening_of(told, self.robot.limits.gripper_max_width),
            linear=self._twist[:3],
            angular=self._twist[3:],
            joints=arm,
        )
        self._position = position
        return state, min(stamp_ns, joints_ns)

    def blocked_reason(self, state: Proprio) -> str:
        """See PoseAdapter."""
        if not self._has_stood:
            now = time.monotonic()
            self._has_stood = self._stillness.update(now, state.position, state.quaternion)
            if not self._has_stood:
                return (
                    "the arm moves without a command, or has not stood for a second yet (a hand, "
                    "another program, or a controller with a motion of its own: "
                    "docs/ros2_control.md)"
                )
        self._look_who_else()
        return self._publisher_conflict or self._no_listener

    @property
    def is_silent(self) -> bool:
        """See PoseAdapter."""
        return bool(self._publisher_conflict)

    def _look_who_else(self) -> None:
        """Looks now and then what is wrong with the target's topic: others publish, or nobody
        listens."""
        now = time.monotonic()
        if now - self._counted_at < _COUNT_PERIOD:
            return
        self._counted_at = now
        topic = self._target_out.topic_name
        names = [p.node_name for p in self.get_publishers_info_by_topic(topic)]
        others = len(names) - 1 - min(1, names.count(self.GUARD))
        listeners = self._target_out.get_subscription_count()
        self._publisher_conflict = (
            f"{topic}: {others} other(s) publish targets (stop them)" if others > 0 else ""
        )
        self._no_listener = (
            "" if listeners else f"{topic}: nobody listens (is the controller loaded and active?)"
        )
        if listeners and self.needs_guard:
            heard_by = [s.node_name for s in self.get_subscriptions_info_by_topic(topic)]
            if self.GUARD not in heard_by:
                self._no_listener = (
                    f"{topic}: {self.GUARD} doesn't listen, which would end a motion whose "
                    "adapter is gone (start it, a node of this package)"
                )

    # -- commands -------------------------------------------------------------------------------
    def braked(self, target: Target, time: float) -> NDArray[np.float64]:
        """(6,) a target's velocity, which falls towards a face of the workspace; zeros where the
        tool's place isn't known.

        Args:
            target: Of the follower.
            time: In which a face is reached at the earliest [s].
        """
        if self._position is None:
            return np.zeros(6)
        twist = target.twist.copy()
        twist[:3] = brake_at_faces(twist[:3], self._position, self.robot.workspace, time)
        return twist

    def send_gripper(self, goal: GripperGoal) -> None:
        """See PoseAdapter."""
        self._gripper.give(goal)

    def stop_gripper(self) -> None:
        """See PoseAdapter: what has not begun doesn't begin; a running goal is finished."""
        self._gripper.forget()

    def due_command(self) -> NDArray[np.float64]:
        """See RobotAdapter. All zeros are a stop (an emergency stop has no others): no goal that
        waits for the gripper begins after it."""
        command = super().due_command()
        if not command.any():
            self._gripper.forget()
        return command

    def status_note(self) -> str:
        """See RobotAdapter: the warning of the last seconds."""
        return self._warning if time.monotonic() - self._warned_at < _SHOWN else ""

    def _warn(self, words: str) -> None:
        self._warning, self._warned_at = words, time.monotonic()
        self.get_logger().error(words)

    def _newest(self, type_: type[Any], topic: str) -> NewestMessage[Any]:
        made = NewestMessage(self, type_, topic)
        self._entities.append((self.destroy_subscription, made.subscription))
        return made


class CartesianAdapter(ControllerAdapter[P]):
    """Takes the tool's pose from the driver, and sends the controller the next."""

    TARGET_TYPE = PoseStamped

    def _setup(self) -> None:
        super()._setup()
        self._pose = self._newest(PoseStamped, self.controller(CartesianControllerConfig).pose)

    def tool_pose(
        self, joints: NDArray[np.float64], stamp_ns: int
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], int]:
        """See ControllerAdapter; as the driver tells it."""
        pose = self._pose.read()
        require_frame(pose, self.robot.frames.base)
        return *pose_arrays(pose.pose), nanoseconds(pose.header.stamp)

    def send_target(self, target: Target) -> None:
        """See PoseAdapter; the pose in the base frame, stamped now."""
        if self._has_stood:
            header = header_of(time.time_ns(), self.robot.frames.base)
            pose = pose_of(target.position, target.quaternion)
            self._target_out.publish(PoseStamped(header=header, pose=pose))

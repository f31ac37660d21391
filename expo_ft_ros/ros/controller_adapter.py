# SPDX-License-Identifier: Apache-2.0
"""What adapters to controllers behind ros2_control do alike: state, gripper, checks."""

from __future__ import annotations

import time
from typing import Any, TypeVar

import numpy as np
from geometry_msgs.msg import PoseStamped
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
from expo_ft_ros.robots.gripper import GripperGoal
from expo_ft_ros.robots.pose_twist import TwistFromPoses
from expo_ft_ros.robots.ros2_control import ControllerConfig
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
"""A complaint is on /diagnostics for so long [s]."""


class ControllerAdapter(PoseAdapter[P]):
    """Reads the driver's topics that the robot's file names, and tells the gripper by its action.

    Nothing is sent before the arm has stood for a second: what moves it until then is a hand,
    another program, or the controller's own motion. The tool's velocity is computed from its poses.
    """

    TARGET_TYPE: type[Any] = PoseStamped

    def _setup(self) -> None:
        super()._setup()
        config = self.controller(ControllerConfig)
        self._pose = self._newest(PoseStamped, config.pose)
        self._joints = self._newest(JointState, config.joints)
        self._fingers = (
            self._joints
            if config.fingers == config.joints
            else self._newest(JointState, config.fingers)
        )
        self._twists = TwistFromPoses(config.twist_window)
        self._twist, self._twist_ns = np.zeros(6), 0
        self._stillness, self._has_stood = Stillness(), False
        self._crowd, self._counted_at = "", 0.0
        self._complaint, self._complained_at = "", 0.0
        self._target_out: Publisher[Any] = self.create_publisher(
            self.TARGET_TYPE, config.target, TARGET_QOS
        )
        self._entities.append((self.destroy_publisher, self._target_out))
        width = self.robot.limits.gripper_max_width
        self._gripper = ActionGripper(self, config.gripper, width, self._complain)

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
    def read_state(self) -> tuple[Proprio, int] | None:
        """See PoseAdapter; the time is the older one of pose and joints.

        Raises:
            BadMessage: naming the topic on which nothing has come, or what it isn't.
        """
        config = self.controller(ControllerConfig)
        pose, joints, fingers = self._pose.read(), self._joints.read(), self._fingers.read()
        require_frame(pose, self.robot.frames.base)
        stamp_ns = nanoseconds(pose.header.stamp)
        late = 1e-9 * (stamp_ns - nanoseconds(fingers.header.stamp))
        if late > config.fingers_timeout:
            raise BadMessage(
                f"{self._fingers.topic}: {late:.2f} s older than the tool's pose (is the gripper's "
                "driver up, and its clock that of the arm's?)"
            )
        opening = sum(joint_positions(fingers, self.robot.fingers, self._fingers.topic))
        arm = joint_positions(joints, self.robot.joints, self._joints.topic)
        position, quaternion = pose_arrays(pose.pose)
        if stamp_ns != self._twist_ns:
            self._twist = self._twists.update(stamp_ns, position, quaternion)
            self._twist_ns = stamp_ns
        state = Proprio(
            position=position,
            quaternion=quaternion,
            gripper_width=opening,
            linear=self._twist[:3],
            angular=self._twist[3:],
            joints=np.array(arm),
        )
        return state, min(stamp_ns, nanoseconds(joints.header.stamp))

    def hindered_by(self, state: Proprio) -> str:
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
        return self._who_else()

    def _who_else(self) -> str:
        """What is wrong with the target's topic: nobody listens, or somebody else speaks."""
        now = time.monotonic()
        if now - self._counted_at >= _COUNT_PERIOD:
            self._counted_at = now
            topic = self._target_out.topic_name
            others = self.count_publishers(topic) - 1
            if others > 0:
                self._crowd = f"{topic}: {others} other(s) publish targets (stop them)"
            elif self._target_out.get_subscription_count() == 0:
                self._crowd = f"{topic}: nobody listens (is the controller loaded and active?)"
            else:
                self._crowd = ""
        return self._crowd

    # -- commands -------------------------------------------------------------------------------
    def send_target(self, target: Target) -> None:
        """See PoseAdapter; the pose in the base frame, stamped now."""
        if self._has_stood:
            header = header_of(time.time_ns(), self.robot.frames.base)
            pose = pose_of(target.position, target.quaternion)
            self._target_out.publish(PoseStamped(header=header, pose=pose))

    def send_gripper(self, goal: GripperGoal) -> None:
        """See PoseAdapter."""
        self._gripper.give(goal)

    def remark(self) -> str:
        """See RobotAdapter: what the gripper complained of in the last seconds."""
        return self._complaint if time.monotonic() - self._complained_at < _SHOWN else ""

    def _complain(self, words: str) -> None:
        self._complaint, self._complained_at = words, time.monotonic()
        self.get_logger().error(words)

    def _newest(self, type_: type[Any], topic: str) -> NewestMessage[Any]:
        made = NewestMessage(self, type_, topic)
        self._entities.append((self.destroy_subscription, made.subscription))
        return made

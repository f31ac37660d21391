# SPDX-License-Identifier: Apache-2.0
"""What an adapter meets on the other side of DDS: controllers, drivers and grippers.

Topics, types, frames, quality of service and stop behaviour are those of the sources that each
class names; the arm is a point that follows its target with a lag.

python -m support.controller_peers --ros-args -p kind:=crisp
"""

from __future__ import annotations

import json
import time
from typing import Any

import numpy as np
import rclpy
from control_msgs.action import GripperCommand, ParallelGripperCommand
from franka_msgs.action import ErrorRecovery, Grasp, Move
from franka_msgs.msg import FrankaRobotState
from geometry_msgs.msg import PoseStamped, TwistStamped
from moveit_msgs.msg import ServoStatus
from moveit_msgs.srv import ServoCommandType
from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import (
    DurabilityPolicy,
    QoSProfile,
    ReliabilityPolicy,
    qos_profile_system_default,
)
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import String

from expo_ft_ros.data.rotation import TOOL_DOWN, compose, rotation_of
from expo_ft_ros.recording.messages import nanoseconds, pose_arrays, twist_array
from expo_ft_ros.robots import load_robot
from expo_ft_ros.ros.messages import array_to_image, header_of, pose_of
from support.peer_topics import DO, HEARD, TOOL

BEST_EFFORT = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
START = np.array([0.5, 0.0, 0.3])
RATE = 100.0
FOLLOWS = 0.3
"""Share of its way to the target that the tool does in a cycle."""


class Peer(Node):
    """A driver: pose, joints, fingers, images, a gripper."""

    POSE_QOS = BEST_EFFORT
    NAME = ""

    def __init__(self, kind: str = "") -> None:
        super().__init__("peer")
        self.others: list[Node] = []
        self.robot = load_robot(kind or self.NAME)
        config = self.robot.controller
        self.config = config
        self.position, self.quaternion = START.copy(), TOOL_DOWN.copy()
        self.frame, self.silent, self.wanders = self.robot.frames.base, False, 0.0
        self.mirrored = False
        self.heard: dict[str, Any] = {"goals": [], "cancelled": 0, "words": 0}
        self._said = ""
        self.open_state()
        self.tool_out = self.create_publisher(PoseStamped, TOOL, 1)
        self.heard_out = self.create_publisher(String, HEARD, LATCHED)
        self.images = {v.frame: self.create_publisher(Image, v.topic, 1) for v in self.robot.views}
        self.create_subscription(String, DO, self.on_word, 10)
        self.gripper = Gripper(self)
        self.create_timer(1 / RATE, self.cycle)
        self.create_timer(1 / 25, self.tell_tool)
        self.create_timer(1 / 15, self.show_images)

    def open_state(self) -> None:
        """Makes the publishers of what the driver measures."""
        self.pose_out = self.create_publisher(PoseStamped, self.config.pose, self.POSE_QOS)
        self.joints_out = self.create_publisher(JointState, self.config.joints, BEST_EFFORT)
        self.fingers_out = self.create_publisher(JointState, self.config.fingers, 1)
        self.create_timer(1 / 15, self.tell_fingers)

    def on_word(self, message: String) -> None:
        self.heard["words"] += 1
        word, _, value = message.data.partition(" ")
        if word == "frame":
            self.frame = value
        elif word in ("silent", "speak"):
            self.silent = word == "silent"
        elif word == "mirror":
            self.mirrored = True
        elif word == "guide":
            self.guide(float(value))
        elif word in ("cancel_slowly", "cancel_quickly"):
            self.gripper.cancels_after = 0.6 if word == "cancel_slowly" else 0.0
        elif word == "wander":
            self.wanders = time.monotonic()
        else:
            self.do(word)

    def guide(self, x: float) -> None:
        """Somebody brings the arm there by hand."""
        self.position = np.array([x, *self.position[1:]])

    def do(self, word: str) -> None:
        raise ValueError(f"{self.NAME}: {word}?")

    def move(self, dt: float) -> None:
        """Moves the tool."""
        raise NotImplementedError

    def cycle(self) -> None:
        self.move(1 / RATE)
        self.gripper.cycle(1 / RATE)
        text = json.dumps(self.heard)
        if text != self._said:
            self._said = text
            self.heard_out.publish(String(data=text))
        if not self.silent:
            self.tell_state(time.time_ns())

    def tell_state(self, now: int) -> None:
        """Publishes what is measured."""
        # As of a base that is another than the commands'.
        told = self.position * [1.0, -1.0, 1.0] if self.mirrored else self.position
        pose = pose_of(told, self.quaternion)
        self.pose_out.publish(PoseStamped(header=header_of(now, self.frame), pose=pose))
        names = list(self.robot.joints)[::-1]  # Any order; adapters go by names.
        angles = [0.1 * k for k in range(len(names))][::-1]
        self.joints_out.publish(JointState(header=header_of(now), name=names, position=angles))

    def tell_tool(self) -> None:
        """Seldom: who listens must not miss the adapter's words for it."""
        pose = pose_of(self.position, self.quaternion)
        self.tool_out.publish(PoseStamped(header=header_of(time.time_ns()), pose=pose))

    def tell_fingers(self) -> None:
        names = list(self.robot.fingers)
        halves = [self.gripper.width / 2] * 2
        header = header_of(time.time_ns())
        self.fingers_out.publish(JointState(header=header, name=names, position=halves))

    def show_images(self) -> None:
        grey = np.full((48, 64, 3), 90, np.uint8)
        for frame, publisher in self.images.items():
            publisher.publish(array_to_image(grey, header_of(time.time_ns(), frame)))


class PosePeer(Peer):
    """Follows a target pose; without a new one it stays at the last, for ever."""

    TARGET_QOS = QoSProfile(depth=1)

    def __init__(self) -> None:
        super().__init__()
        self.target: tuple[np.ndarray, np.ndarray] | None = None
        self.target_in = self.create_subscription(
            PoseStamped, self.config.target, self.on_target, self.TARGET_QOS
        )

    def guide(self, x: float) -> None:
        super().guide(x)
        self.target = None  # on_activate: the target is where the arm is.

    def on_target(self, message: PoseStamped) -> None:
        self.target = pose_arrays(message.pose)

    def move(self, dt: float) -> None:
        if self.wanders:
            # updateMotionTarget of franka_ros2's cartesian_impedance_example_controller.cpp.
            passed = time.monotonic() - self.wanders
            angle = np.pi / 4 * (1 - np.cos(np.pi / 5 * passed))
            away = [0.1 * np.sin(angle), 0.0, 0.1 * (np.cos(angle) - 1)]
            self.position = START + np.array(away)
        elif self.target is not None:
            self.position = self.position + FOLLOWS * (self.target[0] - self.position)
            self.quaternion = self.target[1]


class CrispPeer(PosePeer):
    """crisp_controllers at 8093548: src/cartesian_controller.cpp, src/pose_broadcaster.cpp.

    rclcpp::QoS(1) for target_pose, SystemDefaultsQoS for current_pose; a target is ignored where
    more than one publish it; its frame isn't looked at.
    """

    NAME = "crisp"
    POSE_QOS = qos_profile_system_default

    def on_target(self, message: PoseStamped) -> None:
        if self.count_publishers(self.config.target) > 1:
            self.heard["ignored"] = True
            return
        super().on_target(message)


class FrankaPeer(PosePeer):
    """franka_ros2, jazzy at 29cb85a: cartesian_impedance_example_controller.cpp takes
    equilibrium_pose by SystemDefaultsQoS and refuses a quaternion of no length;
    franka_robot_state_broadcaster.cpp gives current_pose best effort, depth 1; franka_hardware the
    action error_recovery: ~/ of its node action_server, in the driver's namespace."""

    NAME = "franka_ros2"
    TARGET_QOS = qos_profile_system_default

    def __init__(self) -> None:
        super().__init__()
        self.mode, self.error = FrankaRobotState.ROBOT_MODE_MOVE, ""
        self.rejects = self.aborts = False
        self.state_out = self.create_publisher(
            FrankaRobotState, self.config.robot_state, qos_profile_system_default
        )
        self.recovery = ActionServer(
            self,
            ErrorRecovery,
            "/fr3/action_server/error_recovery",
            self.recover,
            goal_callback=lambda _: GoalResponse.REJECT if self.rejects else GoalResponse.ACCEPT,
        )
        self.heard["recoveries"] = 0
        self.create_timer(1 / 200, self.tell_mode)

    def do(self, word: str) -> None:
        if word in ("reject", "abort", "recoverable"):
            self.rejects, self.aborts = word == "reject", word == "abort"
            return
        modes = {
            "error": FrankaRobotState.ROBOT_MODE_MOVE,
            "reflex": FrankaRobotState.ROBOT_MODE_REFLEX,
            "user_stop": FrankaRobotState.ROBOT_MODE_USER_STOPPED,
            "idle": FrankaRobotState.ROBOT_MODE_IDLE,
            "go": FrankaRobotState.ROBOT_MODE_MOVE,
        }
        self.mode, self.error = (
            modes[word],
            "cartesian_reflex" if word in ("reflex", "error") else "",
        )
        if word == "go":
            self.target = None  # on_activate: the target is where the arm is.

    def on_target(self, message: PoseStamped) -> None:
        if np.linalg.norm(pose_arrays(message.pose)[1]) < 1e-6:
            self.heard["degenerate"] = True
        elif self.mode == FrankaRobotState.ROBOT_MODE_MOVE:
            super().on_target(message)

    def move(self, dt: float) -> None:
        if self.mode == FrankaRobotState.ROBOT_MODE_MOVE:
            super().move(dt)

    def recover(self, handle: Any) -> Any:
        if self.aborts:
            handle.abort()
            return ErrorRecovery.Result()
        self.heard["recoveries"] += 1
        self.mode, self.error = FrankaRobotState.ROBOT_MODE_IDLE, ""
        handle.succeed()
        return ErrorRecovery.Result()

    def tell_mode(self) -> None:
        state = FrankaRobotState(header=header_of(time.time_ns()), robot_mode=self.mode)
        if self.error:
            setattr(state.current_errors, self.error, True)
        self.state_out.publish(state)


class ServoPeer(Peer):
    """moveit_servo, jazzy at 4d84106: src/servo_node.cpp.

    A twist is taken once the command type is TWIST; it counts while it is less than 0.1 s old by
    its stamp; one in a frame that isn't known is refused.
    """

    NAME = "servo"
    TIMEOUT = 0.1

    def __init__(self) -> None:
        super().__init__()
        self.twist: TwistStamped | None = None
        self.command_type = ServoCommandType.Request.JOINT_JOG
        self.code = ServoStatus.NO_WARNING
        self.heard.update({"early": 0, "foreign": 0, "switched": 0})
        self.create_subscription(
            TwistStamped, self.config.target, self.on_twist, qos_profile_system_default
        )
        self.create_service(
            ServoCommandType, f"{self.config.node}/switch_command_type", self.on_switch
        )
        self.status_out = self.create_publisher(
            ServoStatus, f"{self.config.node}/status", qos_profile_system_default
        )

    def do(self, word: str) -> None:
        self.code = {
            "bound": ServoStatus.JOINT_BOUND,
            "collision": ServoStatus.HALT_FOR_COLLISION,
            "free": ServoStatus.NO_WARNING,
        }[word]

    def on_switch(self, request: Any, response: Any) -> Any:
        self.command_type = request.command_type
        self.heard["switched"] += 1
        response.success = True
        return response

    def on_twist(self, message: TwistStamped) -> None:
        if self.command_type != ServoCommandType.Request.TWIST:
            self.heard["early"] += 1
        elif message.header.frame_id != self.robot.frames.base:
            self.heard["foreign"] += 1
        else:
            self.twist = message

    def move(self, dt: float) -> None:
        message = self.twist
        if message is not None:
            age = 1e-9 * (time.time_ns() - nanoseconds(message.header.stamp))
            if age < self.TIMEOUT:
                twist = twist_array(message.twist)
                if self.code == ServoStatus.HALT_FOR_COLLISION:
                    twist = np.zeros(6)  # Its velocity scale is 0, whichever way.
                elif self.code == ServoStatus.JOINT_BOUND and twist[0] < 0:
                    self.code = ServoStatus.NO_WARNING  # The bound lies ahead.
                elif self.code == ServoStatus.JOINT_BOUND:
                    twist = np.zeros(6)
                self.position = self.position + dt * twist[:3]
                self.quaternion = compose(rotation_of(dt * twist[3:]), self.quaternion)
        self.status_out.publish(ServoStatus(code=self.code, message=f"code {self.code}"))


class Gripper:
    """franka_gripper (src/gripper_action_server.cpp): a goal that is cancelled stops the hand."""

    SPEED = 0.04

    def __init__(self, peer: Peer) -> None:
        self._peer, self._config = peer, peer.config.gripper
        config = self._config
        self.width = self._goal = peer.robot.limits.gripper_max_width
        self._handle: Any = None
        self.cancels_after = self._cancelled_for = 0.0
        kinds = {
            "franka": [(Move, f"{config.name}/move"), (Grasp, f"{config.name}/grasp")],
            "command": [(GripperCommand, config.name)],
            "parallel": [(ParallelGripperCommand, config.name)],
        }[config.kind]
        self._servers = [
            ActionServer(
                peer,
                type_,
                name,
                execute_callback=self._end(type_),
                handle_accepted_callback=self._begin,
                cancel_callback=lambda _: CancelResponse.ACCEPT,
            )
            for type_, name in kinds
        ]

    def cycle(self, dt: float) -> None:
        if self._handle is None:
            return
        if self._handle.is_cancel_requested:
            self._goal = self.width
            self._cancelled_for += dt
            if self._cancelled_for < self.cancels_after:
                return
        step = self.SPEED * dt
        self.width += float(np.clip(self._goal - self.width, -step, step))
        if abs(self.width - self._goal) < 1e-6:
            handle, self._handle = self._handle, None
            handle.execute()

    def _begin(self, handle: Any) -> None:
        goal = handle.request
        width = goal.width if hasattr(goal, "width") else self._opening(goal.command.position)
        busy = self._handle is not None
        self._peer.heard["goals"].append(
            {"kind": type(goal).__name__, "width": width, "busy": busy}
        )
        self._handle, self._goal, self._cancelled_for = handle, width, 0.0

    def _opening(self, position: Any) -> float:
        """Of a GripperCommand, or of a ParallelGripperCommand, which has one for each joint."""
        (told,) = [position] if isinstance(position, float) else position
        if self._config.open_position is None:
            return self._config.opening_per_position * told
        return self._config.opening_of(told, self._peer.robot.limits.gripper_max_width)

    def _end(self, type_: Any) -> Any:
        def ended(handle: Any) -> Any:
            if handle.is_cancel_requested:
                self._peer.heard["cancelled"] += 1
                handle.canceled()
            else:
                handle.succeed()
            return type_.Result()

        return ended


def peer_of(kind: str) -> Peer:
    """The peer of a robot's adapter."""
    if load_robot(kind).joint_group is not None:
        from support.joint_peer import JointPeer

        return JointPeer(kind)
    return {peer.NAME: peer for peer in (CrispPeer, FrankaPeer, ServoPeer)}[kind]()


def main() -> None:
    rclpy.init()
    probe = rclpy.create_node("peer")
    kind = probe.declare_parameter("kind", "crisp").value
    probe.destroy_node()
    executor = SingleThreadedExecutor()
    peer = peer_of(kind)
    for node in (peer, *peer.others):
        executor.add_node(node)
    try:
        executor.spin()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        rclpy.try_shutdown()


if __name__ == "__main__":
    main()

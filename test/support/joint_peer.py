# SPDX-License-Identifier: Apache-2.0
"""A controller of ros2_control that takes a number for each joint, on mock hardware, over DDS.

JointGroupVelocityController and JointGroupPositionController as
forward_command_controller/src/forward_controllers_base.cpp (ros2_controllers at 0206ee6) has them:
`~/commands` by SystemDefaultsQoS, of another length ignored, in the order of the parameter joints,
the last kept for ever. mock_components/GenericSystem (ros2_control at 03bf04b) integrates
velocities, and is at once where a position says. joint_state_broadcaster tells all joints in an
order of its own.
"""

from __future__ import annotations

import time

import numpy as np
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import qos_profile_system_default
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray, String

from expo_ft_ros.robots.arm_model import ArmModel
from expo_ft_ros.ros.messages import header_of
from support.arms import KNUCKLE, UR5E, UR5E_JOINTS
from support.controller_peers import LATCHED, Peer

NAMES = [joint.name for joint in UR5E_JOINTS]
"""In the order of ur_controllers.yaml."""


class JointPeer(Peer):
    """See the module; words: velocity, position, effort, order, as_loaded, undescribed, described,
    calibrated, home."""

    def open_state(self) -> None:
        config = self.config
        self.model = ArmModel(UR5E, NAMES, self.robot.frames.base, config.tip)
        self.angles = np.array(self.robot.home)
        self.command: np.ndarray | None = None
        self.deaf_until = 0.0
        self.heard["ignored"] = 0
        namespace, _, name = config.controller.rpartition("/")
        # The process has a name for its node, which is the peer's.
        self.controller = Node(name, namespace=namespace, use_global_arguments=False)
        self.others.append(self.controller)
        self.controller.declare_parameter("joints", NAMES)
        self.controller.declare_parameter("interface_name", config.interface)
        self.controller.create_subscription(
            Float64MultiArray, "~/commands", self.on_command, qos_profile_system_default
        )
        self.joints_out = self.create_publisher(JointState, config.joints, 10)
        self.described = self.create_publisher(String, config.description, LATCHED)
        self.described.publish(String(data=UR5E))
        self.see()

    def see(self) -> None:
        self.position, self.quaternion = self.model.pose(self.angles)

    def on_command(self, message: Float64MultiArray) -> None:
        if time.monotonic() < self.deaf_until:
            return
        if len(message.data) == len(NAMES):
            self.command = np.array(message.data)
        else:
            self.heard["ignored"] += 1

    def move(self, dt: float) -> None:
        if self.command is not None:
            moves = self.config.interface == "velocity"
            self.angles = self.angles + dt * self.command if moves else self.command
            self.see()

    def tell_state(self, now: int) -> None:
        moves = self.config.interface == "velocity" and self.command is not None
        speeds = self.command if moves else np.zeros(len(NAMES))
        width = self.robot.limits.gripper_max_width
        knuckle = self.config.gripper.position_of(self.gripper.width, width)
        message = JointState(header=header_of(now), name=[KNUCKLE, *NAMES[::-1]])
        message.position = [knuckle, *map(float, self.angles[::-1])]
        message.velocity = [0.0, *map(float, speeds[::-1])]
        self.joints_out.publish(message)

    def guide(self, x: float) -> None:
        """The controller is off meanwhile and a while longer, which forgets its command."""
        self.command, self.deaf_until = None, time.monotonic() + 1.0
        for _ in range(100):
            away = np.array([x - self.position[0], 0, 0, 0, 0, 0])
            jacobian = self.model.jacobian(self.angles)
            self.angles = self.angles + np.linalg.pinv(jacobian) @ np.clip(away, -0.02, 0.02)
            self.see()

    def do(self, word: str) -> None:
        if word in ("order", "as_loaded"):
            names = NAMES if word == "as_loaded" else NAMES[::-1]
            self.controller.set_parameters([Parameter("joints", value=names)])
        elif word in ("velocity", "position", "effort"):
            self.controller.set_parameters([Parameter("interface_name", value=word)])
        elif word == "undescribed":
            self.described.publish(String(data="<robot name='other'><link name='a'/></robot>"))
        elif word == "described":
            self.described.publish(String(data=UR5E))
        elif word == "calibrated":
            self.described.publish(String(data=f"{UR5E}<!-- another -->"))
        elif word == "home":
            self.command, self.angles = None, np.array(self.robot.home)
            self.see()
        else:
            super().do(word)

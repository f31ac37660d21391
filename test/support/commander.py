# SPDX-License-Identifier: Apache-2.0
"""The graph's side of an adapter as a process of its own, which a test may kill: ten commands a
second along x.

python -m support.commander --ros-args -p frame:=fr3_link0 -p x:=0.08
"""

from __future__ import annotations

import time

import rclpy
from geometry_msgs.msg import TwistStamped
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from sensor_msgs.msg import JointState

from expo_ft_ros.graph.topics import topic
from expo_ft_ros.ros.messages import header_of
from expo_ft_ros.ros.qos import qos_of


class Commander(Node):
    """See the module."""

    def __init__(self) -> None:
        super().__init__("commander")
        self.frame = str(self.declare_parameter("frame", "base").value)
        self.x = float(self.declare_parameter("x", 0.05).value)
        twist, gripper = topic("robot/twist_cmd"), topic("robot/gripper_cmd")
        self.twist_out = self.create_publisher(TwistStamped, twist.name, qos_of(twist))
        self.gripper_out = self.create_publisher(JointState, gripper.name, qos_of(gripper))
        self.create_timer(0.1, self.command)

    def command(self) -> None:
        header = header_of(time.time_ns(), self.frame)
        message = TwistStamped(header=header)
        message.twist.linear.x = self.x
        self.gripper_out.publish(JointState(header=header, name=["gripper"], velocity=[0.0]))
        self.twist_out.publish(message)


def main() -> None:
    rclpy.init()
    try:
        rclpy.spin(Commander())
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        rclpy.try_shutdown()


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: Apache-2.0
"""Sends the robot a zero command and waits until it has been acknowledged.

For the runner, when arbitration has died (`bringup/runner.py`). Exit code 0: heard; 2: not.
"""

from __future__ import annotations

import sys
import time

import rclpy
from geometry_msgs.msg import TwistStamped
from rclpy.duration import Duration
from rclpy.node import Node
from sensor_msgs.msg import JointState

from expo_ft_ros.graph.topics import topic
from expo_ft_ros.ros.qos import message_type, qos_of

# Discovery alone has been seen to take 3.6 s.
TIMEOUT = 8.0
_TOPICS = ("robot/twist_cmd", "robot/gripper_cmd")


def stop(node: Node, timeout: float = TIMEOUT) -> bool:
    """Zero twist and gripper velocity; True when every listener there is has acknowledged both."""
    publishers = []
    for name in _TOPICS:
        entry = topic(name)
        publishers.append(node.create_publisher(message_type(entry.type), name, qos_of(entry)))
    until = time.monotonic() + timeout
    while not all(publisher.get_subscription_count() for publisher in publishers):
        if time.monotonic() > until:
            return False
        # Discovery tells nobody; the wait set of an empty node is the way to wait for a while.
        rclpy.spin_once(node, timeout_sec=0.02)
    twist, gripper = publishers
    stamp = node.get_clock().now().to_msg()
    message = TwistStamped()
    message.header.stamp = stamp
    hand = JointState(name=["gripper"], velocity=[0.0])
    hand.header.stamp = stamp
    twist.publish(message)
    gripper.publish(hand)
    left = Duration(seconds=max(0.05, until - time.monotonic()))
    return all(publisher.wait_for_all_acked(left) for publisher in publishers)


def main() -> None:
    """Entry point."""
    rclpy.init()
    node = rclpy.create_node("stop")
    heard = stop(node)
    node.destroy_node()
    rclpy.try_shutdown()
    if not heard:
        print(
            f"nobody acknowledged a zero on {' and '.join(_TOPICS)} within {TIMEOUT} s",
            file=sys.stderr,
        )
    sys.exit(0 if heard else 2)


if __name__ == "__main__":
    main()

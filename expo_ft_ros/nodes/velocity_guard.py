# SPDX-License-Identifier: Apache-2.0
"""Ends a joint velocity whose publisher has fallen silent.

A velocity controller of ros2_control keeps its last command for ever. While its adapter lives, that
stops the arm; when the adapter is killed or frozen, this node does, in a process of its own. It
hears what the controller hears, and says zeros where the newest is a motion that isn't renewed.
"""

from __future__ import annotations

import time

from rclpy.duration import Duration
from rclpy.publisher import Publisher
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from std_msgs.msg import Float64MultiArray

from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.control.thread_priority import TICK_PRIORITY
from expo_ft_ros.robots import load_robot
from expo_ft_ros.robots.joint_group_config import VELOCITY_GUARD
from expo_ft_ros.ros.graph_node import ERROR, OK, GraphNode, NodeParameters
from expo_ft_ros.ros.process import main as run_nodes

SILENCE = 0.1
"""A motion that isn't renewed for so long ends [s]."""

_PERIOD = 0.02
_LAST_WORD = 0.2
"""The last zeros are waited for so long before the node ends [s]."""

_QOS = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=1, reliability=ReliabilityPolicy.RELIABLE)


class VelocityGuard(GraphNode[NodeParameters]):
    """See the module."""

    NAME = VELOCITY_GUARD
    PARAMETERS = NodeParameters
    URGENT = TICK_PRIORITY

    def _setup(self) -> None:
        robot = load_robot(self.parameters.robot)
        if robot.joint_group is None:
            raise ConfigError(
                f"robot {robot.name}: adapter: {robot.adapter!r} has no joint velocities to guard"
            )
        self._moves, self._heard_at = False, 0.0
        topic = robot.joint_group.target
        heard = self.create_subscription(Float64MultiArray, topic, self._on_command, _QOS)
        self._out: Publisher[Float64MultiArray] = self.create_publisher(
            Float64MultiArray, topic, _QOS
        )
        self._entities.append((self.destroy_subscription, heard))
        self._entities.append((self.destroy_publisher, self._out))
        self._zeros = Float64MultiArray(data=[0.0] * len(robot.joints))
        self.wall_timer(_PERIOD, self._look)

    def _safety_action(self) -> None:
        if self._moves:
            self._out.publish(self._zeros)
            # The node goes at once: what it has just published is to arrive before that.
            self._out.wait_for_all_acked(Duration(seconds=_LAST_WORD))

    def _on_command(self, message: Float64MultiArray) -> None:
        """Its own zeros, too, which end what it watches for."""
        self._moves, self._heard_at = any(message.data), time.monotonic()
        if self._moves:
            self.report(OK, "ready")

    def _look(self) -> None:
        silent = time.monotonic() - self._heard_at
        if self._moves and silent > SILENCE:
            self._out.publish(self._zeros)
            self.report(ERROR, f"no joint velocity for {silent:.2f} s: the arm is told to stand")


def main() -> None:
    """Runs the guard."""
    run_nodes(VelocityGuard)


if __name__ == "__main__":
    main()

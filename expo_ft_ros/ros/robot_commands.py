# SPDX-License-Identifier: Apache-2.0
"""Where commands leave for the robot: the one place of the graph, so the one that motion:=off is
in. (Zeros alone are also sent by nodes/stop.py, where arbitration is gone.)"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from rclpy.duration import Duration
from std_msgs.msg import Bool

from expo_ft_ros.control.actions import Execute
from expo_ft_ros.control.plan import MOTION_OFF
from expo_ft_ros.control.scheduler import ZERO
from expo_ft_ros.data.types import Source, Step
from expo_ft_ros.robots import RobotConfig
from expo_ft_ros.ros.graph_node import GraphNode
from expo_ft_ros.ros.messages import command_to_msgs, header_of


class RobotCommands:
    """Sends the robot's commands.

    With motion off each of them is zero, whatever is asked for: the adapter's watchdog is content,
    and the arm stands. What would have been sent goes to shadow/twist_cmd and shadow/gripper_cmd.
    """

    def __init__(self, node: GraphNode[Any], robot: RobotConfig, *, motion: bool) -> None:
        """Makes the publishers.

        Args:
            node: Whose they are.
            robot: What an action of 1 means, and the frame of a command.
            motion: Whether the arm gets what is asked for.
        """
        self._motion = motion
        self._scale, self._frame = robot.limits.scale(), robot.frames.base
        self._twist_out = node.publisher("robot/twist_cmd", needed=1)
        self._gripper_out = node.publisher("robot/gripper_cmd", needed=1)
        self._shadow_twist_out = node.publisher("shadow/twist_cmd")
        self._shadow_gripper_out = node.publisher("shadow/gripper_cmd")
        self._motion_out = node.publisher("robot/motion")

    def tell(self) -> None:
        """Says whether commands reach the arm."""
        self._motion_out.publish(Bool(data=self._motion))

    def send(self, command: Execute) -> None:
        """In SI units; the twist goes last because it starts the period."""
        header = header_of(command.time_ns, self._frame)
        asked = command_to_msgs(command.action * self._scale, header)
        sent = asked if self._motion else command_to_msgs(ZERO * self._scale, header)
        twist, gripper = sent
        self._gripper_out.publish(gripper)
        self._twist_out.publish(twist)
        if not self._motion:
            twist, gripper = asked
            self._shadow_gripper_out.publish(gripper)
            self._shadow_twist_out.publish(twist)

    def executed(self, step: Step) -> Step:
        """The step as it reached the arm: with motion off nothing of it did, and its cause says
        so."""
        if self._motion or step.source is Source.HOLD:
            return step
        cause = ", ".join(filter(None, (step.cause, MOTION_OFF)))
        return replace(step, executed=np.zeros_like(step.executed), cause=cause)

    def wait_for_all_acked(self, timeout: Duration) -> list[str]:
        """Waits until the newest command is heard.

        Args:
            timeout: For each of the two.

        Returns:
            Names of the topics whose listeners have not acknowledged it.
        """
        outs = (self._twist_out, self._gripper_out)
        return [out.topic_name for out in outs if not out.wait_for_all_acked(timeout)]

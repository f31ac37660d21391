# SPDX-License-Identifier: Apache-2.0
"""Joint states, tool pose and tool twist of one moment, as one Proprio."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from geometry_msgs.msg import PoseStamped, TwistStamped
from sensor_msgs.msg import JointState

from expo_ft_ros.msg import Proprio as ProprioMsg
from expo_ft_ros.recording.messages import nanoseconds, require_frame
from expo_ft_ros.robots import load_robot
from expo_ft_ros.ros.graph_node import ERROR, OK, GraphNode, NodeParameters, parameter
from expo_ft_ros.ros.messages import to_array
from expo_ft_ros.ros.process import main as run_nodes


@dataclass(frozen=True)
class ProprioParameters(NodeParameters):
    """Parameters of the proprio node."""

    slop: float = parameter(
        0.02,
        "Greatest difference of the three stamps [s]; in lock-step they must be equal.",
        low=0.0,
        high=0.2,
    )


class ProprioNode(GraphNode[ProprioParameters]):
    """Waits for one of each whose stamps agree; the sample has the pose's stamp."""

    NAME = "proprio"
    PARAMETERS = ProprioParameters

    def _setup(self) -> None:
        self._robot = load_robot(self.parameters.robot)
        self._newest: dict[str, Any] = {}
        self._slop_ns = 0 if self.parameters.lockstep else round(1e9 * self.parameters.slop)
        self._out = self.publisher("proprio", needed=1)
        self.subscription("joint_states", lambda m: self._take("joints", m))
        self.subscription("robot/tcp_twist", lambda m: self._take("twist", m))
        self.subscription("robot/tcp_pose", lambda m: self._take("pose", m))

    def _take(self, kind: str, message: JointState | PoseStamped | TwistStamped) -> None:
        if not isinstance(message, JointState):
            require_frame(message, self._robot.frames.base)
        before = self._newest.get(kind)
        # By a clock that may be set a stamp is no order: there the newest to come counts.
        if self.parameters.lockstep and before is not None:
            message = max(before, message, key=lambda m: nanoseconds(m.header.stamp))
        self._newest[kind] = message
        if len(self._newest) < 3:
            return
        stamps = [nanoseconds(m.header.stamp) for m in self._newest.values()]
        if max(stamps) - min(stamps) > self._slop_ns:
            return
        pose, twist, joints = (self._newest[k] for k in ("pose", "twist", "joints"))
        self._newest.clear()
        try:
            width, arm = split_joints(joints, self._robot.joints, self._robot.fingers)
        except ValueError as error:
            self.get_logger().error(str(error), throttle_duration_sec=2.0)
            self.report(ERROR, str(error))
            return
        self._out.publish(
            ProprioMsg(
                header=pose.header,
                pose=pose.pose,
                twist=twist.twist,
                gripper_width=width,
                joint_positions=to_array(arm, "d"),
            )
        )
        self.report(OK, "ready")


def split_joints(
    message: JointState, joints: tuple[str, ...], fingers: tuple[str, ...]
) -> tuple[float, list[float]]:
    """Gripper opening [m] and the arm's joint positions [rad].

    Args:
        message: Names and positions, in any order; joints of neither are left out.
        joints: The arm's, in the order of the result.
        fingers: Whose positions add up to the opening.

    Raises:
        ValueError: when one is missing, or a value is not finite.
    """
    if len(message.name) != len(message.position):
        raise ValueError(
            f"joint_states has {len(message.name)} names and {len(message.position)} positions"
        )
    positions = dict(zip(message.name, message.position, strict=True))
    missing = [name for name in (*joints, *fingers) if name not in positions]
    if missing:
        raise ValueError(
            f"joint_states lacks {', '.join(missing)} (has {', '.join(positions) or 'nothing'}); "
            "set joints and fingers in the robot's file"
        )
    if not np.isfinite(message.position).all():
        raise ValueError("joint_states has a position that is not finite")
    return sum(positions[name] for name in fingers), [positions[name] for name in joints]


def main() -> None:
    """Runs the proprio node."""
    run_nodes(ProprioNode)


if __name__ == "__main__":
    main()

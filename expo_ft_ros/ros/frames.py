# SPDX-License-Identifier: Apache-2.0
"""Where the robot's frames are, on TF, as far as tf2_msgs is installed (it is with every ROS 2)."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from typing import Any

from geometry_msgs.msg import Pose, Transform, TransformStamped, Vector3
from std_msgs.msg import Header

from expo_ft_ros.ros.graph_node import GraphNode

HAS_TF = importlib.util.find_spec("tf2_msgs") is not None


def transform(header: Header, child: str, pose: Pose) -> TransformStamped:
    """Where a frame is.

    Args:
        header: Its frame_id is the parent.
        child: Name of the frame.
        pose: Of the child's origin and axes in the parent [m].
    """
    position = pose.position
    moved = Transform(
        translation=Vector3(x=position.x, y=position.y, z=position.z), rotation=pose.orientation
    )
    return TransformStamped(header=header, child_frame_id=child, transform=moved)


class FramePublisher:
    """Publishes frames for a node; where tf2_msgs is missing, none."""

    def __init__(self, node: GraphNode[Any]) -> None:
        """Makes the publishers of /tf and /tf_static."""
        self._moving = self._fixed = None
        if HAS_TF:
            self._moving, self._fixed = node.publisher("/tf"), node.publisher("/tf_static")

    def show(self, moving: TransformStamped) -> None:
        """Publishes where a frame is now."""
        if self._moving is not None:
            self._moving.publish(tf_message([moving]))

    def fix(self, frames: Sequence[TransformStamped]) -> None:
        """Publishes where frames are from now on, all of them at once."""
        if self._fixed is not None:
            self._fixed.publish(tf_message(frames))


def tf_message(transforms: Sequence[TransformStamped]) -> Any:
    """A tf2_msgs/TFMessage; imported here, since it may not be installed."""
    from tf2_msgs.msg import TFMessage

    return TFMessage(transforms=list(transforms))

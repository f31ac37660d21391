# SPDX-License-Identifier: Apache-2.0
"""An FR3 in its own shape as markers, for rviz and Foxglove where nobody publishes its model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from geometry_msgs.msg import Point, Pose, Quaternion
from numpy.typing import NDArray
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker

from expo_ft_ros.data.rotation import matrix_of
from expo_ft_ros.monitor.arm import (
    ARM_JOINTS,
    COLOURS,
    Parts,
    arm_frames,
    finger_place,
    finger_shapes,
    hand_shape,
    link_shapes,
)
from expo_ft_ros.monitor.view import View

ARM = "arm"


class ArmMarkers:
    """Triangles of base, seven links, hand and fingers, which are made once; then only their poses
    change. 4,900 triangles, 360 kB a message, 8 ms to make it ready for the wire (one core of an
    AMD EPYC at 2.4 GHz)."""

    def __init__(self) -> None:
        """Makes the triangles."""
        self._links = [_triangles(parts) for parts in link_shapes()]
        self._hand = _triangles(hand_shape())
        self._fingers = {side: _triangles(parts) for side, parts in finger_shapes().items()}

    def show(self, header: Header, view: View) -> list[Marker]:
        """All of it where the view has it; without the arm where its seven joints aren't known,
        and without the hand where the tool isn't.

        Args:
            header: Its frame is the robot's base.
            view: Joints [rad], the tool's pose [m, x y z w] and the gripper's opening [m].
        """
        shown: list[Marker] = []
        if len(view.joints) == ARM_JOINTS:
            for link, place, turn in zip(self._links, *arm_frames(view.joints), strict=False):
                shown += _placed(link, place, turn)
        if view.position is not None:
            shown += _placed(self._hand, view.position, view.quaternion)
            axes = matrix_of(view.quaternion)
            for side, finger in self._fingers.items():
                place = view.position + axes @ finger_place(side, view.gripper_width)
                shown += _placed(finger, place, view.quaternion)
        for number, marker in enumerate(shown):
            marker.header, marker.id = header, number
        return shown


def _triangles(parts: Parts) -> list[Marker]:
    markers = []
    for of, mesh in parts.items():
        marker = Marker(ns=ARM, type=Marker.TRIANGLE_LIST, action=Marker.ADD)
        marker.scale.x = marker.scale.y = marker.scale.z = 1.0
        red, green, blue = (value / 255 for value in COLOURS[of])
        marker.color = ColorRGBA(r=red, g=green, b=blue, a=1.0)
        corners = mesh.vertices[mesh.faces.reshape(-1)].tolist()
        marker.points = [Point(x=x, y=y, z=z) for x, y, z in corners]
        markers.append(marker)
    return markers


def _placed(
    markers: list[Marker], place: NDArray[np.floating[Any]], turn: NDArray[np.floating[Any]]
) -> Iterator[Marker]:
    """place: (3,) [m]; turn: (4,) x, y, z, w."""
    (x, y, z), (a, b, c, w) = place.tolist(), turn.tolist()
    for marker in markers:
        marker.pose = Pose(
            position=Point(x=x, y=y, z=z), orientation=Quaternion(x=a, y=b, z=c, w=w)
        )
        yield marker

# SPDX-License-Identifier: Apache-2.0
"""The arm and the hand in a scene of viser: their shapes are sent once, their poses with each
view."""

from __future__ import annotations

import numpy as np
import viser

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

_WXYZ = [3, 0, 1, 2]


class Robot:
    """An arm of seven joints, and a hand, which is seen also where the arm isn't known."""

    def __init__(self, scene: viser.SceneApi, root: str) -> None:
        """root: of the names in the scene, as "/live"; the tool's frame is `tool` below it."""
        self._links = [
            _placed(scene, f"{root}/arm/{number}", parts)
            for number, parts in enumerate(link_shapes())
        ]
        # Without its axes: their hues are those of a high and a low Q.
        self._tool = scene.add_frame(f"{root}/tool", show_axes=False, visible=False)
        _placed(scene, f"{root}/tool/hand", hand_shape()).visible = True
        self._fingers = {
            side: _placed(scene, f"{root}/tool/finger{number}", parts)
            for number, (side, parts) in enumerate(finger_shapes().items())
        }
        for finger in self._fingers.values():
            finger.visible = True

    def show(self, view: View) -> None:
        """Puts all of it where the view has it."""
        known = len(view.joints) == ARM_JOINTS
        if known:
            places, turns = arm_frames(view.joints)
            for link, place, turn in zip(self._links, places, turns, strict=False):
                link.position, link.wxyz = place, turn[_WXYZ]
        for link in self._links:
            link.visible = known
        self._tool.visible = view.position is not None
        if view.position is None:
            return
        self._tool.position, self._tool.wxyz = view.position, view.quaternion[_WXYZ]
        for side, finger in self._fingers.items():
            finger.position = finger_place(side, view.gripper_width)


def _placed(scene: viser.SceneApi, name: str, parts: Parts) -> viser.FrameHandle:
    """A frame that can be moved, at first hidden, and the parts in it."""
    frame = scene.add_frame(name, show_axes=False, visible=False)
    for of, mesh in parts.items():
        scene.add_mesh_simple(
            f"{name}/{of}",
            mesh.vertices.astype(np.float32),
            mesh.faces.astype(np.uint32),
            color=COLOURS[of],
            # viser's standard material takes a browser without a GPU ten seconds to compile, in
            # which the page answers to no press.
            material="toon5",
            # Shadows take a browser without a GPU most of its time.
            cast_shadow=False,
            receive_shadow=False,
        )
    return frame

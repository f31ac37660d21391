# SPDX-License-Identifier: Apache-2.0
"""The arm, where its tool was, and where each candidate would take it, in a scene of viser."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import viser
from numpy.typing import NDArray

from expo_ft_ros.data.types import Source
from expo_ft_ros.monitor.paths import (
    DRIVER_COLOURS,
    Colour,
    box_edges,
    path_segments,
    q_colours,
)
from expo_ft_ros.monitor.projection import Camera
from expo_ft_ros.monitor.robot3d import Robot
from expo_ft_ros.monitor.view import View
from expo_ft_ros.tasks import TaskConfig

Points = NDArray[np.floating[Any]]

_GRID, _BOX, _CAMERA = (52, 56, 62), (96, 104, 114), (150, 156, 164)
_OBJECT = (240, 110, 90)
_REGION = (150, 105, 180)  # of no Q and no driver
_CENTRE, _HALF = 0.3, 0.7  # of the table: in front of the base, half of its sides [m]
_FRUSTUM, _DOT, _AXES = 0.05, 0.025, 0.2  # [m]
_MOST_OBJECTS = 200


class Scene:
    """Draws views under one node of the scene, which can be hidden."""

    def __init__(self, scene: viser.SceneApi, root: str, *, visible: bool = True) -> None:
        """root: of the names in the scene, as "/live"."""
        self._viser, self._name = scene, root
        self._root = scene.add_frame(root, show_axes=False, visible=visible)
        self._robot = Robot(scene, root)
        self._cameras: dict[str, tuple[Camera, viser.CameraFrustumHandle]] = {}
        self._objects = scene.add_point_cloud(
            f"{root}/objects",
            np.zeros((1, 3), np.float32),
            np.array([_OBJECT], np.uint8),
            point_size=_DOT,
            point_shape="circle",
            visible=False,
        )
        self._candidates = _Lines(scene, f"{root}/candidates", 2.0)
        self._chosen = _Lines(scene, f"{root}/chosen", 6.0)
        self._executed = _Lines(scene, f"{root}/executed", 4.0)

    @property
    def visible(self) -> bool:
        """Whether it is seen."""
        return self._root.visible

    @visible.setter
    def visible(self, visible: bool) -> None:
        self._root.visible = visible

    def show(self, view: View) -> None:
        """Draws all of a view that has a place in space."""
        self._robot.show(view)
        self._show_cameras(view)
        self._show_objects(view)
        self._show_candidates(view)
        executed = view.executed if len(view.executed) > 1 else np.zeros((0, 3))
        colours = np.array([DRIVER_COLOURS[Source(by)] for by in view.sources[1:]], np.uint8)
        self._executed.draw(_segments(executed), colours)

    def _show_cameras(self, view: View) -> None:
        """Again only those of which something else is known."""
        for name, (camera, shown) in list(self._cameras.items()):
            if view.cameras.get(name) is not camera:
                shown.remove()
                del self._cameras[name]
        for name, camera in view.cameras.items():
            if name in self._cameras:
                continue
            x, y, z, w = camera.quaternion
            handle = self._viser.add_camera_frustum(
                f"{self._name}/{'tool/' if camera.on_tool else ''}camera_{name}",
                camera.field_of_view,
                camera.size[0] / camera.size[1],
                scale=_FRUSTUM,
                thickness=1.5,
                thickness_units="screen",
                color=_CAMERA,
                position=camera.position,
                wxyz=np.array([w, x, y, z]),
                cast_shadow=False,
                receive_shadow=False,
            )
            self._cameras[name] = camera, handle

    def _show_objects(self, view: View) -> None:
        places = list(view.objects.values())[:_MOST_OBJECTS]
        self._objects.visible = bool(places)
        if places:
            self._objects.points = np.array(places, np.float32)
            self._objects.colors = np.tile(np.array(_OBJECT, np.uint8), (len(places), 1))

    def _show_candidates(self, view: View) -> None:
        segments, of = path_segments(view.paths, view.kind, view.chosen)
        colours, chosen = q_colours(view.q), of == view.chosen
        self._candidates.draw(segments[~chosen], colours[of[~chosen]])
        self._chosen.draw(segments[chosen], colours[of[chosen]])


def furnish(
    scene: viser.SceneApi, task: TaskConfig, heights: Mapping[str, float] = MappingProxyType({})
) -> None:
    """What stands still: the axes of the base, the table's plane, the box that the tool stays in,
    and in it the heights that the classifier counts, each by its name [m]."""
    scene.configure_default_lights(cast_shadow=False)
    # As lines: viser's grid and shadows take a browser without a GPU most of its time.
    across = np.linspace(-_HALF, _HALF, 15)
    one_way = np.array([[[a, -_HALF, 0.0], [a, _HALF, 0.0]] for a in across])
    table = np.concatenate([one_way, one_way[..., [1, 0, 2]]]) + np.array([_CENTRE, 0.0, 0.0])
    _Lines(scene, "/table", 1.0).draw(table, _GRID)
    scene.add_frame("/base", axes_length=_AXES, axes_radius=0.004, origin_radius=0.006)
    edges = box_edges(task.workspace.low, task.workspace.high)
    _Lines(scene, "/workspace", 1.5).draw(edges, _BOX)
    for number, (name, height) in enumerate(heights.items()):
        corners = _level(task, height)
        outline = _segments(np.concatenate([corners, corners[:1]]))
        _Lines(scene, f"/heights/{number}", 1.5).draw(outline, _REGION)
        scene.add_label(f"/heights/{number}/name", name, position=corners[0], font_screen_scale=0.8)


def _level(task: TaskConfig, height: float) -> Points:
    """(4, 3) corners of the workspace at that height [m]."""
    (left, near, _), (right, far, _) = task.workspace.low, task.workspace.high
    sides = [[left, near], [right, near], [right, far], [left, far]]
    return np.array([[*side, height] for side in sides])


class _Lines:
    """Segments that may come in any number, also none."""

    def __init__(self, scene: viser.SceneApi, name: str, thickness: float) -> None:
        """thickness: [px]."""
        self._handle = scene.add_line_segments(
            name,
            np.zeros((1, 2, 3)),
            np.zeros((1, 2, 3), np.uint8),
            thickness=thickness,
            thickness_units="screen",
            visible=False,
        )

    def draw(self, segments: Points, colours: NDArray[np.uint8] | Colour) -> None:
        """segments: (N, 2, 3); colours: of all, or (N, 3)."""
        self._handle.visible = bool(len(segments))
        if len(segments):
            # Lines are lit by nothing: viser takes their colours for linear ones.
            linear = 255 * (np.asarray(colours) / 255) ** 2.2
            of_each = np.broadcast_to(linear.round().astype(np.uint8), (len(segments), 3))
            self._handle.points = segments
            self._handle.colors = np.repeat(of_each[:, None], 2, axis=1)


def _segments(path: Points) -> Points:
    """(N - 1, 2, 3) of a path (N, 3)."""
    return np.stack([path[:-1], path[1:]], axis=1)

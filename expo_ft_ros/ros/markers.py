# SPDX-License-Identifier: Apache-2.0
"""Candidates, the executed path and what surrounds them as markers for rviz and Foxglove."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from geometry_msgs.msg import Point, Pose, PoseStamped, Vector3
from nav_msgs.msg import Path
from numpy.typing import NDArray
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from expo_ft_ros.data.types import CandidateKind, Source
from expo_ft_ros.monitor.paths import DRIVER_COLOURS, box_edges, q_colours
from expo_ft_ros.robots import Workspace

BASE, EDITED, GRIPPER, CHOSEN, EDITS = "base", "edited", "gripper", "chosen", "edits"
EXECUTED, WORKSPACE, REGIONS, STATE = "executed", "workspace", "regions", "state"
SHADOW = "shadow"

_THIN, _THICK, _SHAFT = 0.0015, 0.005, 0.002  # [m]
_DOT = 0.003
_WHITE, _ORANGE = (255, 255, 255), (255, 140, 0)
_DRAWN = {
    CandidateKind.BASE: (BASE, Marker.LINE_STRIP),
    CandidateKind.EDITED: (EDITED, Marker.LINE_LIST),
    CandidateKind.GRIPPER: (GRIPPER, Marker.POINTS),
}


def forget(header: Header) -> Marker:
    """Takes every marker away that was shown before."""
    return Marker(header=header, action=Marker.DELETEALL)


def candidate_markers(
    header: Header,
    paths: NDArray[np.floating[Any]],
    q: NDArray[np.floating[Any]],
    kind: NDArray[np.uint8],
    chosen: int,
) -> list[Marker]:
    """A path a candidate, coloured by Q: edited ones are dashed, gripper decisions dots along their
    base chunk's path; the chosen one again, thick; and an arrow from each base chunk's end to that
    of its edit.

    paths: (K, H + 1, 3) [m]; q, kind: (K,), in the order of msg/Candidates.
    """
    markers = []
    for number, (path, colour) in enumerate(zip(paths, q_colours(q), strict=True)):
        namespace, shape = _DRAWN[CandidateKind(int(kind[number]))]
        marker = _marker(header, namespace, number, shape, colour)
        dots = shape == Marker.POINTS
        marker.scale.x, marker.scale.y = (_DOT, _DOT) if dots else (_THIN, 0.0)
        # Every other segment of a dashed path.
        ends = path[: len(path) // 2 * 2] if shape == Marker.LINE_LIST else path
        marker.points = [_point(p) for p in ends]
        markers.append(marker)
    best = _marker(header, CHOSEN, 0, Marker.LINE_STRIP, q_colours(q)[chosen])
    best.scale.x = _THICK
    best.points = [_point(p) for p in paths[chosen]]
    return [*markers, best, *_edits(header, paths, kind)]


def _edits(
    header: Header, paths: NDArray[np.floating[Any]], kind: NDArray[np.uint8]
) -> list[Marker]:
    bases, edits = (np.flatnonzero(kind == of) for of in (CandidateKind.BASE, CandidateKind.EDITED))
    if len(bases) != len(edits):
        return []
    arrows = []
    for number, (base, edit) in enumerate(zip(bases, edits, strict=True)):
        arrow = _marker(header, EDITS, number, Marker.ARROW, _WHITE)
        arrow.scale = Vector3(x=_SHAFT, y=2 * _SHAFT, z=3 * _SHAFT)
        arrow.points = [_point(paths[base][-1]), _point(paths[edit][-1])]
        arrows.append(arrow)
    return arrows


def executed_marker(
    header: Header, points: NDArray[np.floating[Any]], sources: Sequence[Source]
) -> Marker:
    """Where the tool was, (M, 3) [m], each point in the colour of who drove to it."""
    marker = _marker(header, EXECUTED, 0, Marker.LINE_STRIP, _WHITE)
    marker.scale.x = 2 * _THIN
    marker.points = [_point(p) for p in points]
    marker.colors = [_colour(DRIVER_COLOURS[source]) for source in sources]
    return marker


def executed_path(header: Header, points: NDArray[np.floating[Any]]) -> Path:
    """The same as nav_msgs/Path; the tool's orientation isn't in it."""
    upright = Pose()
    upright.orientation.w = 1.0
    poses = [
        PoseStamped(header=header, pose=Pose(position=_point(p), orientation=upright.orientation))
        for p in points
    ]
    return Path(header=header, poses=poses)


def shadow_marker(
    header: Header, position: NDArray[np.floating[Any]], velocity: NDArray[np.floating[Any]]
) -> Marker:
    """With motion off, where the tool would go within a second: position (3,) [m], velocity (3,)
    [m/s], both in base axes."""
    arrow = _marker(header, SHADOW, 0, Marker.ARROW, _ORANGE)
    arrow.scale = Vector3(x=2 * _SHAFT, y=4 * _SHAFT, z=6 * _SHAFT)
    arrow.points = [_point(position), _point(position + velocity)]
    return arrow


def surrounding_markers(
    header: Header, workspace: Workspace, heights: Mapping[str, float]
) -> list[Marker]:
    """The box that the tool stays in, and the heights that the classifier counts [m]."""
    low, high = np.array(workspace.low), np.array(workspace.high)
    box = _marker(header, WORKSPACE, 0, Marker.LINE_LIST, (120, 200, 120))
    box.scale.x = _THIN
    box.points = [_point(p) for p in box_edges(workspace.low, workspace.high).reshape(-1, 3)]
    markers = [box]
    for number, (name, height) in enumerate(heights.items()):
        plane = _marker(header, REGIONS, 2 * number, Marker.CUBE, (0, 200, 200), alpha=0.12)
        middle, size = (low + high) / 2, high - low
        plane.pose.position = _point([*middle[:2], height])
        plane.scale = Vector3(x=float(size[0]), y=float(size[1]), z=_THIN)
        words = _text(header, REGIONS, 2 * number + 1, [low[0], low[1], height], name, 0.02)
        markers += [plane, words]
    return markers


def state_marker(header: Header, workspace: Workspace, words: str) -> Marker:
    """The episode's state as text over the workspace."""
    low, high = np.array(workspace.low), np.array(workspace.high)
    place = [*((low + high) / 2)[:2], high[2] + 0.06]
    return _text(header, STATE, 0, place, words, 0.035)


def marker_array(markers: Sequence[Marker]) -> MarkerArray:
    """One message of them all."""
    return MarkerArray(markers=list(markers))


def _text(
    header: Header, namespace: str, number: int, place: Sequence[float], words: str, size: float
) -> Marker:
    marker = _marker(header, namespace, number, Marker.TEXT_VIEW_FACING, _WHITE)
    marker.pose.position = _point(place)
    marker.scale.z = size
    marker.text = words
    return marker


def _marker(
    header: Header,
    namespace: str,
    number: int,
    kind: int,
    colour: Sequence[int] | NDArray[np.uint8],
    alpha: float = 1.0,
) -> Marker:
    marker = Marker(header=header, ns=namespace, id=number, type=kind, action=Marker.ADD)
    marker.color = _colour(colour, alpha)
    marker.pose.orientation.w = 1.0
    return marker


def _point(place: Sequence[float] | NDArray[np.floating[Any]]) -> Point:
    return Point(x=float(place[0]), y=float(place[1]), z=float(place[2]))


def _colour(rgb: Sequence[int] | NDArray[np.uint8], alpha: float = 1.0) -> ColorRGBA:
    red, green, blue = (float(value) / 255 for value in rgb)
    return ColorRGBA(r=red, g=green, b=blue, a=alpha)

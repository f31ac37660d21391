# SPDX-License-Identifier: Apache-2.0
"""What the policy is about to do, drawn where a camera would see it."""

from __future__ import annotations

import math

import cv2
import numpy as np

from expo_ft_ros.data.types import ImageArray
from expo_ft_ros.monitor.overlay import write_words
from expo_ft_ros.monitor.paths import Colour, path_segments, q_colours
from expo_ft_ros.monitor.projection import Camera, project, project_points
from expo_ft_ros.monitor.view import View

_WHITE, _DARK = (255, 255, 255), (20, 20, 20)
_THIN, _THICK, _EDGE, _END, _RING = 2, 5, 9, 6, 10  # [px] of an image that is shown
_APART = 2.5 * _RING  # two words [px]
_SHIFT = 3  # bits of a pixel's fraction that OpenCV is given
OPENS, CLOSES = "opens", "closes"


def draw_intent(image: ImageArray, view: View, camera: Camera) -> None:
    """The candidates' paths in their colours, the executed one's thick with a dot at its end, and
    the word where that opens or closes the gripper.

    Args:
        image: (H, W, 3) RGB, as of the camera, at whatever scale; it is changed.
        view: What there is to draw; nothing where it has no paths, or no place of the tool.
        camera: Which took the image.
    """
    if view.position is None or not len(view.paths):
        return
    width, height = camera.size
    scale = np.array([image.shape[1] / width, image.shape[0] / height])
    placed = view.position, view.quaternion
    colours = q_colours(view.q)
    segments, of = path_segments(view.paths, view.kind, view.chosen)
    pixels, seen = project(camera, segments, *placed)
    ends = np.round(((pixels + 0.5) * scale - 0.5) * (1 << _SHIFT)).astype(np.int32)
    # Path by path, as they come.
    parts = np.split(ends, np.searchsorted(of[seen], np.arange(1, len(view.paths))))
    for number, part in enumerate(parts):
        if number != view.chosen and len(part):
            # They are many: smooth ones take thrice the time.
            colour: Colour = tuple(colours[number].tolist())
            cv2.polylines(image, list(part), False, colour, _THIN, cv2.LINE_8, _SHIFT)
    if not 0 <= view.chosen < len(view.paths):
        return
    known = np.isfinite(view.q[view.chosen])
    colour = tuple(colours[view.chosen].tolist()) if known else _WHITE
    best = list(parts[view.chosen])
    cv2.polylines(image, best, False, _DARK, _EDGE, cv2.LINE_AA, _SHIFT)
    cv2.polylines(image, best, False, colour, _THICK, cv2.LINE_AA, _SHIFT)
    path = view.paths[view.chosen]
    steps = [len(path) - 1, *(change.step for change in view.gripper)]
    points, shown = project_points(camera, path[steps], *placed)
    marked = list[tuple[int, int]]()
    for number, (x, y) in zip(shown.tolist(), (points + 0.5) * scale - 0.5, strict=True):
        place = round(float(x)), round(float(y))
        if number == 0:
            cv2.circle(image, place, _END + 2, _DARK, -1, cv2.LINE_AA)
            cv2.circle(image, place, _END, colour, -1, cv2.LINE_AA)
        elif all(math.dist(place, other) > _APART for other in marked):
            # Of several in one place the first one counts, and can be read.
            _mark(image, place, OPENS if view.gripper[number - 1].opens else CLOSES)
            marked.append(place)


def _mark(image: ImageArray, place: tuple[int, int], word: str) -> None:
    """A ring, and the word beside it, all of it in the image."""
    cv2.circle(image, place, _RING, _DARK, 5, cv2.LINE_AA)
    cv2.circle(image, place, _RING, _WHITE, 2, cv2.LINE_AA)
    (wide, high), _ = cv2.getTextSize(word, cv2.FONT_HERSHEY_SIMPLEX, 0.65, 1)
    left = place[0] + _RING + 6
    if left + wide > image.shape[1]:
        left = max(0, place[0] - _RING - 6 - wide)
    low = int(np.clip(place[1] + high // 2, high + 2, image.shape[0] - 4))
    write_words(image, word, (left, low), _WHITE)

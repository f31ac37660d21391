# SPDX-License-Identifier: Apache-2.0
"""Smooth solids of few triangles: what robots are drawn of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

SIDES = 16
"""Of what is round."""

_CAP = np.radians([90.0, 52.0, 22.0])  # rings of a round end, from its pole on


class Mesh(NamedTuple):
    """vertices: (V, 3) [m]; faces: (F, 3) numbers of vertices, anticlockwise seen from outside. The
    solid is closed; a vertex that two faces share is one of a smooth surface."""

    vertices: NDArray[np.float64]
    faces: NDArray[np.int64]


def tube(points: Sequence[Sequence[float]], radii: Sequence[float]) -> Mesh:
    """A limb with round ends along a line that is bent smoothly.

    points: (n, 3) [m], two or more, of which the line has the first and the last one; radii: (n,)
    [m] there.
    """
    along = np.column_stack([np.asarray(points, np.float64), np.asarray(radii, np.float64)])
    if len(along) > 2:
        # Corners cut once, after Chaikin.
        cut = np.stack([0.75 * along[:-1] + 0.25 * along[1:], 0.25 * along[:-1] + 0.75 * along[1:]])
        between = cut.transpose(1, 0, 2).reshape(-1, 4)[1:-1]
        along = np.concatenate([along[:1], between, along[-1:]])
    centres, radius = along[:, :3], along[:, 3]
    tangents = np.gradient(centres, axis=0)
    tangents /= np.linalg.norm(tangents, axis=1, keepdims=True)
    first, last = tangents[0], tangents[-1]
    begin = centres[0] - radius[0] * np.sin(_CAP)[:, None] * first
    end = centres[-1] + radius[-1] * np.sin(_CAP[::-1])[:, None] * last
    return _loft(
        np.concatenate([begin, centres, end]),
        np.concatenate([np.tile(first, (3, 1)), tangents, np.tile(last, (3, 1))]),
        np.concatenate([radius[0] * np.cos(_CAP), radius, radius[-1] * np.cos(_CAP[::-1])]),
    )


def drum(start: Sequence[float], end: Sequence[float], radius: float, bevel: float) -> Mesh:
    """A cylinder from one point (3,) to another [m], whose edges are rounded off by `bevel` [m]."""
    low, high = np.asarray(start, np.float64), np.asarray(end, np.float64)
    length = float(np.linalg.norm(high - low))
    axis = (high - low) / length
    corner = np.radians([0.0, 45.0, 90.0])
    heights, widths = bevel * (1 - np.cos(corner)), radius - bevel * (1 - np.sin(corner))
    heights = np.concatenate([[0.0], heights, length - heights[::-1], [length]])
    widths = np.concatenate([[0.0], widths, widths[::-1], [0.0]])
    return _loft(low + heights[:, None] * axis, np.tile(axis, (len(heights), 1)), widths)


def box(low: Sequence[float], high: Sequence[float]) -> Mesh:
    """A box with sharp edges between two opposite corners (3,) [m]."""
    corners = np.stack([np.asarray(low, np.float64), np.asarray(high, np.float64)])
    vertices, faces = list[Vector](), list[tuple[int, int, int]]()
    for axis in range(3):
        for side in (0, 1):
            square = np.zeros((4, 3))
            square[:, axis] = corners[side, axis]
            # Anticlockwise about the axis where it looks along it.
            turns = ((0, 0), (1, 0), (1, 1), (0, 1))
            for number, (u, v) in enumerate(turns if side else turns[::-1]):
                square[number, (axis + 1) % 3] = corners[u, (axis + 1) % 3]
                square[number, (axis + 2) % 3] = corners[v, (axis + 2) % 3]
            first = 4 * len(vertices)
            vertices.append(square)
            faces += [(first, first + 1, first + 2), (first, first + 2, first + 3)]
    return Mesh(np.concatenate(vertices), np.array(faces, np.int64))


def joined(meshes: Sequence[Mesh]) -> Mesh:
    """All of them in one."""
    before = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes)])
    return Mesh(
        np.concatenate([mesh.vertices for mesh in meshes]),
        np.concatenate([mesh.faces + n for mesh, n in zip(meshes, before, strict=False)]),
    )


def _loft(centres: Vector, tangents: Vector, radii: Vector) -> Mesh:
    """A surface through circles about a line, the first and the last one being of no radius.

    centres: (m, 3); tangents: (m, 3) of length 1; radii: (m,).
    """
    across = np.eye(3)[np.argmin(np.abs(tangents[0]))]
    angles = 2 * np.pi * np.arange(SIDES) / SIDES
    vertices = [centres[:1]]
    for centre, tangent, radius in zip(centres, tangents, radii, strict=True):
        # The last one's direction again, as far as the line allows it: nothing is twisted.
        across = across - (across @ tangent) * tangent
        across = across / np.linalg.norm(across)
        other = np.cross(tangent, across)
        vertices.append(
            centre + radius * (np.outer(np.cos(angles), across) + np.outer(np.sin(angles), other))
        )
    rings = vertices[2:-1]
    here = np.arange(SIDES)
    after = (here + 1) % SIDES
    faces = [np.stack([np.zeros_like(here), after + 1, here + 1], axis=1)]
    for number in range(len(rings) - 1):
        low, high = 1 + SIDES * number, 1 + SIDES * (number + 1)
        faces.append(np.stack([low + here, low + after, high + after], axis=1))
        faces.append(np.stack([low + here, high + after, high + here], axis=1))
    top = 1 + SIDES * len(rings)
    low = top - SIDES
    faces.append(np.stack([low + here, low + after, np.full_like(here, top)], axis=1))
    return Mesh(
        np.concatenate([centres[:1], *rings, centres[-1:]]), np.concatenate(faces).astype(np.int64)
    )

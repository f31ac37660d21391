# SPDX-License-Identifier: Apache-2.0
"""Solids are closed, turned outward, and as large as their measures say."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from expo_ft_ros.monitor.arm import finger_shapes, hand_shape, link_shapes
from expo_ft_ros.monitor.solids import SIDES, Mesh, box, drum, joined, tube

_ROBOT = (*link_shapes(), hand_shape(), *finger_shapes().values())
PARTS = [mesh for part in _ROBOT for mesh in part.values()]
# Of a circle that a polygon covers.
COVERED = SIDES / (2 * np.pi) * np.sin(2 * np.pi / SIDES)


def volume(mesh: Mesh) -> float:
    a, b, c = (mesh.vertices[mesh.faces[:, corner]] for corner in range(3))
    return float((a * np.cross(b, c)).sum() / 6)


def require_closed(mesh: Mesh) -> None:
    """Each edge belongs to two faces, which go along it in opposite directions."""
    keys = np.unique(mesh.vertices.round(9), axis=0, return_inverse=True)[1][mesh.faces]
    edges = Counter((int(face[i]), int(face[(i + 1) % 3])) for face in keys for i in range(3))
    assert edges == {(b, a): n for (a, b), n in edges.items()}


@pytest.mark.parametrize("mesh", PARTS)
def test_a_part_of_the_robot_is_closed_and_seen_from_outside(mesh):
    require_closed(mesh)
    assert volume(mesh) > 0
    assert mesh.faces.max() < len(mesh.vertices)


sizes = st.floats(0.02, 0.5)
points = st.tuples(*[st.floats(-0.5, 0.5)] * 3)


@given(points, points, sizes)
def test_a_drum_fills_its_cylinder_but_for_the_edges(start, way, radius):
    length = float(np.linalg.norm(way))
    if length < 0.05:
        return
    end = np.add(start, way).tolist()
    bevel = 0.1 * min(radius, length)
    mesh = drum(start, end, radius, bevel)
    require_closed(mesh)
    whole = COVERED * np.pi * radius**2 * length
    assert 0.9 * whole < volume(mesh) < whole
    along = (mesh.vertices - start) @ way / length
    assert along.min() == pytest.approx(0, abs=1e-9)
    assert along.max() == pytest.approx(length)


@given(points, sizes, sizes)
def test_a_tube_is_round_at_its_ends_and_as_thick_as_it_is_told(start, length, radius):
    mesh = tube([start, (start[0], start[1], start[2] + length)], [radius, radius])
    require_closed(mesh)
    whole = np.pi * radius**2 * (length + 4 / 3 * radius)
    assert 0.85 * whole < volume(mesh) < whole
    reach = mesh.vertices[:, 2] - start[2]
    assert reach.min() == pytest.approx(-radius)
    assert reach.max() == pytest.approx(length + radius)


def test_a_bent_tube_keeps_its_ends_and_stays_within_its_corner():
    mesh = tube([(0, 0, 0), (0, 0, 1), (1, 0, 1)], [0.1, 0.1, 0.1])
    require_closed(mesh)
    np.testing.assert_allclose(mesh.vertices[-1], [1.1, 0, 1], atol=1e-9)
    assert mesh.vertices[:, 2].max() < 1.11
    assert volume(mesh) > 0


def test_a_box_has_its_volume_and_several_make_one():
    mesh = box((-1, -2, -3), (1, 2, 3))
    require_closed(mesh)
    assert volume(mesh) == pytest.approx(48)
    assert volume(joined([mesh, mesh])) == pytest.approx(96)

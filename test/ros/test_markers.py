# SPDX-License-Identifier: Apache-2.0
"""How candidates of each kind are drawn for rviz and Foxglove."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("expo_ft_ros.msg")

from visualization_msgs.msg import Marker

from expo_ft_ros.ros.markers import candidate_markers, shadow_marker
from expo_ft_ros.ros.messages import header_of


def test_each_kind_is_drawn_as_its_own():
    """Two base chunks, their edits, and the first with the gripper opening and closing."""
    paths = np.random.default_rng(0).uniform(-1, 1, (6, 9, 3))
    kind = np.array([0, 0, 1, 1, 2, 2], np.uint8)
    drawn = candidate_markers(header_of(0), paths, np.linspace(0, 1, 6), kind, chosen=4)
    shapes = {name: {m.type for m in drawn if m.ns == name} for name in {m.ns for m in drawn}}
    assert shapes == {
        "base": {Marker.LINE_STRIP},
        "edited": {Marker.LINE_LIST},
        "gripper": {Marker.POINTS},
        "chosen": {Marker.LINE_STRIP},
        "edits": {Marker.ARROW},
    }
    arrows = [m for m in drawn if m.ns == "edits"]
    for number, arrow in enumerate(arrows):
        ends = [[point.x, point.y, point.z] for point in arrow.points]
        np.testing.assert_allclose(ends, paths[[number, 2 + number], -1])
    assert len(arrows) == 2
    (best,) = (m for m in drawn if m.ns == "chosen")
    assert len(best.points) == 9
    assert all(len(m.points) % 2 == 0 for m in drawn if m.type == Marker.LINE_LIST)


def test_without_an_edit_of_each_base_chunk_there_are_no_arrows():
    paths, q = np.zeros((3, 4, 3)), np.zeros(3)
    drawn = candidate_markers(header_of(0), paths, q, np.array([0, 2, 2], np.uint8), chosen=0)
    assert not [m for m in drawn if m.ns == "edits"]


def test_what_would_be_sent_is_an_arrow_from_the_tool():
    arrow = shadow_marker(header_of(0), np.array([0.5, 0.0, 0.2]), np.array([0.1, 0.0, -0.05]))
    assert (arrow.ns, arrow.type) == ("shadow", Marker.ARROW)
    ends = [[point.x, point.y, point.z] for point in arrow.points]
    np.testing.assert_allclose(ends, [[0.5, 0.0, 0.2], [0.6, 0.0, 0.15]])

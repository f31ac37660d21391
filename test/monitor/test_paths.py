# SPDX-License-Identifier: Apache-2.0
"""Paths against a sum by hand; colours against what an eye makes of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from expo_ft_ros.monitor.paths import (
    GripperChange,
    box_edges,
    gripper_changes,
    path_segments,
    q_colours,
    tool_paths,
)
from expo_ft_ros.robots import RobotLimits

WEIGHTS = np.array([0.2126, 0.7152, 0.0722])  # of RGB in brightness, ITU-R BT.709


def test_a_path_is_the_sum_of_its_velocities():
    actions = np.zeros((2, 3, 7), np.float32)
    actions[1, :, 0] = [1.0, 0.5, -1.0]
    actions[1, :, 3:] = 1.0  # turning and closing move no point
    paths = tool_paths(np.array([0.4, 0.1, 0.2]), actions, RobotLimits(linear_velocity=0.2), 0.1)
    np.testing.assert_allclose(paths[0], [[0.4, 0.1, 0.2]] * 4)
    np.testing.assert_allclose(paths[1, :, 0], [0.4, 0.42, 0.43, 0.41])
    np.testing.assert_allclose(paths[1, :, 1:], [[0.1, 0.2]] * 4)


OPENS, CLOSES = True, False
STILL = [0.0] * 4
OPEN, SHUT, HELD = 0.08, 0.0, 0.04  # opening [m]; at action 1 it changes by 0.012 m a step


@pytest.mark.parametrize(
    ("asked", "width", "before", "expected"),
    [
        (STILL, OPEN, [], []),
        ([0, 0, -1, -1, -1, -1], OPEN, [], [(2, CLOSES)]),
        ([1, 1, 1], SHUT, [-1], [(0, OPENS)]),
        ([-1, -1, -1, 0, 0, 1, 1, 1], OPEN, [1], [(0, CLOSES), (5, OPENS)]),
        # What is open already, or shut, changes no more.
        ([1, 1, 1, 1], OPEN, [], []),
        ([-1, -1, -1, -1], SHUT, [], []),
        # It goes on closing on what it holds, also where it was still in between, and lets go.
        ([-1, -1, -1, -1], HELD, [1, -1, -1], []),
        ([-1, -1, -1, -1], HELD, [1, -1, 0.0], []),
        ([-1, -1, -1, 1, 1, 1], HELD, [-1], [(3, OPENS)]),
        ([-1, -1, 0, -1, -1], OPEN, [], [(0, CLOSES)]),
        # Neither a tremor nor a moment is a decision.
        ([0.1, -0.15, 0.1, -0.1] * 3, HELD, [], []),
        ([-0.3, 0, 0, 0], OPEN, [], []),
    ],
)
def test_a_gripper_change_is_where_the_decision_is_another_one(asked, width, before, expected):
    actions = np.zeros((len(asked), 7))
    actions[:, 6] = asked
    changes = gripper_changes(actions, width, before, RobotLimits(), 0.1)
    assert changes == tuple(GripperChange(*change) for change in expected)


@given(
    arrays(np.float64, st.tuples(st.integers(0, 20), st.just(7)), elements=st.floats(-1, 1)),
    st.floats(0, 0.08),
    st.lists(st.floats(-1, 1), max_size=5),
)
def test_openings_and_closings_take_turns(actions, width, before):
    changes = gripper_changes(actions, width, before, RobotLimits(), 0.1)
    steps = [change.step for change in changes]
    assert steps == sorted(set(steps))
    for step, opens in changes:
        assert np.sign(actions[step, 6]) == (1 if opens else -1)


def test_dashes_and_what_is_hidden_are_left_out_of_the_segments():
    paths = np.random.default_rng(0).normal(size=(4, 6, 3))
    kind = np.array([0, 1, 2, 2], np.uint8)
    segments, of = path_segments(paths, kind, chosen=3)
    assert [int((of == number).sum()) for number in range(4)] == [5, 3, 0, 5]
    for number, steps in ((0, range(5)), (1, (0, 2, 4)), (3, range(5))):
        expected = [[paths[number, step], paths[number, step + 1]] for step in steps]
        np.testing.assert_array_equal(segments[of == number], expected)
    none, of_none = path_segments(np.zeros((0, 1, 3)), np.zeros(0, np.uint8), -1)
    assert none.shape == (0, 2, 3)
    assert len(of_none) == 0


def test_a_box_has_four_edges_along_each_axis():
    low, high = [0.1, -0.2, 0.0], [0.5, 0.3, 0.4]
    edges = box_edges(low, high)
    lengths = np.abs(np.diff(edges, axis=1))[:, 0]
    for axis in range(3):
        along = lengths[:, axis] > 0
        assert along.sum() == 4
        long = np.eye(3)[axis] * np.subtract(high, low)[axis]
        np.testing.assert_allclose(lengths[along], np.tile(long, (4, 1)))
        assert len({tuple(edge[0]) for edge in edges[along]}) == 4


@given(arrays(np.float64, st.integers(1, 20), elements=st.floats(-1e6, 1e6)))
def test_the_greater_q_is_never_the_darker(q):
    brightness = q_colours(q) @ WEIGHTS
    order = np.argsort(q)
    assert (np.diff(brightness[order]) >= -0.5).all()
    if q.max() > q.min():
        assert brightness[order[-1]] > brightness[order[0]] + 100


def test_the_least_q_is_seen_on_a_dark_page():
    page, least = luminance(np.array([20, 20, 20])), luminance(q_colours(np.arange(16))[0])
    assert (least + 0.05) / (page + 0.05) > 3  # WCAG 2.1, 1.4.11


def luminance(colour: np.ndarray) -> float:
    """As WCAG 2.1 defines it."""
    share = colour / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    return float(linear @ WEIGHTS)


def test_what_is_no_number_is_grey():
    colours = q_colours(np.array([np.nan, 1.0, 2.0]))
    assert colours[0].tolist() == [140, 140, 140]
    assert (q_colours(np.full(3, np.nan)) == 140).all()

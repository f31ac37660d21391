# SPDX-License-Identifier: Apache-2.0
"""The target is smooth, bounded, close to the arm, and arrives where it was commanded to."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from expo_ft_ros.data.rotation import TOOL_DOWN, turn_to
from expo_ft_ros.robots import load_robot
from expo_ft_ros.robots.twist_follower import TwistFollower

ROBOT = load_robot("external")
LIMITS = ROBOT.limits.scale()[:6]
MIDDLE = (np.array(ROBOT.workspace.low) + ROBOT.workspace.high) / 2
W = ROBOT.following.bandwidth
CYCLES = 20  # of a command at 10 Hz
DT = 0.1 / CYCLES

twists = st.lists(
    st.lists(st.sampled_from([-1e6, -1.0, -0.3, 0.0, 0.01, 1.0, 1e6]), min_size=6, max_size=6),
    min_size=1,
    max_size=12,
)
shares = st.sampled_from([0.0, 0.02, 0.3, 1.0])


def follow(follower, commands, share):
    """Targets and measured poses of an arm that does `share` of its way to the target a cycle."""
    position, quaternion = follower.target.position, follower.target.quaternion
    for command in commands:
        for _ in range(CYCLES):
            before = position, quaternion
            target = follower.advance(np.array(command), position, quaternion, DT)
            yield target, before
            position = position + share * (target.position - position)
            mixed = (1 - share) * quaternion + share * np.sign(
                quaternion @ target.quaternion
            ) * target.quaternion
            quaternion = mixed / np.linalg.norm(mixed)


@settings(max_examples=50)
@given(commands=twists, share=shares)
def test_whatever_is_commanded_the_target_is_bounded_and_smooth(commands, share):
    follower = TwistFollower(ROBOT, MIDDLE, TOOL_DOWN)
    speeds = [np.zeros(6), np.zeros(6)]
    for target, (position, quaternion) in follow(follower, commands, share):
        assert np.isfinite([*target.position, *target.quaternion, *target.twist]).all()
        assert (np.abs(target.twist) <= LIMITS * (1 + 1e-9)).all()
        assert np.linalg.norm(target.position - position) <= ROBOT.following.lead + 1e-9
        turn = np.linalg.norm(turn_to(quaternion, target.quaternion))
        assert 2 * math.asin(turn / 2) <= ROBOT.following.turn_lead + 1e-6
        assert (target.position >= np.array(ROBOT.workspace.low) - 1e-9).all()
        assert (target.position <= np.array(ROBOT.workspace.high) + 1e-9).all()
        assert np.linalg.norm(target.quaternion) == pytest.approx(1.0)
        speeds.append(target.twist)
    acceleration = np.diff(speeds, axis=0) / DT
    assert (np.abs(acceleration) <= 0.74 * W * LIMITS).all()
    assert (np.abs(np.diff(acceleration, axis=0) / DT) <= 2.28 * W**2 * LIMITS).all()


@settings(max_examples=30)
@given(commands=twists, cycles=st.integers(1, 40), share=shares)
def test_frozen_it_stands_in_the_same_cycle(commands, cycles, share):
    follower = TwistFollower(ROBOT, MIDDLE, TOOL_DOWN)
    for _ in follow(follower, commands, share):
        pass
    before = follower.target
    follower.freeze()
    after = follower.target
    np.testing.assert_array_equal(before.position, after.position)
    np.testing.assert_array_equal(before.quaternion, after.quaternion)
    assert not after.twist.any()
    for _ in range(cycles):
        after = follower.advance(np.zeros(6), after.position, after.quaternion, DT)
    np.testing.assert_allclose(after.position, before.position, atol=1e-12)


@settings(max_examples=30)
@given(
    command=st.lists(st.floats(-0.2, 0.2), min_size=6, max_size=6),
    cycles=st.integers(1, 40),
)
def test_what_is_commanded_is_travelled(command, cycles):
    follower = TwistFollower(ROBOT, MIDDLE, TOOL_DOWN)
    wanted = np.array(command)
    target = follower.target
    for cycle in range(cycles + round(1.5 / DT)):
        now = wanted if cycle < cycles else np.zeros(6)
        target = follower.advance(now, target.position, target.quaternion, DT)
    np.testing.assert_allclose(target.position, MIDDLE + wanted[:3] * cycles * DT, atol=1e-6)
    assert np.linalg.norm(target.twist) < 1e-6


@settings(max_examples=20)
@given(dt=st.sampled_from([0.002, 0.004, 0.01]), seconds=st.floats(0.05, 0.6))
def test_the_path_does_not_depend_on_the_cycle(dt, seconds):
    fine, coarse = (TwistFollower(ROBOT, MIDDLE, TOOL_DOWN) for _ in range(2))
    twist = np.array([0.1, -0.2, 0.05, 0.0, 0.0, 0.3])
    count = max(1, round(seconds / dt))
    for _ in range(count):
        a = coarse.advance(twist, coarse.target.position, coarse.target.quaternion, dt)
    for _ in range(4 * count):
        b = fine.advance(twist, fine.target.position, fine.target.quaternion, dt / 4)
    np.testing.assert_allclose(a.position, b.position, atol=1e-9)
    np.testing.assert_allclose(a.quaternion, b.quaternion, atol=1e-9)


def test_a_turn_is_about_the_axes_of_the_base():
    follower = TwistFollower(ROBOT, MIDDLE, TOOL_DOWN)
    for _ in range(200):
        target = follower.advance(
            np.array([0, 0, 0, 0, 0, 0.5]), MIDDLE, follower.target.quaternion, 0.01
        )
    turn = turn_to(TOOL_DOWN, target.quaternion)
    assert turn[2] > 0.5
    np.testing.assert_allclose(turn[:2], 0.0, atol=1e-9)


def test_a_tool_outside_of_the_box_is_not_pulled_in_but_goes_no_further():
    outside = np.array(ROBOT.workspace.high) + 0.03
    follower = TwistFollower(ROBOT, outside, TOOL_DOWN)
    for _ in range(50):
        target = follower.advance(np.array([0.2] * 3 + [0.0] * 3), outside, TOOL_DOWN, 0.01)
    np.testing.assert_allclose(target.position, outside)
    for _ in range(50):
        target = follower.advance(np.array([-0.2] * 3 + [0.0] * 3), outside, TOOL_DOWN, 0.01)
    assert (target.position < outside).all()


@given(
    bad=st.sampled_from([math.nan, math.inf, -math.inf]),
    which=st.sampled_from(["twist", "position", "quaternion", "dt"]),
    axis=st.integers(0, 2),
)
def test_no_number_that_is_none_gets_through(bad, which, axis):
    follower = TwistFollower(ROBOT, MIDDLE, TOOL_DOWN)
    given_ = {
        "twist": np.zeros(6),
        "position": MIDDLE.copy(),
        "quaternion": TOOL_DOWN.copy(),
        "dt": 0.01,
    }
    if which == "dt":
        given_["dt"] = bad
    else:
        given_[which][axis] = bad
    before = follower.target
    with pytest.raises(ValueError, match=which):
        follower.advance(**given_)
    np.testing.assert_array_equal(follower.target.position, before.position)
    assert np.isfinite(follower.target.twist).all()


@pytest.mark.parametrize(
    ("moved", "angle", "left"),
    [(0.04, 0.0, False), (0.06, 0.0, True), (0.0, 0.28, False), (0.0, 0.32, True)],
)
def test_it_knows_when_the_tool_was_moved_away(moved, angle, left):
    follower = TwistFollower(ROBOT, MIDDLE, TOOL_DOWN)
    turned = np.array([math.cos(angle / 2), math.sin(angle / 2), 0.0, 0.0])
    assert follower.is_left_behind(MIDDLE + np.array([moved, 0.0, 0.0]), turned) is left

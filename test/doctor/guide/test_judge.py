# SPDX-License-Identifier: Apache-2.0
"""What a displacement says of a commanded one, and what is seen of a stop."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from expo_ft_ros.data.rotation import TOOL_DOWN, compose, rotation_of
from expo_ft_ros.doctor.guide.judge import (
    SIZE,
    judge_corner,
    judge_gripper,
    judge_jog,
    judge_rest,
    judge_stop,
    tolerances,
    watch_jog,
)
from expo_ft_ros.doctor.guide.seen import Executed, Pose, commanded, displacement
from expo_ft_ros.robots import RobotLimits

AXIS = st.integers(0, 5)
FAR = st.floats(0.01, 0.1)
SIGN = st.sampled_from([-1, 1])


@given(axis=AXIS, far=FAR, sign=SIGN, noise=st.lists(st.floats(-0.9, 0.9), min_size=6, max_size=6))
def test_a_displacement_within_its_tolerance_passes_in_its_course_too(axis, far, sign, noise):
    measured = np.array(noise) * tolerances(axis, far)
    measured[axis] += sign * far
    assume(sign * measured[axis] >= SIZE * far)
    assert judge_jog(axis, sign * far, measured).passed
    assert watch_jog(axis, sign * far, measured) is None


@given(axis=AXIS, far=FAR, sign=SIGN, other=AXIS, more=st.floats(1.01, 3.0), side=SIGN)
def test_one_beyond_its_tolerance_along_any_axis_does_not(axis, far, sign, other, more, side):
    measured = np.zeros(6)
    measured[axis] = sign * far
    measured[other] += side * more * tolerances(axis, far)[other]
    found = judge_jog(axis, sign * far, measured)
    assert not found.passed
    assert found.cause


@given(axis=AXIS, far=FAR, sign=SIGN, share=st.floats(0.0, 1.0))
def test_the_course_of_a_right_jog_is_right_all_the_way(axis, far, sign, share):
    measured = np.zeros(6)
    measured[axis] = sign * far * share
    assert watch_jog(axis, sign * far, measured) is None


@given(axis=AXIS, far=FAR, sign=SIGN)
def test_what_is_no_number_never_passes(axis, far, sign):
    measured = np.zeros(6)
    measured[axis] = np.nan
    assert not judge_jog(axis, sign * far, measured).passed
    assert watch_jog(axis, sign * far, measured) is not None


def test_the_words_say_what_was_commanded_and_what_was_measured():
    measured = np.array([0.0, -0.025, 0.0, 0.0, 0.0, 0.0])
    found = judge_jog(1, 0.025, measured)
    assert "y: commanded +25.0 mm" in found.text
    assert "-25.0" in found.text
    assert "other way" in found.cause
    assert found.numbers["measured"][1] == -0.025


def test_an_arm_at_rest():
    assert judge_rest(np.full((9, 6), 0.001), 3.0).passed
    assert not judge_rest(np.full((9, 6), 0.003), 3.0).passed
    assert not judge_rest(np.zeros((0, 6)), 3.0).passed
    assert not judge_rest(np.full((1, 6), np.nan), 3.0).passed


@pytest.mark.parametrize(
    ("widths", "cause"),
    [
        ((0.08, 0.0, 0.08), ""),
        ((0.0, 0.0, 0.08), ""),
        ((0.04, 0.08, 0.0), "polarity"),
        ((0.08, 0.08, 0.0), "polarity"),
        ((0.08, 0.08, 0.08), "no goals"),
        ((0.0, 0.0, 0.0), "no goals"),
        ((0.08, np.nan, 0.08), "no goals"),
    ],
)
def test_a_gripper(widths, cause):
    found = judge_gripper(*widths, RobotLimits())
    assert found.passed == (not cause)
    assert cause in found.cause


def test_a_corner():
    assert judge_corner("it", np.zeros(3), np.array([0.006, 0.0, -0.006])).passed
    assert not judge_corner("it", np.zeros(3), np.array([0.008, 0.0, -0.008])).passed
    assert not judge_corner("it", np.zeros(3), np.full(3, np.nan)).passed


def stopped(latched=100.0, *, after=0.0, speed=0.025, drift=0.0):
    """A jog until some time after the stop."""
    stamps = np.arange(98.0, 102.0, 0.02)
    moving = stamps <= latched + after
    velocity = np.where(moving, speed, drift)
    places = np.cumsum(velocity) * 0.02
    twists = [
        (t, np.array([0.0, v, 0.0, 0.0, 0.0, 0.0])) for t, v in zip(stamps, velocity, strict=True)
    ]
    positions = [(t, np.array([0.5, y, 0.2])) for t, y in zip(stamps, places, strict=True)]
    return latched, twists, positions, 0.025


@given(after=st.floats(0.0, 1.0))
def test_a_stop_in_time(after):
    assume(abs(after - 0.25) > 0.03)
    found = judge_stop(*stopped(after=after))
    assert found.passed == (after < 0.25)
    assert found.numbers["stood_after"] == pytest.approx(after, abs=0.021)


def test_a_stop_of_an_arm_that_stood_shows_nothing():
    assert judge_stop(*stopped(speed=0.005)) is None
    assert judge_stop(*stopped(latched=98.0, after=-1.0)) is None


def test_a_stopped_arm_that_creeps_fails():
    assert not judge_stop(*stopped(drift=0.0025)).passed


def test_a_stop_after_which_nothing_is_measured_fails():
    latched, twists, positions, jog = stopped(latched=101.9)
    assert not judge_stop(latched, twists, positions, jog).passed


@given(
    shift=st.lists(st.floats(-0.1, 0.1), min_size=3, max_size=3),
    turn=st.lists(st.floats(-0.8, 0.8), min_size=3, max_size=3),
)
def test_a_displacement_is_in_the_base_s_axes(shift, turn):
    turned = compose(rotation_of(np.array(turn)), TOOL_DOWN)
    start = Pose(0.0, np.array([0.5, 0.0, 0.2]), TOOL_DOWN)
    end = Pose(1.0, start.position + shift, turned)
    np.testing.assert_allclose(displacement(start, end), [*shift, *turn], atol=1e-9)
    # A quaternion and its negative are one turn.
    other = Pose(1.0, end.position, -turned)
    np.testing.assert_allclose(displacement(start, other), [*shift, *turn], atol=1e-9)


def test_a_command_lasts_until_the_next_one():
    x, none = np.eye(7)[0], np.zeros(7)
    steps = [Executed(1.0, x, ""), Executed(1.1, 2 * x, ""), Executed(1.3, none, "")]
    np.testing.assert_allclose(commanded(steps, 5.0), 0.5 * x)
    np.testing.assert_allclose(commanded(steps[:2], 1.2), 0.3 * x)
    np.testing.assert_allclose(commanded([], 5.0), none)

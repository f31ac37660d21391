# SPDX-License-Identifier: Apache-2.0
"""A gripper that only opens and closes gets a goal when one is meant, and none of noise."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from expo_ft_ros.robots.gripper import GripperGoal, GripperGoals

FAST = 0.12
OPEN, CLOSE = GripperGoal.OPEN, GripperGoal.CLOSE


def goals(*shares):
    gripper = GripperGoals(FAST)
    return [gripper.update(share * FAST) for share in shares]


def test_a_goal_is_given_once_and_lasts():
    assert goals(0.0, 1.0, 1.0, 0.6, 0.4, 1.0) == [None, OPEN, None, None, None, None]


def test_the_other_way_is_a_new_goal_at_once():
    assert goals(1.0, -1.0, 1.0) == [OPEN, CLOSE, OPEN]


def test_the_same_again_after_a_rest():
    assert goals(-1.0, 0.0, -1.0) == [CLOSE, None, CLOSE]


@given(st.lists(st.floats(-0.49, 0.49), max_size=30))
def test_what_is_weak_moves_nothing(shares):
    assert not any(goals(*shares))


@given(st.lists(st.floats(-1, 1), max_size=60))
def test_two_equal_goals_have_a_rest_between_them(shares):
    told = goals(*shares)
    last = None
    for number, goal in enumerate(told):
        if goal is None:
            continue
        assert (goal is OPEN) is (shares[number] > 0)
        if last is not None and told[last] is goal:
            assert min(abs(share) for share in shares[last:number]) < 0.25
        last = number


@given(st.lists(st.floats(0.26, 1.0), min_size=1, max_size=40))
def test_noise_around_the_threshold_gives_one_goal(shares):
    assert sum(goal is OPEN for goal in goals(*shares)) <= 1


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_velocity_that_is_no_number_is_refused(bad):
    with pytest.raises(ValueError, match="not finite"):
        GripperGoals(FAST).update(bad)


@pytest.mark.parametrize(("engage", "rearm"), [(0.2, 0.3), (1.2, 0.3), (0.5, -0.1), (0.5, 0.5)])
def test_thresholds_that_contradict_are_refused(engage, rearm):
    with pytest.raises(ValueError, match="rearm < engage"):
        GripperGoals(FAST, engage=engage, rearm=rearm)

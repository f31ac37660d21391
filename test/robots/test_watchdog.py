# SPDX-License-Identifier: Apache-2.0
"""Without commands the robot stands in time, whatever the clock and the commands do."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from expo_ft_ros.robots.watchdog import CommandWatchdog, StateWatch


def test_it_stands_before_the_first_command():
    assert CommandWatchdog(0.2).expired(0.0)


@given(
    timeout=st.floats(0.05, 1.0),
    gaps=st.lists(st.floats(0.0, 2.0), max_size=30),
    later=st.floats(0.0, 2.0),
)
def test_it_expires_exactly_once_there_was_no_command_for_the_timeout(timeout, gaps, later):
    watchdog, now = CommandWatchdog(timeout), 0.0
    for gap in gaps:
        now += gap
        watchdog.command(now)
        assert not watchdog.expired(now)
    late = now + later
    assert watchdog.expired(late) is (not gaps or late - now > timeout)


def test_a_time_that_is_no_number_is_no_reason_to_move():
    watchdog = CommandWatchdog(0.2)
    watchdog.command(1.0)
    assert watchdog.expired(math.nan)
    watchdog.command(math.nan)
    assert watchdog.expired(1.0)


@pytest.mark.parametrize("timeout", [0.0, -1.0, math.nan])
def test_a_timeout_is_positive(timeout):
    with pytest.raises(ValueError, match="must be positive"):
        CommandWatchdog(timeout)


def test_a_measurement_is_old_by_its_stamp_or_when_it_no_longer_changes():
    watch = StateWatch(0.1)
    second = 1_000_000_000
    assert watch.check(50 * second, 50 * second, 0.0) == ""
    assert watch.check(50 * second, 50 * second + second // 20, 0.05) == ""
    assert "hasn't changed for 0.20 s" in watch.check(50 * second, 50 * second + second // 5, 0.2)
    assert "stamped 1.00 s ago" in watch.check(51 * second, 52 * second, 1.0), "new, and old"
    ahead = 60 * second
    assert watch.check(ahead, 53 * second, 2.0) == ""
    assert "hasn't changed" in watch.check(ahead, 53 * second, 2.2), "another clock's"
    assert watch.check(ahead + 1, 53 * second, 2.21) == ""


@pytest.mark.parametrize("timeout", [0.0, -1.0, math.nan])
def test_a_state_timeout_is_positive(timeout):
    with pytest.raises(ValueError, match="must be positive"):
        StateWatch(timeout)

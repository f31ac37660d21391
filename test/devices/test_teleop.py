# SPDX-License-Identifier: Apache-2.0
"""Takeover, release and the latched gripper."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from expo_ft_ros.configuration import ConfigError, load_yaml
from expo_ft_ros.devices.gripper_latch import GripperLatch
from expo_ft_ros.devices.teleop import (
    TRANSITIONS,
    Signal,
    Takeover,
    TeleopConfig,
    TeleopMapper,
    TeleopState,
)

CONFIG = TeleopConfig(min_hold=0.3, gripper_hold=0.8)
CLOSE, OPEN, NONE = [1, 0], [0, 1], [0, 0]


def push(size: float, axis: int = 0) -> list[float]:
    twist = [0.0] * 6
    twist[axis] = size
    return twist


def held(mapper: TeleopMapper, start: float, end: float) -> list[TeleopState]:
    """The states at 20 Hz without a message."""
    return [mapper.update(None, None, t) for t in np.arange(start, end, 0.05)]


def test_nobody_there_to_begin_with():
    state = TeleopMapper(CONFIG).update(None, None, 0.0)
    assert (state.connected, state.engaged) == (False, False)
    assert not state.action.any()


def test_a_push_takes_over_and_its_action_is_scaled_from_the_dead_zone():
    state = TeleopMapper(CONFIG).update(push(-0.525, axis=4), None, 0.0)
    assert state.connected
    assert state.engaged
    assert state.action.dtype == np.float32
    assert np.allclose(state.action, [0, 0, 0, 0, -0.5, 0, 0])


@pytest.mark.parametrize("size", [0.0, 0.05, 0.1, 0.149])
def test_a_touch_does_not_take_over(size):
    state = TeleopMapper(CONFIG).update(push(size), None, 0.0)
    assert state.connected
    assert not state.engaged
    assert not state.action.any()


def test_between_the_thresholds_a_takeover_goes_on():
    mapper = TeleopMapper(CONFIG)
    mapper.update(push(0.5), None, 0.0)
    mapper.update(push(0.1), None, 1.0)
    assert all(state.engaged for state in held(mapper, 1.0, 5.0))


def test_silence_is_neither_release_nor_fault():
    mapper = TeleopMapper(CONFIG)
    first = mapper.update(push(0.6), None, 0.0)
    for state in held(mapper, 0.0, 20.0):
        assert state.engaged
    assert first.action.any()
    at_rest = TeleopMapper(CONFIG)
    at_rest.update(push(0.0), None, 0.0)
    assert all(state.connected and not state.engaged for state in held(at_rest, 0.0, 20.0))


def test_a_driver_that_hangs_while_deflected_moves_nothing_and_keeps_the_arm():
    """spacenav_node stopped, its last word a push: the arm stands, and stays in the hand."""
    mapper = TeleopMapper(CONFIG)
    pushed = mapper.update(push(0.6), CLOSE, 0.0)
    assert np.array_equal(mapper.update(None, None, 0.15).action, pushed.action)
    for state in held(mapper, 0.2, 20.0):
        assert (state.engaged, state.connected) == (True, False)
        assert not state.action.any()
    assert np.array_equal(mapper.update(push(0.6), None, 20.0).action, pushed.action)


def test_a_slow_control_loop_is_no_hang():
    mapper = TeleopMapper(CONFIG, period=0.2)
    pushed = mapper.update(push(0.6), None, 0.0)
    assert np.array_equal(mapper.update(None, None, 0.2).action, pushed.action)
    assert not mapper.update(None, None, 0.35).connected


def test_a_clock_that_was_set_back_is_no_fresh_reading():
    mapper = TeleopMapper(CONFIG)
    mapper.update(push(0.6), None, 10.0)
    assert not mapper.update(None, None, 5.0).action.any()


def test_a_zero_releases_after_the_minimum_hold_not_before():
    mapper = TeleopMapper(CONFIG)
    mapper.update(push(0.6), None, 0.0)
    assert mapper.update(push(0.0), None, 0.1).engaged
    assert not mapper.update(None, None, 0.1).action.any()
    assert mapper.update(None, None, 0.29).engaged
    assert not mapper.update(None, None, 0.45).engaged


def test_a_short_rest_does_not_release():
    mapper = TeleopMapper(CONFIG)
    for start in np.arange(0.0, 3.0, 0.5):
        assert mapper.update(push(0.6), None, start).engaged
        assert mapper.update(push(0.0), None, start + 0.25).engaged


def test_a_gripper_button_alone_engages_long_enough_to_close():
    mapper = TeleopMapper(CONFIG)
    state = mapper.update(None, CLOSE, 0.0)
    assert state.engaged
    assert state.action[6] == -1
    assert not state.action[:6].any()
    mapper.update(None, NONE, 0.1)
    assert all(state.engaged and state.action[6] == -1 for state in held(mapper, 0.1, 0.79))
    assert not mapper.update(None, None, 0.81).engaged


def test_the_gripper_stays_as_chosen_while_engaged_and_is_unchosen_after():
    mapper = TeleopMapper(CONFIG)
    assert mapper.update(push(0.5), NONE, 0.0).action[6] == 0
    assert mapper.update(None, CLOSE, 0.1).action[6] == -1
    assert mapper.update(push(0.5), NONE, 2.0).action[6] == -1
    assert mapper.update(None, OPEN, 2.1).action[6] == 1
    mapper.update(push(0.0), NONE, 3.0)
    assert not mapper.update(None, None, 9.0).engaged
    assert mapper.update(push(0.5), None, 10.0).action[6] == 0


def test_a_button_counts_when_pressed_not_while_held():
    mapper = TeleopMapper(CONFIG)
    mapper.update(None, CLOSE, 0.0)
    assert not mapper.update(None, CLOSE, 5.0).engaged


def test_a_button_held_into_the_next_episode_is_no_new_press():
    mapper = TeleopMapper(CONFIG)
    mapper.update(None, CLOSE, 0.0)
    mapper = mapper.fresh()
    assert not mapper.update(None, CLOSE, 0.1).engaged
    mapper.update(None, NONE, 0.2)
    assert mapper.update(None, CLOSE, 0.3).engaged


def test_one_button_opens_a_gripper_that_the_policy_has_closed():
    latch = GripperLatch()
    mapper = TeleopMapper(TeleopConfig(close_button=0, open_button=0), latch=latch)
    latch.executed(-1.0)
    assert mapper.update(None, [1], 0.0).action[6] == 1
    mapper.update(None, [0], 0.1)
    assert not mapper.update(None, None, 1.0).engaged
    latch.executed(1.0)
    assert mapper.fresh().update(None, [1], 2.0).action[6] == -1


def test_a_button_takes_over_while_it_is_held_also_at_rest():
    mapper = TeleopMapper(TeleopConfig(engage_button=2))
    for now in np.arange(0.0, 3.0, 0.1):
        state = mapper.update(push(0.0), [0, 0, 1], now)
        assert state.engaged
        assert not state.action.any()
    mapper.update(None, [0, 0, 0], 3.0)
    assert mapper.update(None, None, 3.1).engaged
    assert not mapper.update(None, None, 3.4).engaged


def test_a_button_that_is_held_is_no_word_on_a_device_that_was_lost():
    mapper = TeleopMapper(TeleopConfig(engage_button=2))
    mapper.update(push(0.6), [0, 0, 1], 0.0)
    mapper.update(None, None, 0.1, lost=True)
    for now in np.arange(0.2, 3.0, 0.1):
        assert not mapper.update(push(0.0), [0, 0, 1], now).connected
    mapper.update(None, [0, 0, 0], 3.0)
    assert mapper.update(None, [0, 0, 1], 3.1).connected


def test_redo_is_one_for_each_press_and_no_takeover():
    mapper = TeleopMapper(TeleopConfig(redo_button=3))
    for now, held, pressed in ((0.0, 1, True), (0.1, 1, False), (0.2, 0, False), (0.3, 1, True)):
        assert not mapper.update(push(0.0), [0, 0, 0, held], now).engaged
        assert mapper.pop_redo() is pressed
        assert not mapper.pop_redo()
    mapper = mapper.fresh()
    mapper.update(push(0.0), [0, 0, 0, 1], 0.4)
    assert not mapper.pop_redo(), "held into the next episode"
    mapper.update(push(0.0), [0, 0], 0.5)
    mapper.update(push(0.0), [0, 0, 0, 1], 0.6)
    mapper.update(None, None, 0.7)
    assert mapper.pop_redo()


def test_what_was_held_before_anybody_listened_redoes_nothing():
    mapper = TeleopMapper(TeleopConfig(redo_button=0, rests_first=True))
    mapper.update(push(0.0), [1], 0.0)
    assert not mapper.pop_redo()
    mapper.update(push(0.0), [0], 0.1)
    mapper.update(push(0.0), [1], 0.2)
    assert mapper.pop_redo()
    mapper = TeleopMapper(TeleopConfig())
    mapper.update(push(0.0), [1] * 32, 0.0)
    assert not mapper.pop_redo(), "no button is named"


def test_one_button_toggles():
    mapper = TeleopMapper(TeleopConfig(close_button=0, open_button=0))
    grippers = []
    for i in range(4):
        grippers.append(mapper.update(push(0.5), [1], i * 1.0).action[6])
        mapper.update(None, [0], i + 0.5)
    assert grippers == [-1, 1, -1, 1]


def test_both_buttons_at_once_choose_nothing():
    assert TeleopMapper(CONFIG).update(push(0.5), [1, 1], 0.0).action[6] == 0


def test_a_joystick_with_fewer_buttons_is_fine():
    assert not TeleopMapper(CONFIG).update(None, [], 0.0).engaged


def test_a_device_lost_while_engaged_stays_so_until_the_operator_takes_it_again():
    mapper = TeleopMapper(CONFIG)
    mapper.update(push(0.6), None, 0.0)
    lost = mapper.update(None, None, 0.1, lost=True)
    assert (lost.connected, lost.engaged) == (False, True)
    assert not lost.action.any()
    for state in held(mapper, 0.2, 30.0):
        assert (state.connected, state.engaged) == (False, True)
        assert not state.action.any()
    for now in np.arange(30.0, 40.0, 0.1):
        back = mapper.update(push(0.0), NONE, now)
        assert (back.connected, back.engaged) == (False, True), "the driver came back, nobody else"
    taken = mapper.update(push(0.6), None, 40.0)
    assert (taken.connected, taken.engaged) == (True, True)
    assert taken.action.any()
    mapper.update(push(0.0), None, 40.1)
    assert not mapper.update(None, None, 40.6).engaged


def test_the_operator_may_say_that_the_device_is_gone():
    mapper = TeleopMapper(CONFIG)
    mapper.update(push(0.6), CLOSE, 0.0)
    assert not mapper.acknowledge(), "nothing to acknowledge"
    assert mapper.update(None, None, 0.1, lost=True).engaged
    assert mapper.acknowledge()
    state = mapper.update(None, None, 0.2, lost=True)
    assert (state.connected, state.engaged) == (False, False)
    assert mapper.lost


@pytest.mark.parametrize(("after", "lost"), [(0.008, True), (0.031, True), (0.1, False)])
def test_a_fall_to_exact_zero_within_a_reading_or_two_is_a_device_that_was_pulled_out(after, lost):
    """spacenav_node polls a device that is gone thirty times, a millisecond each, and says zero."""
    mapper = TeleopMapper(CONFIG)
    mapper.update(push(0.6), None, 0.0)
    mapper.update(push(0.0), None, after)
    for now in np.arange(after + 0.031, 3.0, 0.031):
        state = mapper.update(push(0.0), None, now)
    assert state.engaged is lost
    assert (mapper.takeover is Takeover.LOST) is lost


def test_a_hand_that_lets_go_is_no_loss():
    mapper = TeleopMapper(CONFIG)
    for count, size in enumerate([0.6, 0.6, 0.4, 0.2, 0.1, 0.0, 0.0]):
        mapper.update(push(size), None, 0.008 * count)
    assert mapper.takeover is Takeover.ENGAGED
    assert not mapper.update(None, None, 1.0).engaged


def test_after_a_hang_a_zero_releases_nothing():
    mapper = TeleopMapper(CONFIG)
    mapper.update(push(0.6), None, 0.0)
    assert not mapper.update(None, None, 5.0).connected
    for now in (5.1, 6.0, 7.0):
        state = mapper.update(push(0.0), None, now)
        assert (state.engaged, state.connected) == (True, False)


def test_readings_of_another_unit_are_refused_and_change_nothing():
    mapper = TeleopMapper(CONFIG)
    mapper.update(push(0.6), None, 0.0)
    with pytest.raises(ValueError, match="set full_scale"):
        mapper.update(push(350.0), None, 0.01)
    assert mapper.update(None, None, 0.02).action[0] == pytest.approx(0.579, abs=1e-3)


def test_a_device_lost_at_rest_lets_the_policy_go_on():
    mapper = TeleopMapper(CONFIG)
    mapper.update(push(0.0), None, 0.0)
    state = mapper.update(None, None, 0.1, lost=True)
    assert (state.connected, state.engaged) == (False, False)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_device_that_sends_no_numbers_is_lost(bad):
    mapper = TeleopMapper(CONFIG)
    mapper.update(push(0.6), None, 0.0)
    state = mapper.update(push(bad), None, 0.1)
    assert (state.connected, state.engaged) == (False, True)
    assert not state.action.any()


def test_a_twist_of_a_wrong_shape_is_named():
    with pytest.raises(ValueError, match=r"shape \(3,\)"):
        TeleopMapper(CONFIG).update([0.0] * 3, None, 0.0)


def test_a_gamepad_drives_by_the_axes_that_its_file_names():
    config = TeleopConfig.load(device="joy")
    axes = np.zeros(8)
    mapper = TeleopMapper(config)
    mapper.update(axes, [0, 0], 0.0)
    axes[1], axes[0], axes[4] = 1.0, -1.0, 1.0
    state = mapper.update(axes, [1, 0], 0.05)
    assert state.engaged
    assert np.allclose(state.action, [1, -1, 1, 0, 0, 0, -1])
    with pytest.raises(ValueError, match="need 8"):
        TeleopMapper(config).update(axes[:6], None, 0.0)


def test_an_axis_that_rests_at_full_deflection_never_takes_over():
    """A trigger, where the file expects a stick; also in the next episode, and not by a button."""
    mapper = TeleopMapper(TeleopConfig.load(device="joy"))
    axes = np.zeros(8)
    axes[4] = 1.0
    for number in range(40):
        if number == 20:
            mapper = mapper.fresh()
        state = mapper.update(axes, [number % 2, 0], 0.05 * number)
        assert not state.engaged
        assert not state.action.any()
        assert mapper.waits_for_rest
    mapper.update(np.zeros(8), None, 2.0)
    assert not mapper.waits_for_rest
    assert mapper.update(axes, None, 2.05).engaged


def test_a_gamepad_that_is_silent_is_lost():
    mapper = TeleopMapper(TeleopConfig.load(device="joy"))
    push = np.zeros(8)
    mapper.update(push, [0, 0], 0.0)
    push[1] = 1.0
    assert mapper.update(push, [0, 0], 0.1).engaged
    assert mapper.update(None, None, 0.7).engaged, "the policy doesn't go on"
    assert mapper.takeover is Takeover.LOST
    at_rest = TeleopMapper(TeleopConfig.load(device="joy"))
    at_rest.update(np.zeros(8), None, 0.0)
    assert not at_rest.update(None, None, 0.7).connected


def test_an_axis_may_be_driven_by_nothing_but_not_by_two():
    config = TeleopConfig(axes=(3, -1, -1, -1, -1, -1))
    state = TeleopMapper(config).update([0.0, 1.0, 1.0, 1.0], None, 0.0)
    assert np.allclose(state.action, [1, 0, 0, 0, 0, 0, 0])
    for wrong in ((0, 0, 1, 2, 3, 4), (-2, 0, 1, 2, 3, 4), (-1,) * 6):
        with pytest.raises(ValidationError, match="each once, or -1"):
            TeleopConfig(axes=wrong)


def test_axes_signs_and_scale():
    config = TeleopConfig(axes=(1, 0, 2, 3, 4, 5), signs=(-1, 1, 1, 1, 1, 1), full_scale=350.0)
    state = TeleopMapper(config).update([0, 350.0, 0, 0, 0, 900.0], None, 0.0)
    assert np.allclose(state.action, [-1, 0, 0, 0, 0, 1, 0])


def test_every_signal_has_a_transition_in_every_state():
    assert set(TRANSITIONS) == {(takeover, signal) for takeover in Takeover for signal in Signal}


def test_the_shipped_file_is_the_default():
    assert TeleopConfig.load() == TeleopConfig()


def test_thresholds_that_cross_are_refused_with_their_values(tmp_path):
    path = tmp_path / "teleop.yaml"
    path.write_text("engage_threshold: 0.1\nrelease_threshold: 0.2\n")
    with pytest.raises(ConfigError, match=r"release_threshold 0\.2 < engage_threshold 0\.1"):
        load_yaml(TeleopConfig, path)


deflections = st.floats(-1.2, 1.2) | st.sampled_from([0.0, math.nan])
events = st.tuples(
    st.none() | st.lists(deflections, min_size=6, max_size=6),
    st.none() | st.lists(st.integers(0, 1), min_size=2, max_size=2),
    st.floats(0.0, 0.5),
    st.booleans(),
)


@settings(deadline=None, max_examples=60)
@given(st.lists(events, max_size=60))
def test_any_history_gives_a_state_that_can_be_trusted(history):
    mapper, now, before, pushed_at = TeleopMapper(CONFIG), 0.0, TeleopState.idle(), -math.inf
    largest = 0.0
    for twist, buttons, dt, lost in history:
        now += dt
        state = mapper.update(twist, buttons, now, lost)
        assert np.isfinite(state.action).all()
        assert np.abs(state.action).max() <= 1
        if not (state.engaged and state.connected):
            assert not state.action.any()
        if lost:
            assert not state.connected
            largest = 0.0
        elif twist is not None:
            largest = max(map(abs, twist)) if all(map(math.isfinite, twist)) else 0.0
        if largest >= CONFIG.engage_threshold and state.connected:
            assert state.engaged
        if before.engaged and not state.engaged:
            assert before.connected, "released by a device that was lost"
            assert now - pushed_at >= CONFIG.min_hold - 1e-9, "released while pushed"
        if largest >= CONFIG.release_threshold:
            pushed_at = now
        before = state


@settings(deadline=None, max_examples=60)
@given(st.lists(st.floats(0.0, 0.2), min_size=2, max_size=80))
def test_noise_around_one_threshold_never_chatters(sizes):
    """Between a takeover and its release, and back, lies a full swing across both thresholds."""
    mapper, changes, engaged, swing = TeleopMapper(CONFIG), [], False, []
    for i, size in enumerate(sizes):
        state = mapper.update(push(size), None, i * 1.0)
        swing.append(size)
        if state.engaged != engaged:
            changes.append(list(swing))
            engaged, swing = state.engaged, [size]
    for i, values in enumerate(changes):
        if i % 2 == 0:
            assert max(values) >= CONFIG.engage_threshold
        else:
            assert min(values) < CONFIG.release_threshold


@given(start=st.integers(10, 10_000))
def test_a_gripper_button_holds_for_as_many_ticks_whenever_it_is_pressed(start):
    mapper = TeleopMapper(CONFIG)

    def at(tick: int) -> float:
        return 1e-9 * (100_000_000 * (start + tick))  # as of a stamp

    mapper.update(np.zeros(6), NONE, at(0))
    mapper.update(None, CLOSE, at(0))
    ticks = 0
    while mapper.update(None, None, at(ticks + 1)).engaged:
        ticks += 1
    assert ticks == 7

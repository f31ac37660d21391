# SPDX-License-Identifier: Apache-2.0
"""What stops the arm: the filter's promises for any input, and the deadlines."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from expo_ft_ros.configuration import ConfigError, load_yaml
from expo_ft_ros.control.safety_filter import Deadlines, Heartbeats, SafetyConfig, SafetyFilter
from expo_ft_ros.data.types import Proprio
from expo_ft_ros.robots import RobotLimits, Workspace

LIMITS = RobotLimits()
BOX = Workspace(low=(0.30, -0.25, 0.01), high=(0.65, 0.25, 0.40))
CENTRE = np.array([0.475, 0.0, 0.2])
DT = 0.1
CONFIG = SafetyConfig.load()

anything = st.floats(allow_nan=True, allow_infinity=True, width=32)
actions = st.lists(anything | st.floats(-1, 1, width=32), min_size=7, max_size=7).map(
    lambda values: np.array(values, np.float32)
)
sane_actions = st.lists(st.floats(-1.5, 1.5, width=32), min_size=7, max_size=7).map(
    lambda values: np.array(values, np.float32)
)
FORWARD = np.array([1, 0, 0, 0, 0, 0, 0], np.float32)
accelerations = st.sampled_from([(0.5, 1.0), (1.7, 6.0), (5.0, 15.0)])


def at(position: np.ndarray) -> Proprio:
    return Proprio(np.asarray(position, float), np.array([1.0, 0, 0, 0]), 0.08)


def build(linear: float = 5.0, angular: float = 15.0) -> SafetyFilter:
    config = SafetyConfig(
        deadlines=CONFIG.deadlines, linear_acceleration=linear, angular_acceleration=angular
    )
    return SafetyFilter(config, LIMITS, BOX)


def act(*values: float) -> np.ndarray:
    return np.array([*values, *[0.0] * (7 - len(values))], np.float32)


def test_a_normal_action_passes_unchanged_with_the_shipped_configuration():
    safety = SafetyFilter(CONFIG, LIMITS, BOX)
    for action in (act(1, -1, 1, 1, -1, 1, 1), act(0), act(0.3, 0.2, -0.1, 0, 0, 0.5, -1)):
        filtered = safety.filter(action, at(CENTRE), DT)
        assert np.allclose(filtered.action, action)
        assert filtered.cause == ""
        assert filtered.action.dtype == np.float32


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_none_stops_at_once(bad):
    safety = build(0.5, 1.0)
    safety.filter(act(0.2), at(CENTRE), DT)
    filtered = safety.filter(act(0, 0, bad), at(CENTRE), DT)
    assert not filtered.action.any()
    assert filtered.cause == "action is not finite"
    filtered = safety.filter(act(1), at(np.array([0.4, bad, 0.2])), DT)
    assert not filtered.action.any()
    assert filtered.cause == "proprio is not finite"


def test_too_fast_is_clipped_and_said():
    filtered = build().filter(act(2.0, -3.0), at(CENTRE), DT)
    assert np.allclose(filtered.action[:2], [1, -1])
    assert filtered.cause == "velocity limit"


def test_the_tool_slides_along_a_face():
    filtered = build().filter(act(0.4, 0.5, -1.0), at(np.array([0.4, 0.0, 0.01])), DT)
    assert np.allclose(filtered.action[:3], [0.4, 0.5, 0.0])
    assert filtered.cause == "workspace"


def test_it_brakes_no_earlier_than_it_must():
    """At 1 m/s^2 and 10 Hz a stop from 0.2 m/s goes 0.02 + 0.01 m, the room there is."""
    safety = build(linear=1.0)
    for _ in range(3):
        safety.filter(act(1.0), at(CENTRE), DT)
    filtered = safety.filter(act(1.0), at(np.array([0.65 - 0.03, 0.0, 0.2])), DT)
    assert filtered.action[0] * LIMITS.linear_velocity == pytest.approx(0.2)


def test_a_tool_outside_may_only_come_back():
    outside = at(np.array([0.70, 0.0, 0.2]))
    assert build().filter(act(1.0), outside, DT).action[0] == 0
    assert build().filter(act(-1.0), outside, DT).action[0] == -1


def test_a_jump_is_spread_over_ticks_and_reset_forgets_the_speed():
    safety = build(linear=1.0)
    speeds = [safety.filter(act(1.0), at(CENTRE), DT).action[0] for _ in range(3)]
    assert np.allclose(speeds, [0.4, 0.8, 1.0])
    safety.reset()
    assert np.isclose(safety.filter(act(1.0), at(CENTRE), DT).action[0], 0.4)


def test_a_stop_is_not_slowed_by_the_acceleration_limit():
    safety = build(linear=0.5)
    for _ in range(5):
        safety.filter(act(1.0), at(CENTRE), DT)
    assert not safety.stop("why").action.any()


def test_the_gripper_is_not_slowed():
    assert build(0.1, 0.1).filter(act(0, 0, 0, 0, 0, 0, -1), at(CENTRE), DT).action[6] == -1


@pytest.mark.parametrize("dt", [0.0, -0.1, math.nan])
def test_a_dt_that_is_none_is_refused(dt):
    with pytest.raises(ValueError, match="dt"):
        build().filter(act(0), at(CENTRE), dt)


def test_a_wrong_shape_is_refused():
    with pytest.raises(ValueError, match=r"shape \(6,\)"):
        build().filter(np.zeros(6, np.float32), at(CENTRE), DT)


@settings(deadline=None, max_examples=50)
@given(st.lists(actions, max_size=30), accelerations)
def test_what_is_sent_is_always_finite_and_within_the_limits(sequence, acceleration):
    safety = build(*acceleration)
    for action in sequence:
        filtered = safety.filter(action, at(CENTRE), DT)
        assert np.isfinite(filtered.action).all()
        assert np.abs(filtered.action).max() <= 1
        if not np.isfinite(action).all():
            assert not filtered.action.any()
            assert filtered.cause


@settings(deadline=None, max_examples=50)
@given(
    st.lists(sane_actions, min_size=1, max_size=60),
    st.tuples(*[st.floats(0, 1)] * 3),
    accelerations,
    st.sampled_from([0.02, 0.1, 0.13]),
)
def test_integrated_the_tool_never_leaves_the_box_and_the_acceleration_is_bounded(
    sequence, start, acceleration, dt
):
    low, high = np.array(BOX.low), np.array(BOX.high)
    safety = build(*acceleration)
    scale = LIMITS.scale()
    position = low + np.array(start) * (high - low)
    velocity = np.zeros(7)
    most = np.array([acceleration[0]] * 3 + [acceleration[1]] * 3) * dt
    for action in sequence:
        sent = safety.filter(action, at(position), dt).action.astype(float) * scale
        assert (np.abs(sent - velocity)[:6] <= most + 1e-6).all()
        velocity = sent
        position = position + velocity[:3] * dt
        assert (position >= low - 1e-7).all()
        assert (position <= high + 1e-7).all()


@settings(deadline=None, max_examples=100)
@given(
    st.lists(
        st.tuples(sane_actions | st.none(), st.floats(0, 0.15), st.floats(0, CONFIG.late_tick)),
        min_size=1,
        max_size=60,
    ),
    st.tuples(*[st.floats(0, 1)] * 3),
    accelerations,
)
# Stops that come at once: what moved before them is on its way all the same.
@example([(FORWARD, 0, 0), *[(None, 0, 0)] * 3, (FORWARD, 0.125, 0)], (0.9375, 0, 0), (1.7, 6.0))
@example(
    [*[(FORWARD, 0, 0)] * 3, (None, 0, 0), (FORWARD, 0, 0), (None, 0, 0), (FORWARD, 0.15, 0)],
    (0.7, 0, 0),
    (1.7, 6.0),
)
def test_with_late_ticks_and_old_positions_the_tool_never_leaves_the_box(
    sequence, start, acceleration
):
    """In real time: what is measured is up to 150 ms old, a command lasts up to 30 ms longer."""
    low, high = np.array(BOX.low), np.array(BOX.high)
    safety = build(*acceleration)
    begin = low + np.array(start) * (high - low)
    moves: list[tuple[float, np.ndarray]] = []  # (how long, how fast), newest last

    def was_at(age: float) -> np.ndarray:
        """Where the tool was so long ago."""
        position = begin + sum((t * v for t, v in moves), np.zeros(3))
        for lasted, velocity in reversed(moves):
            part = min(age, lasted)
            position, age = position - part * velocity, age - part
        return position

    for action, age, late in sequence:
        if action is None:  # a stop, at once
            safety.stop("why")
            moves.append((DT * late / CONFIG.late_tick, np.zeros(3)))
            continue
        sent = safety.filter(action, at(was_at(age)), DT, age=age, slack=CONFIG.late_tick)
        moves.append((DT + late, sent.action[:3].astype(float) * LIMITS.scale()[:3]))
        assert (was_at(0.0) >= low - 1e-6).all()
        assert (was_at(0.0) <= high + 1e-6).all()


def test_every_input_has_its_deadline_and_no_other(tmp_path):
    path = tmp_path / "safety.yaml"
    path.write_text("deadlines:\n  proprio: 0.15\n  radar: 0.1\n")
    with pytest.raises(ConfigError, match=r"deadlines: .*cameras.*got proprio, radar"):
        load_yaml(SafetyConfig, path)


@settings(deadline=None, max_examples=20)
@given(st.floats(0, 0.2), st.floats(0, 1))
def test_pushed_against_a_face_the_tool_reaches_it(distance, push):
    """The box is usable to its faces: braking early doesn't mean stopping short."""
    safety = build(1.0, 5.0)
    position = CENTRE.copy()
    position[2] = BOX.low[2] + distance
    for _ in range(60):
        sent = safety.filter(act(0, 0, -max(push, 0.2)), at(position), DT).action
        position = position + sent[:3].astype(float) * LIMITS.scale()[:3] * DT
    assert position[2] == pytest.approx(BOX.low[2], abs=1e-4)


def test_fresh_inputs_pass():
    stamps = {"camera/side": 9.95, "camera/wrist": 10.0, "proprio": 9.9}
    assert Deadlines(CONFIG).check(10.0, stamps) == ""


@pytest.mark.parametrize(
    ("stamp", "cause"),
    [
        (9.69, "camera/side stale 0.31 s > 0.15 s"),
        (None, "camera/side never arrived"),
        (11.0, "camera/side stamped 1.00 s ahead of the clock"),
        (math.nan, "camera/side stale nan s > 0.15 s"),
    ],
)
def test_what_is_not_fresh_is_named(stamp, cause):
    stamps = {"proprio": 10.0, "camera/side": stamp}
    assert Deadlines(CONFIG).check(10.0, stamps) == cause


def test_an_input_without_a_deadline_is_a_mistake():
    with pytest.raises(ValueError, match=r"radar.*safety\.yaml"):
        Deadlines(CONFIG).check(0.0, {"radar": 0.0})


def test_the_shipped_deadlines_stop_an_arm_within_a_quarter_of_a_second():
    for name in ("cameras", "proprio", "teleop"):
        assert CONFIG.deadlines[name] + 0.1 <= 0.25 + 1e-9


@pytest.mark.parametrize("value", ["-1", "0", "90", ".inf", "soon"])
def test_a_deadline_out_of_range_names_file_line_and_field(tmp_path, value):
    path = tmp_path / "safety.yaml"
    path.write_text(f"linear_acceleration: 5.0\ndeadlines:\n  proprio: {value}\n")
    with pytest.raises(ConfigError, match=r"safety\.yaml:3: deadlines\.proprio: "):
        load_yaml(SafetyConfig, path)


@settings(max_examples=100, deadline=None)
@given(
    beats=st.lists(st.tuples(st.sampled_from("abz"), st.floats(0, 10)), max_size=30),
    now=st.floats(0, 12) | st.just(math.nan),
)
def test_only_who_was_heard_lately_is_not_silent(beats, now):
    """z is nobody who is watched; a time that is no number is no excuse."""
    hearts = Heartbeats("ba", within=0.15)
    assert hearts.silent(0.0) == ["a", "b"], "before the first beat"
    last: dict[str, float] = {}
    for name, time in sorted(beats, key=lambda beat: beat[1]):
        hearts.beat(name, time)
        last[name] = time
    lately = {name for name, time in last.items() if now - time <= 0.15}
    assert hearts.silent(now) == [name for name in "ab" if name not in lately]

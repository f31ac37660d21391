# SPDX-License-Identifier: Apache-2.0
"""When a tick happens in real time, on a clock that the test turns: what real processes can't show
exactly."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from expo_ft_ros.control.arbiter import DEVICE_LOST
from expo_ft_ros.control.snapshot import PROPRIO, Inputs
from expo_ft_ros.data.types import Source
from expo_ft_ros.devices.teleop import TeleopState
from expo_ft_ros.recording.messages import BadMessage
from support.schedules import (
    DEMONSTRATION,
    LOST,
    PERIOD,
    PLAN,
    PROPRIO_NOW,
    PUSHED,
    VIEWS,
    RealtimeRun,
    chunk,
)


def test_the_command_goes_out_before_the_images():
    run = RealtimeRun()
    for _ in range(3):
        run.tick()
    assert run.desk.order[-3:] == ["send", "step", "show"]


def test_an_observation_says_how_many_steps_are_left_a_pause_takes_none():
    run = RealtimeRun(plan=replace(PLAN, max_steps=4))
    for _ in range(3):
        run.tick()
    run.desk.loop.episode.pause()
    run.tick()
    run.desk.loop.episode.resume()
    for _ in range(4):
        run.tick()
    assert run.desk.left == [4, 3, 2, 1, 0]
    assert run.desk.loop.snapshot.cause


@pytest.mark.parametrize(("inference", "lead"), [(0.03, 1), (0.12, 2), (0.25, 3)])
def test_a_chunk_is_asked_for_as_early_as_the_policy_needs(inference, lead):
    run = RealtimeRun(inference=inference)
    for _ in range(40):
        run.tick()
    assert run.desk.loop.lead == lead
    # Once it is known how long it takes, every tick executes the policy.
    settled = run.desk.steps[-20:]
    assert {step.source for step in settled} == {Source.POLICY}
    late = [t.chunk_late for t in run.desk.ticks[-20:] if t.chunk_late is not None]
    assert late
    assert max(late) < 0


def test_a_late_chunk_says_by_how_much():
    run = RealtimeRun(inference=0.03)
    for _ in range(12):
        run.tick()
    run.inference = 0.35
    run.desk.ticks.clear()
    for _ in range(12):
        run.tick()
    late = [t.chunk_late for t in run.desk.ticks if t.chunk_late is not None]
    # With a lead of one tick the chunk was needed 0.1 s after it was asked for.
    assert max(late) == pytest.approx(0.25, abs=1e-6)


def test_requests_that_a_later_answer_overtakes_are_counted():
    run = RealtimeRun()
    for _ in range(6):
        run.tick()
    run.answering = False
    asked = len(run.desk.wanted)
    while len(run.desk.wanted) < asked + 2:
        run.tick()
    run.answering = True
    while len(run.desk.wanted) < asked + 3:
        run.tick()
    run.tick()
    assert sum(tick.chunks_lost for tick in run.desk.ticks) == 2


def test_a_policy_that_never_answers_ends_in_a_hold():
    run = RealtimeRun()
    for _ in range(6):
        run.tick()
    run.answering = False
    for _ in range(25):
        run.tick()
    assert run.desk.steps[-1].source is Source.HOLD
    np.testing.assert_array_equal(run.desk.sent[-1], np.zeros(7))


def test_a_chunk_that_came_before_a_tick_counts_when_the_next_is_asked_for():
    """It is taken seven ticks after its observation, so that one of its eight steps is left."""
    run = RealtimeRun(lead=7, inference=0.62)
    for _ in range(30):
        run.tick()
    asked = run.desk.wanted[-5:]
    assert np.diff(asked).tolist() == [7, 7, 7, 7]


def test_hold_sends_zero_now_and_plans_anew():
    run = RealtimeRun()
    for _ in range(9):
        run.tick()
    assert run.desk.sent[-1][0] != 0
    count = len(run.desk.sent)
    run.desk.perform(run.schedule.hold())
    assert len(run.desk.sent) == count + 1
    np.testing.assert_array_equal(run.desk.sent[-1], np.zeros(7))
    # The answer to the last tick's request is still under way.
    asked = len(run.desk.wanted)
    assert run.desk.wanted[-1] == run.desk.last
    run.tick()
    assert len(run.desk.wanted) == asked + 1
    assert run.desk.steps[-1].source is Source.HOLD
    np.testing.assert_array_equal(run.desk.sent[-1], np.zeros(7))
    assert run.desk.ticks[-1].chunk_late is None
    run.tick()
    assert run.desk.steps[-1].source is Source.POLICY
    assert run.desk.steps[-1].chunk == run.desk.wanted[-1]


def test_what_a_hold_cuts_short_is_told_as_its_mean_over_the_period():
    run = RealtimeRun()
    for _ in range(5):
        run.tick()
    whole = run.desk.steps[-1]
    assert whole.executed.any()
    run.desk.now += 0.3 * PERIOD
    count = len(run.desk.steps)
    run.desk.perform(run.schedule.hold())
    run.desk.perform(run.schedule.hold())
    (cut,) = run.desk.steps[count:]
    assert (cut.observation, cut.source) == (whole.observation, whole.source)
    np.testing.assert_allclose(cut.executed, 0.3 * whole.executed, rtol=1e-5)
    assert cut.cause == "cut short after 30% of its period"


def test_what_has_lasted_for_its_period_is_not_told_again():
    run = RealtimeRun()
    for _ in range(5):
        run.tick()
    run.desk.now += 1.01 * PERIOD
    count = len(run.desk.steps)
    run.desk.perform(run.schedule.hold())
    assert len(run.desk.steps) == count


def test_the_newest_chunk_counts_whatever_comes_after_it():
    run = RealtimeRun()
    for _ in range(3):
        run.tick()
    newest = run.desk.last
    run.desk.perform(run.schedule.take_chunk(chunk(99, newest)))
    run.desk.perform(run.schedule.take_chunk(chunk(1, newest - 1)))
    for _ in range(12):
        run.tick()
    assert 99 in {step.chunk for step in run.desk.steps}


def test_a_pause_stands_and_what_was_under_way_is_not_executed_after_it():
    run = RealtimeRun()
    for _ in range(9):
        run.tick()
    assert run.desk.wanted[-1] == run.desk.last
    assert run.desk.loop.episode.pause().accepted
    run.desk.perform(run.schedule.hold())
    steps = len(run.desk.steps)
    for _ in range(3):
        run.tick()
        np.testing.assert_array_equal(run.desk.sent[-1], np.zeros(7))
    assert len(run.desk.steps) == steps
    assert run.desk.loop.episode.resume().accepted
    before = run.desk.wanted[-1]
    run.tick()
    assert run.desk.steps[-1].source is Source.HOLD
    run.tick()
    assert run.desk.steps[-1].source is Source.POLICY
    assert run.desk.steps[-1].chunk == run.desk.wanted[-1] > before


def test_lateness_counts_missed_periods():
    run = RealtimeRun()
    for _ in range(5):
        run.tick()
    run.tick(late=0.004)
    assert run.desk.ticks[-1].late == pytest.approx(0.004, abs=1e-6)
    run.desk.due += 2 * PERIOD
    run.tick(late=0.001)
    assert run.desk.ticks[-1].late == pytest.approx(2 * PERIOD + 0.001, abs=1e-6)
    run.tick()
    assert run.desk.ticks[-1].late == pytest.approx(0.0, abs=1e-6)


def test_who_is_silent_holds_the_arm_at_once_and_until_it_is_back():
    run = RealtimeRun(watched=("recorder",))
    for _ in range(6):
        run.schedule.beat("recorder")
        run.tick()
    assert run.desk.sent[-1].any()
    run.desk.now += 0.11
    run.desk.perform(run.schedule.check())
    np.testing.assert_array_equal(run.desk.sent[-1], np.zeros(7))
    assert run.desk.complaints[-1] == "no sign of life from recorder"
    run.desk.due += 2 * PERIOD
    run.tick()
    assert run.desk.steps[-1].source is Source.HOLD
    assert "recorder" in run.desk.steps[-1].cause
    np.testing.assert_array_equal(run.desk.sent[-1], np.zeros(7))
    run.schedule.beat("recorder")
    run.desk.perform(run.schedule.check())
    assert run.desk.complaints[-1] == ""
    run.tick()
    run.tick()
    assert run.desk.steps[-1].source is Source.POLICY


def test_a_device_that_is_lost_stops_the_arm_before_the_next_tick():
    run = RealtimeRun()
    for _ in range(6):
        run.tick(teleop=PUSHED)
    assert run.desk.sent[-1].any()
    run.desk.sample(TeleopState(False, True, PUSHED.action))
    run.desk.perform(run.schedule.advance())
    np.testing.assert_array_equal(run.desk.sent[-1], np.zeros(7))
    count = len(run.desk.sent)
    run.desk.perform(run.schedule.advance())
    assert len(run.desk.sent) == count, "said once"


def test_a_reading_is_counted_from_when_the_device_sent_it():
    run = RealtimeRun()
    for _ in range(6):
        run.tick()
    run.tick(late=0.002, teleop=PUSHED, travelled=0.005)
    assert run.desk.steps[-1].source is Source.HUMAN
    assert run.desk.ticks[-1].reaction == pytest.approx(0.007, abs=1e-6)
    run.tick(teleop=PUSHED)
    assert run.desk.ticks[-1].reaction is None, "no new reading"


def test_a_clock_that_is_set_back_takes_no_input_away():
    inputs = Inputs(VIEWS, teleop=False)

    def put(stamp_s: int, now_s: float) -> float | None:
        inputs.put_proprio(PROPRIO_NOW, 10**9 * stamp_s, round(1e9 * now_s))
        return inputs.stamps()[PROPRIO]

    assert put(100, 100) == 100
    assert put(99, 100.1) == 100, "late"
    assert put(5, 5.0) == 5, "an hour back"
    assert put(4, 5.1) == 5, "late again"


def test_a_stamp_ahead_of_the_clock_is_refused_and_the_newest_stays():
    inputs = Inputs(VIEWS, teleop=False)
    assert inputs.put_proprio(PROPRIO_NOW, 10**9, 10**9)
    with pytest.raises(BadMessage, match=r"1\.00 s ahead"):
        inputs.put_proprio(PROPRIO_NOW, 2 * 10**9, 10**9)
    assert inputs.stamps()[PROPRIO] == 1.0


def test_a_demonstration_begins_with_the_takeover_however_long_it_is_waited_for():
    run = RealtimeRun(plan=DEMONSTRATION, human=True)
    for _ in range(10 * DEMONSTRATION.max_steps):
        run.tick()
    snapshot = run.desk.loop.snapshot
    assert (snapshot.state, snapshot.steps, snapshot.first_observation) == ("running", 0, 0)
    assert run.desk.steps == []
    assert run.desk.shown == []
    assert not any(action.any() for action in run.desk.sent)
    assert run.desk.complaints[-1] == "the operator has not taken over yet"
    run.tick(teleop=PUSHED)
    assert [step.source for step in run.desk.steps] == [Source.HUMAN]
    assert run.desk.loop.snapshot.first_observation == run.desk.shown[0]
    for _ in range(3):
        run.tick()
    assert [step.source for step in run.desk.steps[1:]] == [Source.HOLD] * 3, "time passes now"
    for _ in range(DEMONSTRATION.max_steps):
        run.tick(teleop=PUSHED)
    assert run.desk.loop.snapshot.cause == "timeout"
    assert not run.desk.loop.snapshot.discarded


def test_a_device_that_is_gone_begins_no_demonstration():
    run = RealtimeRun(plan=DEMONSTRATION, human=True)
    run.tick()
    for _ in range(3):
        run.tick(teleop=TeleopState(False, False, np.zeros(7, np.float32)))
    run.tick(teleop=TeleopState(False, True, PUSHED.action))
    assert run.desk.steps == []
    run.tick(teleop=PUSHED)
    assert [step.source for step in run.desk.steps] == [Source.HUMAN]


def test_no_clock_runs_while_a_demonstration_waits_for_a_lost_device():
    run = RealtimeRun(plan=DEMONSTRATION, human=True)
    run.tick(teleop=PUSHED)
    run.tick(teleop=PUSHED)
    before, steps = len(run.desk.sent), run.desk.loop.snapshot.steps
    assert steps > 0
    for _ in range(10 * DEMONSTRATION.max_steps):
        run.tick(teleop=LOST)
    assert run.desk.loop.snapshot.steps == steps
    assert not any(action.any() for action in run.desk.sent[before:])
    assert run.desk.complaints[-1] == DEVICE_LOST
    while run.desk.loop.running:
        run.tick(teleop=PUSHED)
    assert {step.source for step in run.desk.steps} == {Source.HUMAN}
    assert run.desk.loop.snapshot.steps == DEMONSTRATION.max_steps
    assert not run.desk.loop.snapshot.discarded


def test_a_policy_that_is_lost_holds_at_once_with_its_cause_and_is_planned_anew():
    run = RealtimeRun()
    for _ in range(9):
        run.tick()
    assert run.desk.sent[-1][0] != 0
    count = len(run.desk.sent)
    run.desk.perform(run.schedule.policy_lost("its server is closed"))
    run.desk.perform(run.schedule.policy_lost("its server is closed"))
    assert len(run.desk.sent) == count + 1
    np.testing.assert_array_equal(run.desk.sent[-1], np.zeros(7))
    for _ in range(3):
        run.tick()
        assert run.desk.steps[-1].source is Source.HOLD
        assert run.desk.steps[-1].cause == "its server is closed"
        np.testing.assert_array_equal(run.desk.sent[-1], np.zeros(7))
    lost_at = run.desk.last
    run.desk.perform(run.schedule.policy_lost(""))
    assert run.desk.complaints[-1] == ""
    run.tick()
    run.tick()
    assert run.desk.steps[-1].source is Source.POLICY
    assert run.desk.steps[-1].chunk >= lost_at

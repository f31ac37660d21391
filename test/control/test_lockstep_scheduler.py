# SPDX-License-Identifier: Apache-2.0
"""When a tick happens in lock-step, on a clock that the test turns."""

from __future__ import annotations

import numpy as np

from expo_ft_ros.control.arbiter import DEVICE_LOST
from expo_ft_ros.control.lockstep import RESEND_AFTER
from expo_ft_ros.data.types import Source, Verdict
from support.schedules import DEMONSTRATION, LOST, PUSHED, LockstepRun, chunk


def test_lockstep_waits_for_both_answers_whatever_their_order():
    for first in ("verdict", "chunk"):
        run = LockstepRun()
        run.world()
        assert (run.desk.shown, run.desk.wanted, run.desk.steps) == ([1], [1], [])
        tell = {
            "verdict": lambda run=run: run.desk.perform(
                run.schedule.take_verdict(1, Verdict(0.0, False, ""))
            ),
            "chunk": lambda run=run: run.desk.perform(run.schedule.take_chunk(chunk(1, 1))),
        }
        tell.pop(first)()
        assert run.desk.steps == []
        tell.popitem()[1]()
        assert [step.observation for step in run.desk.steps] == [1]


def test_lockstep_takes_no_old_answer_and_no_moment_twice():
    run = LockstepRun()
    for number in range(1, 4):
        run.world()
        run.answer(number)
    run.desk.perform(run.schedule.advance())
    assert run.desk.shown == [1, 2, 3]
    run.world()
    run.desk.perform(run.schedule.take_verdict(3, Verdict(1.0, True, "")))
    assert [step.observation for step in run.desk.steps] == [1, 2, 3]
    run.answer(4)
    assert [step.observation for step in run.desk.steps] == [1, 2, 3, 4]


def test_lockstep_stands_while_paused_and_goes_on_where_it_was():
    run = LockstepRun()
    for number in range(1, 4):
        run.world()
        run.answer(number)
    run.world()
    assert run.desk.loop.episode.pause().accepted
    sent = len(run.desk.sent)
    run.desk.perform(run.schedule.hold())
    run.answer(4)
    assert len(run.desk.sent) == sent, "without a command the world stands"
    assert [step.observation for step in run.desk.steps] == [1, 2, 3]
    assert run.desk.loop.episode.resume().accepted
    run.desk.perform(run.schedule.advance())
    assert [step.observation for step in run.desk.steps] == [1, 2, 3, 4]
    assert run.desk.steps[-1].source is Source.POLICY


def test_lockstep_sends_again_what_nobody_seems_to_have_heard():
    run = LockstepRun()
    run.world()
    run.desk.perform(run.schedule.check())
    assert run.desk.shown == [1]
    run.desk.now += RESEND_AFTER + 0.1
    run.desk.perform(run.schedule.check())
    assert run.desk.shown == [1, 1]
    assert run.desk.complaints == ["waiting for reward and policy on observation 1"]
    run.answer(1)
    commands = len(run.desk.sent)
    run.desk.now += RESEND_AFTER + 0.1
    run.desk.perform(run.schedule.check())
    assert len(run.desk.sent) == commands + 1
    np.testing.assert_array_equal(run.desk.sent[-1], run.desk.sent[-2])
    assert run.desk.order[-1] == "again"


def test_no_clock_runs_in_lockstep_either():
    run = LockstepRun(DEMONSTRATION, human=True)
    run.world(PUSHED)
    run.answer(1)
    for _ in range(10 * DEMONSTRATION.max_steps):
        run.world(LOST)
    assert run.desk.loop.snapshot.steps == 1
    assert run.desk.complaints[-1] == DEVICE_LOST
    run.world(PUSHED)
    run.answer(2)
    assert run.desk.loop.snapshot.steps == 2


def test_in_lockstep_the_world_goes_on_until_the_takeover_but_no_step_counts():
    run = LockstepRun(DEMONSTRATION, human=True)
    for _ in range(10 * DEMONSTRATION.max_steps):
        commands = len(run.desk.sent)
        run.world()
        assert len(run.desk.sent) == commands + 1
    assert run.desk.shown == run.desk.steps == []
    run.desk.now += RESEND_AFTER + 0.1
    run.desk.perform(run.schedule.check())
    assert len(run.desk.sent) == commands + 2, "sent again where nobody seems to have heard it"
    run.world(PUSHED)
    run.answer(1)
    assert [step.source for step in run.desk.steps] == [Source.HUMAN]
    assert run.desk.loop.snapshot.steps == 1


def test_in_lockstep_a_scripted_operator_is_shown_the_scene_before_it_takes_over():
    run = LockstepRun(DEMONSTRATION)
    run.world()
    run.answer(1)
    assert [step.source for step in run.desk.steps] == [Source.HOLD]


def test_in_lock_step_it_is_said_why_the_policy_is_waited_for():
    run = LockstepRun()
    run.desk.perform(run.schedule.policy_lost("its server is closed"))
    run.world()
    run.desk.now += 2 * RESEND_AFTER
    run.desk.perform(run.schedule.check())
    waits = "waiting for reward and policy on observation 1: its server is closed"
    assert run.desk.complaints[-1] == waits
    run.desk.perform(run.schedule.policy_lost(""))
    run.answer(1)
    assert run.desk.steps[-1].source is Source.POLICY

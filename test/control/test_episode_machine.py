# SPDX-License-Identifier: Apache-2.0
"""The life of an episode: each request in each state, and invariants under any sequence."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from expo_ft_ros.control.episode_machine import (
    EpisodeMachine,
    EpisodeSnapshot,
    Reply,
    SceneReset,
    State,
)
from expo_ft_ros.data.types import Source
from support.machines import DECISION_TIME, MAX_STEPS, in_state, make, plan, running, step


def test_success_by_the_classifier():
    machine = EpisodeMachine()
    assert machine.snapshot() == EpisodeSnapshot()
    machine.start(plan())
    assert machine.state is State.RESETTING
    machine.reset_done()
    assert not machine.verdict(False, 11).accepted
    step(machine, 11)
    machine.verdict(False, 12)
    step(machine, 12, Source.HUMAN)
    machine.verdict(True, 13)
    assert machine.snapshot() == EpisodeSnapshot(
        episode=1, state="ended", stage="rl", steps=2, first_observation=11, last_observation=13,
        success=True, terminated=True, human_steps=1, cause="success",
    )  # fmt: skip


def test_the_last_step_s_outcome_decides_between_success_and_timeout():
    for success in (True, False):
        machine = running(steps=MAX_STEPS)
        assert not machine.step_executed(Source.POLICY).accepted
        machine.verdict(success, MAX_STEPS + 1)
        snapshot = machine.snapshot()
        assert snapshot.success is success
        assert snapshot.terminated is success
        assert snapshot.truncated is not success
        assert not snapshot.discarded
        assert snapshot.cause == ("success" if success else "timeout")


def test_a_verdict_that_comes_late_is_of_its_own_observation():
    machine = running(steps=MAX_STEPS)
    machine.verdict(False, MAX_STEPS)
    assert machine.state is State.RUNNING, "timed out before the last outcome was seen"
    machine.verdict(True, 3)
    assert machine.snapshot().last_observation == 3
    assert machine.snapshot().success


def demonstration(machine: EpisodeMachine, number: int, redone: int = 0) -> Reply:
    """Begins one, whose scene is set; nobody has taken over yet."""
    demo = replace(plan(number), stage="collect", policy="none", operator="demonstrate")
    machine.hear_stage("collect")
    reply = machine.start(replace(demo, redone=redone))
    machine.reset_done()
    return reply


def demonstrated(machine: EpisodeMachine, number: int) -> None:
    """One with two steps by the operator, a success."""
    demonstration(machine, number)
    for place in (1, 2):
        step(machine, 100 * number + place, Source.HUMAN)
    machine.verdict(True, 100 * number + 3)
    machine.clock.pass_time()


def test_redo_discards_the_demonstration_that_is_being_driven():
    machine = make(SceneReset.AUTOMATIC)
    demonstrated(machine, 1)
    demonstration(machine, 2)
    step(machine, 201, Source.HUMAN)
    assert machine.redo().message == "demonstration 2 is discarded and comes again"
    snapshot = machine.snapshot()
    assert (snapshot.state, snapshot.discarded, snapshot.redo) == ("ended", True, 0)
    assert machine.redo().accepted, "the same press again"
    machine.clock.pass_time()
    assert not machine.redo().accepted, "another press doesn't reach the one before"
    assert machine.snapshot() == snapshot
    assert demonstration(machine, 3).accepted


@pytest.mark.parametrize("next_is", ["planned", "resetting", "waiting", "paused"])
def test_redo_asks_for_the_last_one_where_the_next_has_not_begun(next_is):
    machine = make(SceneReset.AUTOMATIC)
    demonstrated(machine, 1)
    if next_is == "resetting":
        machine.start(replace(plan(2), stage="collect"))
    elif next_is != "planned":
        demonstration(machine, 2)
    if next_is == "paused":
        machine.pause()
    assert machine.redo().message == "demonstration 1 is discarded and comes again"
    snapshot = machine.snapshot()
    assert (snapshot.state, snapshot.redo) == ("ended", 1)
    assert snapshot.discarded is (next_is != "planned")
    machine.resume()
    assert not demonstration(machine, 3).accepted, "first the session takes it back"
    assert demonstration(machine, 3, redone=1).accepted
    assert machine.snapshot().redo == 0
    machine.clock.pass_time()
    assert not machine.redo().accepted, "it is not there any more"
    assert machine.snapshot().state == "running"


def test_redo_of_one_that_may_still_be_overruled_keeps_its_verdict_on_record():
    machine = make(SceneReset.AUTOMATIC, DECISION_TIME)
    demonstrated(machine, 1)
    assert machine.state is State.DECIDING
    assert machine.redo().accepted
    snapshot = machine.snapshot()
    assert (snapshot.state, snapshot.redo, snapshot.success) == ("ended", 1, True)
    assert not snapshot.discarded


def test_redo_is_refused_with_a_reason_where_there_is_nothing_to_redo():
    machine = make(SceneReset.AUTOMATIC)
    assert "no demonstrations are collected now" in machine.redo().message
    demonstration(machine, 1)
    before = machine.snapshot()
    assert "no demonstration that counts is over" in machine.redo().message
    assert machine.snapshot() == before, "nobody has driven yet"
    step(machine, 101, Source.HUMAN)
    machine.estop(True)
    assert "release it first" in machine.redo().message
    machine.estop(False)
    # The stop has discarded it: it comes again by itself.
    assert not machine.redo().accepted
    demonstrated(machine, 2)
    machine.hear_stage("imitation")
    assert "no demonstrations are collected now" in machine.redo().message
    assert machine.snapshot().redo == 0
    rl = running()
    assert not rl.redo().accepted
    assert rl.state is State.RUNNING


@pytest.mark.parametrize("stage", ["eval_before", "eval_after"])
@pytest.mark.parametrize("end", ["success", "timeout", "mark_success", "mark_failure"])
def test_a_trial_of_the_policy_in_which_the_operator_drove_is_void(stage, end):
    """Whatever it came to, and whoever judged it: the policy did not do it."""
    for driven in (False, True):
        machine = make(SceneReset.AUTOMATIC)
        machine.start(replace(plan(), stage=stage, policy="mode", operator="none"))
        machine.reset_done()
        step(machine, 1)
        step(machine, 2, Source.HUMAN if driven else Source.POLICY)
        if end in ("success", "timeout"):
            step(machine, 3)
            step(machine, 4)
            machine.verdict(end == "success", 5)
        else:
            getattr(machine, end)()
        snapshot = machine.snapshot()
        assert snapshot.state == "ended"
        assert snapshot.discarded is driven
        said = f"void, the operator drove 1 of {snapshot.steps} steps"
        assert (said in snapshot.cause) is driven


def test_where_the_policy_learns_the_operator_may_drive():
    machine = running(steps=2)
    step(machine, 3, Source.HUMAN)
    machine.verdict(True, 4)
    assert not machine.snapshot().discarded


def test_a_success_that_was_there_before_anybody_drove_is_discarded():
    """A scene that was not reset; its verdict comes when the second step has been executed."""
    machine = EpisodeMachine()
    machine.start(plan())
    machine.reset_done()
    step(machine, 1, Source.HOLD)
    step(machine, 2, Source.POLICY)
    machine.verdict(True, 2)
    snapshot = machine.snapshot()
    assert (snapshot.success, snapshot.discarded) == (True, True)


def test_while_the_last_verdict_is_awaited_no_further_observation_belongs_to_it():
    """In real time the robot stands for some ticks then; nothing was done between them."""
    machine = running(steps=MAX_STEPS)
    for number in range(MAX_STEPS + 1, MAX_STEPS + 4):
        machine.observe(number)
    assert machine.verdict(False, MAX_STEPS + 1).accepted
    snapshot = machine.snapshot()
    assert (snapshot.state, snapshot.steps) == (State.ENDED, MAX_STEPS)
    assert snapshot.last_observation - snapshot.first_observation == MAX_STEPS


def test_a_verdict_on_the_first_observation_is_the_reward_of_no_action():
    machine = running(steps=1)
    assert not machine.verdict(True, 1).accepted
    assert machine.state is State.RUNNING


def test_a_verdict_of_an_earlier_episode_changes_nothing():
    machine = EpisodeMachine()
    machine.start(plan())
    machine.reset_done()
    machine.verdict(True, 5)
    step(machine, 10)
    machine.verdict(True, 6)
    assert machine.state is State.RUNNING
    assert machine.snapshot().first_observation == 10


@pytest.mark.parametrize("success", [True, False])
def test_the_operators_verdict_ends_it_terminated(success):
    machine = running()
    reply = machine.mark_success() if success else machine.mark_failure()
    snapshot = machine.snapshot()
    assert reply.accepted
    assert snapshot.state == "ended"
    assert snapshot.terminated
    assert snapshot.success is success
    assert "marked" in snapshot.cause


def test_the_first_reason_of_an_end_is_kept():
    machine = running()
    machine.reset_requested()
    first = machine.snapshot()
    for request in (machine.mark_success, machine.mark_failure, machine.timeout):
        assert not request().accepted
    machine.verdict(True, 3)
    machine.abort("late")
    assert machine.snapshot() == first


def test_a_pause_holds_and_resume_goes_on_where_it_was():
    for state in (State.RESETTING, State.RUNNING):
        machine = in_state(state)
        before = machine.snapshot()
        machine.pause()
        assert machine.pause().accepted
        assert machine.snapshot().cause == "paused"
        assert machine.state is State.PAUSED
        assert not machine.step_executed(Source.POLICY).accepted
        machine.resume()
        assert machine.snapshot() == before


def test_a_reset_done_during_a_pause_is_not_lost():
    machine = in_state(State.RESETTING)
    machine.pause()
    machine.reset_done()
    assert machine.state is State.PAUSED
    machine.resume()
    assert machine.state is State.RUNNING


def test_paused_between_episodes_the_next_one_waits():
    machine = in_state(State.ENDED)
    machine.pause()
    assert machine.state is State.ENDED
    assert machine.paused
    assert not machine.start(plan(2)).accepted
    machine.resume()
    assert machine.start(plan(2)).accepted


@pytest.mark.parametrize("state", State)
def test_a_stop_is_latched_in_every_state_and_keeps_its_first_cause(state):
    machine = in_state(state)
    deciding = state is State.DECIDING
    was_on = state in (State.RESETTING, State.RUNNING, State.PAUSED)
    machine.estop(True, "protective stop")
    machine.estop(True, "estop")
    cause = "estop" if state is State.STOPPED else "protective stop"
    assert machine.state is State.STOPPED
    assert machine.snapshot().cause == cause
    for request in (machine.reset_done, machine.reset_requested, machine.timeout):
        assert not request().accepted
    assert deciding or not machine.mark_success().accepted
    assert not machine.start(plan(2)).accepted
    assert machine.state is State.STOPPED
    machine.estop(False)
    after = state if state in (State.IDLE, State.DECIDING) else State.ENDED
    assert machine.state is after
    if was_on:
        assert machine.snapshot().discarded
        assert machine.snapshot().cause == "protective stop"
    machine.resume()
    if deciding:
        machine.clock.pass_time(DECISION_TIME)
        machine.decide()
    assert machine.start(plan(2)).accepted


def test_paused_while_stopped_a_release_starts_nothing():
    machine = in_state(State.STOPPED)
    assert machine.pause().accepted
    assert machine.state is State.STOPPED
    machine.estop(False)
    assert machine.start(plan(2)) == Reply(False, "episode 2: paused")
    machine.resume()
    assert machine.start(plan(2)).accepted


def test_releasing_without_a_stop_is_harmless():
    assert EpisodeMachine().estop(False).accepted


def test_an_abort_names_its_cause_and_is_not_learned_from():
    machine = running()
    machine.abort("learner died")
    snapshot = machine.snapshot()
    assert snapshot.discarded
    assert snapshot.truncated
    assert snapshot.cause == "learner died"


def test_an_episode_whose_first_outcome_was_not_seen_is_discarded():
    machine = EpisodeMachine()
    machine.start(plan())
    machine.reset_done()
    step(machine, 1)
    machine.reset_requested()
    assert machine.snapshot().discarded


def test_an_episode_in_which_nobody_drove_is_discarded():
    """The policy was silent all the time: that says nothing about it."""
    machine = EpisodeMachine()
    machine.start(plan())
    machine.reset_done()
    for number in range(1, MAX_STEPS + 1):
        step(machine, number, Source.HOLD)
    machine.verdict(False, MAX_STEPS + 1)
    assert (machine.snapshot().cause, machine.snapshot().discarded) == ("timeout", True)
    machine.start(plan(2))
    machine.reset_done()
    for number, source in enumerate([Source.HOLD, Source.HOLD, Source.POLICY], start=10):
        step(machine, number, source)
    machine.verdict(False, 14)
    machine.mark_failure()
    assert not machine.snapshot().discarded


@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize("success", [True, False])
@pytest.mark.parametrize("stage", ["rl", "eval_after"])
def test_a_policy_that_was_kept_from_driving_has_not_failed(kept, success, stage):
    """A camera was away for half of the time; a policy that is too slow fails by itself. Of an
    evaluation successes don't count either, or it would be of the lucky ones."""
    machine = EpisodeMachine()
    machine.start(replace(plan(), stage=stage))
    machine.reset_done()
    for number, source in enumerate([Source.POLICY, Source.HOLD, Source.HOLD, Source.POLICY], 1):
        machine.observe(number)
        machine.step_executed(source, kept=kept and source is Source.HOLD)
    machine.verdict(success, 5)
    discarded = kept and (not success or stage == "eval_after")
    assert machine.snapshot().discarded is discarded
    assert ("held for 2 of 4 steps" in machine.snapshot().cause) is discarded


def test_the_operators_word_on_an_episode_counts_also_where_the_robot_was_held():
    machine = EpisodeMachine()
    machine.start(plan())
    machine.reset_done()
    for number, source in enumerate([Source.POLICY, Source.HOLD, Source.HOLD], start=1):
        machine.observe(number)
        machine.step_executed(source, kept=source is Source.HOLD)
    machine.observe(4)
    machine.mark_failure()
    assert not machine.snapshot().discarded


@pytest.mark.parametrize("classified", [True, False])
@pytest.mark.parametrize("said", [True, False, None])
def test_the_operator_may_overrule_the_classifier_until_the_episode_is_committed(classified, said):
    machine = running(steps=MAX_STEPS, decision_time=DECISION_TIME)
    machine.verdict(classified, MAX_STEPS + 1)
    assert machine.snapshot().state == "deciding"
    assert machine.snapshot().success is classified
    machine.decide()
    assert not machine.step_executed(Source.POLICY).accepted, "the robot stands"
    assert not machine.start(plan(2)).accepted
    if said is not None:
        assert (machine.mark_success() if said else machine.mark_failure()).accepted
    else:
        machine.clock.pass_time(DECISION_TIME)
        machine.decide()
    snapshot = machine.snapshot()
    success = classified if said is None else said
    assert (snapshot.state, snapshot.success, snapshot.discarded) == ("ended", success, False)
    assert snapshot.terminated is (said is not None or success)
    assert not machine.mark_failure().accepted, "final"
    assert machine.snapshot() == snapshot


def test_nothing_is_committed_while_the_operator_has_paused_or_stopped():
    machine = in_state(State.DECIDING)
    machine.pause()
    machine.clock.pass_time(DECISION_TIME)
    machine.decide()
    assert machine.mark_failure().accepted
    stopped = in_state(State.DECIDING)
    stopped.estop(True)
    stopped.clock.pass_time(DECISION_TIME)
    stopped.decide()
    assert stopped.state is State.STOPPED
    stopped.estop(False)
    stopped.decide()
    assert stopped.state is State.DECIDING, "he has had no time to say anything"
    stopped.clock.pass_time(DECISION_TIME)
    stopped.decide()
    assert stopped.snapshot().success, "it was over before the stop"


def test_who_stops_the_robot_first_may_then_say_that_it_was_no_success():
    machine = in_state(State.DECIDING)
    machine.estop(True)
    assert machine.mark_failure().accepted
    assert machine.state is State.STOPPED
    machine.estop(False)
    assert (machine.state, machine.snapshot().success) == (State.ENDED, False)


def test_a_pause_is_seen_also_where_the_state_says_more():
    machine = in_state(State.ENDED)
    machine.pause()
    assert (machine.snapshot().state, machine.snapshot().paused) == ("ended", True)


def test_only_a_new_number_starts_an_episode():
    machine = in_state(State.ENDED)
    assert not machine.start(plan(1)).accepted
    assert not machine.start(plan(0)).accepted
    assert machine.start(plan(2)).accepted
    assert not machine.start(plan(3)).accepted, "an episode is on"


def test_the_revision_grows_with_changes_not_with_steps():
    machine = running()
    revision = machine.revision
    step(machine, 3)
    assert machine.revision == revision
    machine.pause()
    assert machine.revision == revision + 1


class AnySequence(RuleBasedStateMachine):
    """Any sequence of events keeps the invariants that data and learner rely on."""

    def __init__(self) -> None:
        super().__init__()
        self.machine = make(SceneReset.AUTOMATIC)
        self.number = 0
        self.episode = 0
        self.final: dict[int, EpisodeSnapshot] = {}

    @rule(reset=st.sampled_from(SceneReset), decision_time=st.sampled_from([0.0, 1.0]))
    @precondition(lambda self: self.episode == 0)
    def choose_reset(self, reset, decision_time):
        self.machine = make(reset, decision_time)

    @rule()
    def time_passes(self):
        self.machine.clock.pass_time()

    @rule()
    def start(self):
        if self.machine.start(plan(self.episode + 1)).accepted:
            self.episode += 1

    @rule(source=st.sampled_from(Source))
    def tick(self, source):
        if self.machine.state is State.RUNNING:
            self.number += 1
            self.machine.observe(self.number)
            self.machine.step_executed(source)

    @rule(success=st.booleans(), behind=st.integers(-1, 2), wanted=st.sampled_from(["", "refill"]))
    def verdict(self, success, behind, wanted):
        self.machine.verdict(success, max(0, self.number - behind), wanted)
        self.number += int(behind == -1)

    @rule(
        name=st.sampled_from(
            [
                "decide",
                "reset_done",
                "timeout",
                "mark_success",
                "mark_failure",
                "reset_requested",
                "pause",
                "resume",
            ]
        )
    )
    def request(self, name):
        getattr(self.machine, name)()

    @rule(engaged=st.booleans())
    def estop(self, engaged):
        self.machine.estop(engaged)

    @rule()
    def abort(self):
        self.machine.abort("node died")

    @invariant()
    def outcome_is_consistent_and_final(self):
        snapshot = self.machine.snapshot()
        assert snapshot.episode == self.episode
        assert 0 <= snapshot.human_steps <= snapshot.steps <= MAX_STEPS
        assert snapshot.first_observation <= snapshot.last_observation
        over = snapshot.terminated or snapshot.truncated
        assert not (snapshot.terminated and snapshot.truncated)
        assert not snapshot.success or snapshot.terminated
        if snapshot.state in ("deciding", "ended"):
            assert over
            assert snapshot.cause
        if snapshot.state in ("idle", "resetting", "running"):
            assert not over
            assert snapshot.cause == ""
        if snapshot.state == "running" or self.machine.scene_reset is SceneReset.AUTOMATIC:
            assert snapshot.asked == ""
        if snapshot.state in ("paused", "stopped"):
            assert snapshot.cause
        if over and not snapshot.discarded:
            assert snapshot.last_observation > snapshot.first_observation > 0
        if snapshot.state == "ended":
            final = replace(snapshot, asked="", paused=False)
            assert self.final.setdefault(snapshot.episode, final) == final


AnySequence.TestCase.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
TestAnySequence = AnySequence.TestCase


@pytest.mark.parametrize("end", ["verdict", "mark_success", "overruled", "timeout"])
@pytest.mark.parametrize(("motion", "stage"), [(False, "rl"), (False, "collect"), (True, "shadow")])
def test_without_motion_no_episode_counts_however_it_ends(motion, stage, end):
    machine = EpisodeMachine(decision_time=9.0 if end == "overruled" else 0.0, motion=motion)
    machine.start(replace(plan(), stage=stage))
    machine.reset_done()
    step(machine, 1)
    step(machine, 2)
    if end == "timeout":
        machine.timeout()
    elif end == "mark_success":
        machine.mark_success()
    else:
        machine.verdict(True, 3)
    if end == "overruled":
        machine.mark_success()
    ended = machine.snapshot()
    assert (ended.state, ended.success, ended.discarded) == ("ended", False, True)
    assert "counts for nothing, motion off" in ended.cause

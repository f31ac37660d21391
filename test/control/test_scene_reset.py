# SPDX-License-Identifier: Apache-2.0
"""Between episodes: /reset_episode in each state, and what is asked of the operator."""

import pytest

from expo_ft_ros.control.episode_machine import EpisodeMachine, Reply, SceneReset, State
from support.machines import in_state, make, plan, running, step

# What /reset_episode does: (state, who resets) -> (accepted, state after).
RESETS = {
    (State.IDLE, SceneReset.AUTOMATIC): (True, State.IDLE),
    (State.IDLE, SceneReset.OPERATOR): (True, State.IDLE),
    (State.RESETTING, SceneReset.AUTOMATIC): (True, State.RESETTING),
    (State.RESETTING, SceneReset.OPERATOR): (True, State.RUNNING),
    (State.RUNNING, SceneReset.AUTOMATIC): (True, State.ENDED),
    (State.RUNNING, SceneReset.OPERATOR): (True, State.ENDED),
    (State.ENDED, SceneReset.AUTOMATIC): (True, State.ENDED),
    (State.ENDED, SceneReset.OPERATOR): (True, State.ENDED),
    (State.PAUSED, SceneReset.AUTOMATIC): (True, State.ENDED),
    (State.PAUSED, SceneReset.OPERATOR): (True, State.ENDED),
    (State.STOPPED, SceneReset.AUTOMATIC): (False, State.STOPPED),
    (State.STOPPED, SceneReset.OPERATOR): (False, State.STOPPED),
    (State.IDLE, SceneReset.ASKED): (True, State.IDLE),
    (State.RESETTING, SceneReset.ASKED): (True, State.RESETTING),
    (State.RUNNING, SceneReset.ASKED): (True, State.ENDED),
    (State.ENDED, SceneReset.ASKED): (True, State.ENDED),
    (State.PAUSED, SceneReset.ASKED): (True, State.ENDED),
    (State.STOPPED, SceneReset.ASKED): (False, State.STOPPED),
    **{(State.DECIDING, reset): (True, State.ENDED) for reset in SceneReset},
}


@pytest.mark.parametrize("case", RESETS, ids=lambda case: f"{case[0]}-{case[1]}")
def test_reset_in_every_state(case):
    machine = in_state(*case)
    before = machine.snapshot()
    reply = machine.reset_requested()
    assert (reply.accepted, machine.state) == RESETS[case]
    assert reply.message
    if before.state in ("running", "paused"):
        snapshot = machine.snapshot()
        assert snapshot.truncated
        assert not snapshot.terminated
        assert not snapshot.discarded
        assert snapshot.cause == "reset requested"


@pytest.mark.parametrize("reset", SceneReset)
@pytest.mark.parametrize("state", State)
def test_reset_twice_in_a_row_is_one_word(state, reset):
    machine = in_state(state, reset)
    machine.reset_requested()
    after_one = machine.snapshot()
    reply = machine.reset_requested()
    assert machine.snapshot() == after_one
    assert reply.accepted == (state is not State.STOPPED)


@pytest.mark.parametrize("reset", [SceneReset.AUTOMATIC, SceneReset.ASKED])
def test_the_second_word_is_none_on_the_episode_that_has_begun_since(reset):
    machine = in_state(State.RUNNING, reset)
    assert machine.reset_requested().accepted
    machine.start(plan(2))
    machine.reset_done()
    step(machine, 9)
    before = machine.snapshot()
    assert "taken just now" in machine.reset_requested().message
    assert machine.snapshot() == before
    machine.clock.pass_time()
    machine.reset_requested()
    assert machine.snapshot() != before


def test_a_first_word_that_comes_too_soon_is_none_and_says_so():
    machine = running(SceneReset.ASKED)
    machine.verdict(True, 3, "refill the bin")
    reply = machine.reset_requested()
    assert not reply.accepted
    assert "nobody can have done so yet" in reply.message
    assert "refill the bin" in reply.message
    machine.clock.pass_time()
    assert machine.reset_requested().accepted


def test_the_operator_who_reset_the_scene_early_is_not_waited_for():
    machine = running(SceneReset.OPERATOR)
    machine.mark_failure()
    assert machine.snapshot().asked == "set the scene"
    machine.reset_requested()
    assert machine.snapshot().asked == "set the scene", "nobody is that fast"
    machine.clock.pass_time()
    machine.reset_requested()
    machine.start(plan(2))
    assert machine.state is State.RUNNING
    machine.abort("x")
    machine.start(plan(3))
    assert machine.state is State.RESETTING


def asked(wanted: str, reset: SceneReset = SceneReset.ASKED) -> EpisodeMachine:
    """After an episode of which the classifier said last what the operator must set right."""
    machine = running(reset)
    assert machine.snapshot().asked == ""
    machine.verdict(False, 2, "something else")
    machine.verdict(False, 3, wanted)
    machine.mark_failure()
    machine.clock.pass_time()
    return machine


def test_the_next_episode_waits_for_what_the_operator_is_asked_to_do():
    machine = asked("refill the bin")
    assert machine.snapshot().human_reset == machine.snapshot().asked == "refill the bin"
    machine.start(plan(2))
    assert machine.waits_for_operator
    assert (machine.snapshot().asked, machine.snapshot().human_reset) == ("refill the bin", "")
    refused = machine.reset_done()
    assert refused == Reply(
        False, "resetting: asked of the operator, then /reset_episode: refill the bin"
    )
    revision = machine.revision
    assert machine.reset_requested().accepted
    assert machine.revision > revision, "people are told"
    assert (machine.state, machine.snapshot().asked) == (State.RESETTING, "")
    assert machine.reset_done().accepted
    assert machine.state is State.RUNNING


def test_nobody_is_asked_for_nothing_nor_where_the_world_resets_itself():
    for machine in (asked(""), asked("refill the bin", SceneReset.AUTOMATIC)):
        assert machine.snapshot().asked == ""
        machine.start(plan(2))
        assert machine.reset_done().accepted


def test_what_the_operator_did_early_is_not_asked_for_again():
    machine = asked("refill the bin")
    assert machine.reset_requested().accepted
    machine.start(plan(2))
    assert machine.reset_done().accepted
    machine.verdict(False, 3)
    machine.abort("camera died")
    machine.start(plan(3))
    assert machine.snapshot().asked == "look at the scene after: camera died"


@pytest.mark.parametrize("reset", [SceneReset.ASKED, SceneReset.OPERATOR])
def test_at_the_start_nobody_knows_the_scene(reset):
    machine = make(reset)
    assert machine.snapshot().asked == "look at the scene: the run starts"
    machine.start(plan())
    assert machine.waits_for_operator


@pytest.mark.parametrize("state", [State.ENDED, State.RUNNING])
def test_after_a_stop_the_operator_looks_at_the_scene(state):
    machine = in_state(state, SceneReset.ASKED)
    machine.estop(True, "protective stop")
    machine.estop(False)
    machine.start(plan(2))
    assert machine.snapshot().asked == "look at the scene after: protective stop"
    machine.clock.pass_time()
    machine.reset_requested()
    machine.reset_done()
    step(machine, 9)
    machine.verdict(False, 10)
    machine.mark_failure()
    machine.start(plan(3))
    assert not machine.waits_for_operator, "asked once"


def test_what_nobody_has_done_yet_is_still_asked_for_after_a_stop():
    machine = asked("refill the bin")
    machine.start(plan(2))
    machine.estop(True, "teleop lost")
    machine.estop(False)
    machine.start(plan(3))
    assert machine.snapshot().asked == "refill the bin, look at the scene after: teleop lost"


def test_after_a_stop_a_manual_reset_is_asked_for_again():
    machine = in_state(State.ENDED, SceneReset.OPERATOR)
    machine.reset_requested()
    machine.estop(True)
    machine.estop(False)
    machine.start(plan(2))
    assert machine.state is State.RESETTING

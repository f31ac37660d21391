# SPDX-License-Identifier: Apache-2.0
"""The stages of a run: order, counting, seeds, and going on from saved progress."""

from __future__ import annotations

import json
from copy import deepcopy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from expo_ft_ros.control.episode_machine import EpisodeSnapshot
from expo_ft_ros.control.plan import Plan
from expo_ft_ros.experiment.stages import MOST_DISCARDED, Session, SessionConfig, SessionError


def config(**changes) -> SessionConfig:
    values = {"demos": 2, "eval_trials": 3, "rl_steps": 50, "max_steps": 20, "seed": 4}
    return SessionConfig(**(values | changes))


def outcome(
    plan: Plan, success: bool = True, steps: int = 20, human: int = 0, discarded: bool = False
) -> EpisodeSnapshot:
    return EpisodeSnapshot(
        episode=plan.episode, steps=steps, human_steps=human, success=success, discarded=discarded
    )


def advance(session: Session, success: bool = True, **changes) -> Plan:
    """Do what the plan says; returns the plan that was done."""
    plan = session.next_plan()
    if plan.stage == "imitation":
        session.stage_finished("imitation")
    elif plan.stage != "done":
        session.episode_finished(outcome(plan, success, **changes))
    return plan


def run_out(session: Session, success: bool = True) -> list[Plan]:
    plans = []
    while session.stage != "done":
        plans.append(advance(session, success))
        assert len(plans) < 1000
    return plans


def test_a_whole_run_in_order():
    plans = run_out(Session(config()))
    stages = [plan.stage for plan in plans]
    assert stages == (
        ["collect"] * 2 + ["imitation"] + ["eval_before"] * 3 + ["rl"] * 3 + ["eval_after"] * 3
    )
    roles = {plan.stage: (plan.policy, plan.operator, plan.learn) for plan in plans}
    assert roles == {
        "collect": ("none", "demonstrate", False),
        "imitation": ("none", "none", False),
        "eval_before": ("mode", "none", False),
        "rl": ("sample", "correct", True),
        "eval_after": ("mode", "none", False),
    }
    assert [plan.episode for plan in plans] == [1, 2, 0, 3, 4, 5, 6, 7, 8, 9, 10, 11]


def test_both_evaluations_see_the_same_scenes_and_no_training_scene():
    plans = run_out(Session(config()))
    seeds = {
        stage: [plan.seed for plan in plans if plan.stage == stage]
        for stage in ("collect", "eval_before", "rl", "eval_after")
    }
    assert seeds["eval_before"] == seeds["eval_after"]
    trained = seeds["collect"] + seeds["rl"]
    assert len(set(trained)) == len(trained)
    assert not set(trained) & set(seeds["eval_after"])
    other = [plan.seed for plan in run_out(Session(config(seed=5)))]
    assert not set(other) & {plan.seed for plan in plans}


def test_asking_again_gives_the_same_plan():
    session = Session(config())
    assert session.next_plan() == session.next_plan()


def test_an_episode_reported_twice_counts_once():
    session = Session(config())
    plan = session.next_plan()
    assert session.episode_finished(outcome(plan))
    assert not session.episode_finished(outcome(plan))
    assert session.tally("collect").finished == 1


def test_a_run_does_not_go_on_for_ever_with_what_comes_to_nothing():
    session = Session(config(demos=0, stages=("eval_after",), eval_trials=30))
    for _ in range(MOST_DISCARDED - 1):
        session.episode_finished(outcome(session.next_plan(), discarded=True))
    session.episode_finished(outcome(session.next_plan()))
    for _ in range(MOST_DISCARDED - 1):
        session.episode_finished(outcome(session.next_plan(), discarded=True))
    session.episode_finished(outcome(session.next_plan(), discarded=True))
    with pytest.raises(SessionError, match="the last 20 episodes were all discarded"):
        session.next_plan()


def test_the_operator_who_has_his_coffee_ends_no_run():
    session = Session(config())
    for _ in range(2 * MOST_DISCARDED):
        session.episode_finished(outcome(session.next_plan(), discarded=True))
    assert session.next_plan().stage == "collect"


def test_a_discarded_episode_is_not_counted_and_its_scene_comes_again():
    session = Session(config())
    first = session.next_plan()
    assert session.episode_finished(outcome(first, discarded=True))
    again = session.next_plan()
    assert again.seed == first.seed
    assert again.episode == first.episode + 1
    assert session.tally("collect").finished == 0


@pytest.mark.parametrize("success", [True, False])
@pytest.mark.parametrize("begun", [True, False])
def test_a_demonstration_that_is_redone_comes_again_and_nothing_else_is_lost(success, begun):
    session = Session(config(demos=3))
    advance(session, human=20)
    before, tally = session.stats(), deepcopy(session.tally("collect"))
    done = advance(session, success, human=7, steps=9)
    assert session.next_plan().seed == done.seed + 1
    if begun:
        # The next one was on already, and ended by that.
        session.episode_finished(outcome(session.next_plan(), discarded=True))
    assert session.take_back(done.episode)
    again = session.next_plan()
    assert (again.seed, again.redone) == (done.seed, done.episode)
    assert again.episode == done.episode + 1 + begun, "no number is used twice"
    assert session.stats() == before
    assert session.tally("collect") == tally
    assert not session.take_back(done.episode), "once"
    assert session.tally("collect") == tally
    advance(session)
    assert session.next_plan().redone == 0


def test_the_last_demonstration_of_all_may_be_redone_until_it_is_imitated():
    session = Session(config(demos=1))
    done = advance(session)
    assert session.stage == "imitation"
    assert session.take_back(done.episode)
    assert session.next_plan().stage == "collect"
    done = advance(session)
    advance(session)
    assert not session.take_back(done.episode)
    assert session.tally("collect").successes == 1


def test_failed_demonstrations_are_repeated_in_other_scenes_up_to_a_bound():
    session = Session(config(demos=2))
    failed, done = advance(session, success=False), advance(session, success=True)
    assert failed.stage == done.stage == "collect"
    assert failed.seed != done.seed
    assert session.progress() == (1, 2)
    assert session.stage == "collect"
    for _ in range(4):
        advance(session, success=False)
    with pytest.raises(SessionError, match=r"1 of 2 demonstrations succeeded in 6 attempts"):
        advance(session, success=False)


def test_the_last_allowed_attempt_may_succeed():
    session = Session(config(demos=1))
    advance(session, False), advance(session, False)
    advance(session, True)
    assert session.stage == "imitation"


def test_rl_ends_at_the_end_of_an_episode():
    session = Session(config(demos=0, eval_trials=0, rl_steps=50))
    lengths = [20, 20, 9, 20]
    for steps in lengths:
        assert session.stage == "rl"
        advance(session, steps=steps)
    assert session.stage == "done"
    assert session.env_steps == 69


def test_stages_with_nothing_to_do_are_skipped():
    assert [p.stage for p in run_out(Session(config(demos=0, eval_trials=0)))] == ["rl"] * 3
    assert Session(config(demos=0, eval_trials=0, rl_steps=0)).next_plan().stage == "done"


def test_demonstrations_from_elsewhere_are_imitated():
    plans = run_out(Session(config(demos=0, given=3, operator="none", eval_trials=1, rl_steps=1)))
    assert [plan.stage for plan in plans] == ["imitation", "eval_before", "rl", "eval_after"]


def test_a_run_of_some_stages():
    assert {p.stage for p in run_out(Session(config(stages=("collect",))))} == {"collect"}
    assert [p.stage for p in run_out(Session(config(stages=("imitation",))))] == ["imitation"]
    only_eval = Session(config(stages=("eval_after",), operator="none"))
    assert [p.stage for p in run_out(only_eval)] == ["eval_after"] * 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"operator": "none"}, "nobody can give 2 demonstrations"),
        ({"stages": ("rl", "collect")}, "must be in the order"),
        ({"stages": ("rl", "rl")}, "once each"),
        ({"max_steps": 0}, "greater than or equal to 1"),
    ],
)
def test_a_run_that_can_not_be_done_is_refused(changes, message):
    with pytest.raises(ValidationError, match=message):
        config(**changes)


def test_without_an_operator_nobody_corrects():
    session = Session(config(demos=0, eval_trials=0, operator="none"))
    assert session.next_plan().operator == "none"


def test_stage_finished_counts_only_for_imitation_and_only_then():
    session = Session(config())
    assert not session.stage_finished("imitation")
    assert session.stage == "collect"
    advance(session), advance(session)
    assert not session.stage_finished("rl")
    assert session.stage == "imitation"
    assert session.stage_finished("imitation")
    assert not session.stage_finished("imitation")


def test_rates_are_of_the_last_twenty_episodes():
    session = Session(config(demos=0, eval_trials=0, rl_steps=10_000))
    assert session.stats().success_rate == 0
    assert session.stats().episodes == 0
    for _ in range(15):
        advance(session, success=False, steps=20, human=10)
    for i in range(15):
        advance(session, success=i % 3 > 0, steps=10, human=0)
    stats = session.stats("rl")
    assert stats.episodes == 30
    assert stats.success_rate == pytest.approx(10 / 20)
    assert stats.intervention_rate == pytest.approx(5 * 10 / (5 * 20 + 15 * 10))


def test_the_amounts_of_a_saved_run_may_change():
    session = Session(config(demos=0, eval_trials=0, rl_steps=20))
    advance(session)
    assert session.stage == "done"
    longer = Session(config(demos=0, eval_trials=0, rl_steps=60))
    longer.load_state_dict(session.state_dict())
    assert longer.stage == "rl"
    assert longer.env_steps == 20


def test_stages_that_are_over_stay_over_when_a_run_asks_for_more():
    session = Session(config(demos=1, eval_trials=1, rl_steps=20))
    while session.stage != "done":
        session.stage_finished("imitation")
        advance(session)
    longer = Session(config(demos=5, eval_trials=3, rl_steps=60))
    longer.load_state_dict(session.state_dict())
    assert longer.stage == "rl"
    assert longer.tally("eval_before").finished == 1


def test_more_steps_are_evaluated_anew():
    session = Session(config(demos=0, eval_trials=2, rl_steps=20))
    while session.stage != "done":
        advance(session)
    longer = Session(config(demos=0, eval_trials=2, rl_steps=60))
    longer.load_state_dict(session.state_dict())
    assert longer.stage == "rl"
    assert longer.tally("eval_before").finished == 2
    assert longer.tally("eval_after").finished == 0


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda state: state.update(seed=9), "seed 9 is not 4"),
        (lambda state: state.update(format=0), "format 0 is not 1"),
        (lambda state: state.pop("episode"), "episode: Field required"),
        (lambda state: state["stages"].pop("rl"), "stages are .*, not .*'rl'"),
        (lambda state: state.update(imitated="false"), "imitated: .*valid boolean"),
        (lambda state: state.update(episode=0), "episode: .*greater than or equal to 1"),
        (lambda state: state["stages"]["rl"].update(recent=[[1]]), "stages.rl.recent.0"),
        (lambda state: state["stages"]["rl"].update(steps="many"), "stages.rl.steps"),
    ],
)
def test_progress_that_does_not_fit_is_refused_and_changes_nothing(damage, message):
    session = Session(config())
    advance(session)
    before = session.state_dict()
    state = json.loads(json.dumps(before))
    damage(state)
    with pytest.raises(SessionError, match=message):
        session.load_state_dict(state)
    assert session.state_dict() == before


episodes = st.tuples(st.booleans(), st.integers(1, 20), st.integers(0, 20), st.booleans())


@settings(deadline=None, max_examples=60)
@given(st.lists(episodes, max_size=60), st.data())
def test_killed_at_any_point_a_run_goes_on_as_if_nothing_had_happened(history, data):
    """The one that is saved and loaded again at some point plans what the other one plans."""
    setup = config(demos=1, eval_trials=2, rl_steps=60)
    steady, killed = Session(setup), Session(setup)
    cut = data.draw(st.integers(0, len(history)))
    for i, (success, steps, human, discarded) in enumerate(history):
        if i == cut:
            saved = json.loads(json.dumps(killed.state_dict()))
            killed = Session(setup)
            killed.load_state_dict(saved)
        plan = steady.next_plan()
        assert killed.next_plan() == plan
        assert killed.state_dict() == steady.state_dict()
        result = outcome(plan, success or plan.stage == "collect", steps, min(human, steps))
        for session in (steady, killed):
            session.stage_finished("imitation")
            session.episode_finished(outcome(plan, discarded=True) if discarded else result)
            stats = session.stats()
            assert 0 <= stats.success_rate <= 1
            assert 0 <= stats.intervention_rate <= 1
            done, total = session.progress()
            assert 0 <= done <= total


def test_with_motion_off_episodes_come_to_an_end_and_none_counts():
    session = Session(config(stages=("shadow",), operator="none", learns=False))
    measured = Session(config(stages=("eval_after",), operator="none", learns=False))
    assert session.next_plan().seed == measured.next_plan().seed, "an evaluation's scenes"
    plans = []
    while session.stage != "done":
        plans.append(advance(session, success=False, discarded=True))
        session.load_state_dict(json.loads(json.dumps(session.state_dict())))
    assert [(p.stage, p.policy, p.operator, p.learn) for p in plans] == [
        ("shadow", "mode", "none", False)
    ] * 3
    assert session.tally("shadow").successes == 0
    assert session.tally("eval_after").finished == 0


def test_the_budget_counts_the_steps_of_robots_that_have_joined():
    """Between two episodes of the run's own; also over a restart, and never fewer."""
    session = Session(config(stages=("rl", "eval_after"), rl_steps=50, eval_trials=2))
    advance(session, steps=20)
    session.count_joined(29)
    session.count_joined(5)
    assert (session.stage, session.env_steps, session.progress()) == ("rl", 49, (49, 50))
    session.count_joined(30)
    assert session.stage == "eval_after"
    advance(session)
    again = Session(session.config)
    again.load_state_dict(json.loads(json.dumps(session.state_dict())))
    assert (again.stage, again.env_steps) == ("eval_after", 50)
    assert again.tally("eval_after").finished == 1, "no trial is lost"
    old = session.state_dict()
    del old["joined_steps"]
    alone = Session(session.config)
    alone.load_state_dict(old)
    assert alone.env_steps == 20


def test_a_robot_that_has_joined_practises_until_it_is_told():
    session = Session(config(stages=("rl",), demos=0, rl_steps=None))
    for _ in range(3):
        assert advance(session, steps=1000).stage == "rl"
    assert session.progress() == (0, 0)
    session.end()
    assert session.next_plan().stage == "done"

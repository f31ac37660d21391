# SPDX-License-Identifier: Apache-2.0
"""Statistics of branches, on made-up ones of which the answer is known."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from expo_ft_ros.experiment import choice_report
from expo_ft_ros.experiment.branches import Branches
from support.branches import GAMMA, make_branches

NUMBERS = st.lists(st.integers(-5, 5), min_size=2, max_size=12)


def report_of(branches: Branches, name: str, phase: str = "overall") -> choice_report.SetReport:
    return choice_report.report(branches, GAMMA)[phase][name]


def by_hand(values: list[float]) -> list[float]:
    """Ranks by their definition: those below, and half of the other equal ones."""
    return [sum(v < x for v in values) + (sum(v == x for v in values) - 1) / 2 for x in values]


@given(NUMBERS)
def test_ranks_of_ties_are_their_mean(values):
    np.testing.assert_allclose(choice_report.ranks(np.array(values, float)), by_hand(values))


@given(st.lists(st.tuples(st.integers(-5, 5), st.integers(-5, 5)), min_size=2, max_size=12))
def test_rank_correlation_is_pearson_s_of_ranks(pairs):
    a, b = (np.array(column, float) for column in zip(*pairs, strict=True))
    found = choice_report.rank_correlation(a, b)
    if len(set(a)) == 1 or len(set(b)) == 1:
        assert np.isnan(found)
    else:
        expected = np.corrcoef(by_hand(list(a)), by_hand(list(b)))[0, 1]
        assert found == pytest.approx(expected)


def test_the_value_of_a_perfect_and_of_a_perverse_critic():
    """At each state two of four chunks succeed in every continuation."""
    success = np.tile(np.array([1, 1, 0, 0], bool)[:, None], (1, 2))
    good = make_branches([success] * 10, q=np.array([0.9, 0.9, 0.1, 0.1]))
    found = report_of(good, "base")
    assert (found.success.random.mean, found.success.best.mean) == (0.5, 1.0)
    assert (found.success.by_q.mean, found.success.gain.mean) == (1.0, 0.5)
    assert found.success.gain.error == 0.0
    assert found.within.mean == pytest.approx(1.0)
    assert found.success.random.states == 10
    bad = report_of(good.valued(-good.q), "base")
    assert bad.success.by_q.mean == 0.0
    assert bad.within.mean == pytest.approx(-1.0)


def test_the_best_of_pure_chance_is_worth_no_more_than_any():
    """The winner of one half of the continuations has only its luck there."""
    rng = np.random.default_rng(0)
    branches = make_branches([rng.random((8, 2)) < 0.5 for _ in range(2000)], q=rng.random(8))
    found = choice_report.report_of(branches, branches.kind == "base", GAMMA)
    assert found.success.random.mean == pytest.approx(0.5, abs=0.01)
    assert found.success.best.mean == pytest.approx(0.5, abs=0.03)
    assert found.success.by_q.mean == pytest.approx(0.5, abs=0.04)
    assert abs(found.within.mean) < 0.03
    assert abs(found.success.room.mean) < 3 * found.success.room.error


def test_choosing_may_beat_chance_and_still_lose_to_the_base_chunks():
    """Half of the set is bad blindly: a critic that mostly avoids it gains on the set's mean, and
    is worse than the policy alone."""
    success = np.array([[1, 1], [1, 1], [0, 0], [0, 0]], bool)
    kinds = ["base", "base", "gripper", "gripper"]
    right = [np.array([0.9, 0.1, 0.2, 0.3])] * 7
    wrong = [np.array([0.1, 0.2, 0.9, 0.3])] * 3
    branches = make_branches([success] * 10, q=np.zeros(4), kinds=kinds)
    q = np.concatenate(right + wrong).astype(np.float32)
    found = report_of(branches.valued(q), "base+gripper")
    assert found.success.gain.mean == pytest.approx(0.2)
    assert found.success.over_base.mean == pytest.approx(-0.3)
    # Paired: the error of the differences, of which three are -1 and seven 0.
    expected = np.std([0] * 7 + [-1] * 3, ddof=1) / np.sqrt(10)
    assert found.success.over_base.error == pytest.approx(expected)
    assert found.returns.over_base.mean == pytest.approx(-0.3)
    alone = report_of(branches.valued(q), "base").success
    assert alone.over_base == alone.gain
    assert np.isnan(report_of(branches.valued(q), "gripper").success.over_base.mean)


def test_over_base_is_paired_state_by_state():
    """States differ by far more than candidates do: only pairs show the critic's gain."""
    states = [np.array([[hard], [hard], [1 - hard]], bool).repeat(2, 1) for hard in (0, 1)] * 10
    branches = make_branches(states, q=np.zeros(3), kinds=["base", "base", "edited"])
    best = branches.success.mean(axis=1).astype(np.float32)
    found = report_of(branches.valued(best), "base+edited").success
    base = np.array([state[:2].mean() for state in states])
    assert found.by_q.error == 0.0
    assert found.over_base.mean == pytest.approx(np.mean(1 - base))
    assert found.over_base.error == pytest.approx(np.std(1 - base, ddof=1) / np.sqrt(20))


@pytest.mark.parametrize("continuations", [2, 3, 6])
def test_how_much_candidates_differ_is_found_beneath_their_noise(continuations):
    """Candidates' chances are drawn with a standard deviation that is known, around a state's."""
    rng = np.random.default_rng(0)
    chance = rng.uniform(0.3, 0.7, (1000, 1)) + 0.15 * rng.choice([-1.0, 1.0], (1000, 8))
    states = [rng.random((8, continuations)) < of_state[:, None] for of_state in chance]
    branches = make_branches(states, q=np.zeros(8))
    found = choice_report.report_of(branches, branches.kind == "base", GAMMA).success
    assert abs(found.variance.mean - 0.15**2) < 3 * found.variance.error
    assert found.variance.error < 0.15**2 / 5
    shown, least, most = map(float, re.findall(r"[\d.]+", found.deviation))
    assert least <= shown <= most
    assert (shown, least, most) == pytest.approx((0.15, 0.15, 0.15), abs=0.05)


@given(st.integers(0, 2**32 - 1), st.integers(2, 6), st.integers(2, 7))
def test_the_variance_is_the_covariance_of_two_halves(seed, count, continuations):
    values = np.random.default_rng(seed).random((count, continuations))
    half = continuations // 2
    first, second = values[:, :half].mean(axis=1), values[:, half:].mean(axis=1)
    expected = np.cov(first, second)[0, 1]
    assert choice_report.variance_between(values) == pytest.approx(expected, abs=1e-12)


def test_what_pure_chance_makes_differ_is_nothing():
    rng = np.random.default_rng(1)
    branches = make_branches([rng.random((8, 2)) < 0.5 for _ in range(2000)], q=np.zeros(8))
    found = choice_report.report_of(branches, branches.kind == "base", GAMMA).success
    assert abs(found.variance.mean) < 3 * found.variance.error
    assert found.deviation.split()[0] in {"0.00", "0.01", "0.02", "0.03"}


def test_one_candidate_or_one_continuation_differs_from_nothing():
    assert np.isnan(choice_report.variance_between(np.ones((1, 4))))
    assert np.isnan(choice_report.variance_between(np.ones((4, 1))))
    single = report_of(make_branches([np.ones((1, 2), bool)] * 2, q=np.zeros(1)), "base")
    assert single.success.deviation == "-"


def test_no_continuation_of_an_odd_number_is_left_out():
    """One half is the first, the other both others: the second candidate is best by these alone."""
    values = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    chosen_by_first, chosen_by_others = values[0, 1:].mean(), values[1, 0]
    expected = (chosen_by_first + chosen_by_others) / 2
    assert choice_report.best_by_halves(values, values) == expected == 0.0
    values[1, 0] = 0.5
    assert choice_report.best_by_halves(values, values) == 0.25


def test_a_critic_that_knows_states_only():
    """Between states it is right, within one it says nothing."""
    states = [np.full((4, 2), place % 2 == 0) for place in range(20)]
    branches = make_branches(states, q=np.zeros(4))
    q = np.where(branches.success[:, 0], 0.8, 0.2).astype(np.float32)
    found = report_of(branches.valued(q), "base")
    assert found.between.mean == pytest.approx(1.0)
    assert np.isnan(found.within.mean)
    assert found.within.states == 0
    assert found.spread.mean == 0.0
    assert found.success.gain.mean == 0.0


def test_equal_values_are_a_draw():
    success = np.array([[1, 1], [0, 0], [0, 0], [0, 0]], bool)
    found = report_of(make_branches([success] * 3, q=np.zeros(4)), "base")
    assert found.success.by_q.mean == found.success.random.mean == 0.25


def test_returns_are_discounted_as_rewards_are():
    """The reward of the first step isn't."""
    branches = make_branches([np.ones((1, 2), bool)], q=np.zeros(1), steps=np.array([[1, 3]]))
    np.testing.assert_allclose(branches.returns(GAMMA), [[1.0, GAMMA**2]])
    assert report_of(branches, "base").returns.random.mean == pytest.approx((1 + GAMMA**2) / 2)


def test_one_continuation_says_nothing_about_the_best():
    found = report_of(make_branches([np.eye(3, 1, dtype=bool)] * 2, q=np.arange(3.0)), "base")
    assert np.isnan(found.success.best.mean)
    assert str(found.success.best) == "-"
    assert found.success.random.mean == pytest.approx(1 / 3)


def test_without_a_critic_the_rest_is_told():
    found = report_of(make_branches([np.ones((2, 2), bool)] * 2, q=np.full(2, np.nan)), "base")
    assert np.isnan(found.success.by_q.mean)
    assert found.success.random.mean == 1.0
    json.loads(json.dumps(choice_report.as_json(found), allow_nan=False))


@given(st.lists(st.integers(-5, 5), min_size=2, max_size=12))
def test_the_error_of_independent_states_is_that_of_a_mean(values):
    found = choice_report.estimate(np.array(values, float), np.arange(len(values)))
    assert found.error == pytest.approx(np.std(values, ddof=1) / np.sqrt(len(values)), abs=1e-12)


def test_states_of_one_episode_count_once_where_they_go_together():
    values = np.random.default_rng(0).normal(size=40)
    alone = choice_report.estimate(values, np.arange(40))
    twice = choice_report.estimate(np.repeat(values, 3), np.repeat(np.arange(40), 3))
    assert twice.mean == pytest.approx(alone.mean)
    assert twice.error == pytest.approx(alone.error)
    assert twice.states == 120
    left_out = np.where(np.arange(40) < 10, np.nan, values)
    assert choice_report.estimate(left_out, np.arange(40)).states == 30
    assert np.isnan(choice_report.estimate(values, np.zeros(40)).error)


def test_kinds_are_sets_and_with_the_base_chunks_others():
    kinds = ["base", "base", "gripper", "random_edits"]
    proposed = np.array([True, True, False, False])
    success = np.array([[0, 0], [0, 0], [1, 1], [0, 0]], bool)
    branches = make_branches([success] * 2, q=np.arange(4.0), kinds=kinds, proposed=proposed)
    sets = choice_report.sets_of(branches)
    assert set(sets) == {
        "base", "gripper", "random_edits", "base+gripper", "base+random_edits", "all",
    }  # fmt: skip
    assert report_of(branches, "gripper").success.random.mean == 1.0
    assert report_of(branches, "base+gripper").success.by_q.mean == 1.0
    assert report_of(branches, "all").success.by_q.mean == 0.0
    assert report_of(branches, "base+gripper").candidates == 3
    proposed = np.array([True, True, True, False])
    wider = make_branches([success] * 2, q=np.arange(4.0), kinds=kinds, proposed=proposed)
    assert "agent" not in choice_report.sets_of(wider)


def test_phases_are_thirds_of_the_episode_and_what_the_gripper_did():
    states = [np.full((1, 2), place < 3, dtype=bool) for place in range(6)]
    branches = make_branches(
        states,
        q=np.zeros(1),
        step=np.array([0, 8, 24, 40, 48, 56]),
        length=np.full(6, 60),
        closed=np.array([0, 0, 0, 0, 1, 1], bool),
    )
    found = choice_report.report(branches, GAMMA)
    means = {phase: of["base"].success.random.mean for phase, of in found.items()}
    assert means == {
        "overall": 0.5,
        "first third": 1.0,
        "second third": 1.0,
        "last third": 0.0,
        "before the gripper first closes": 0.75,
        "after it": 0.0,
    }
    counted = [of["base"].success.random.states for of in found.values()]
    assert counted == [6, 2, 1, 3, 4, 2]


def test_the_table_names_every_phase_and_set():
    branches = make_branches([np.eye(2, dtype=bool)] * 3, q=np.arange(2.0))
    text = choice_report.as_text(choice_report.report(branches, GAMMA))
    assert text.startswith("overall\nset ")
    assert "\nbase " in text
    assert "over base" in text.splitlines()[1]
    assert len({len(line.split("  ")) > 3 for line in text.splitlines() if line}) == 2

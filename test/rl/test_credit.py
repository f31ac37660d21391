# SPDX-License-Identifier: Apache-2.0
"""Who may be credited with what: read off random episodes, step by step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from expo_ft_ros.data.episode import Episode
from expo_ft_ros.data.types import Source
from expo_ft_ros.rl.credit import any_from, discounted_returns, next_of, takeovers
from expo_ft_ros.rl.replay_buffer import ReplayBuffer
from expo_ft_ros.rl.value_config import ReturnBound
from support.episodes import make_episode

GAMMA = 0.9
POLICY, HUMAN, HOLD = Source.POLICY, Source.HUMAN, Source.HOLD

drivers = st.lists(st.sampled_from([POLICY, HUMAN, HOLD]), min_size=1, max_size=14)


def driven(sources: Sequence[Source], success: bool, stage: str = "rl") -> Episode:
    episode = make_episode(1, len(sources), terminated=success, stage=stage)
    return replace(episode, source=np.array(sources, np.uint8))


def is_takeover(sources: Sequence[Source], step: int) -> bool:
    """A human's step, before which the last one that was driven was the policy's."""
    before = [source for source in sources[:step] if source != HOLD]
    return sources[step] == HUMAN and bool(before) and before[-1] == POLICY


@given(drivers)
def test_a_takeover_is_from_the_policy(sources):
    found = takeovers(np.array(sources, np.uint8))
    assert found.tolist() == [is_takeover(sources, step) for step in range(len(sources))]


def test_a_hold_between_the_operators_steps_is_no_takeover():
    sources = np.array([HUMAN, HOLD, HUMAN, POLICY, HOLD, HUMAN], np.uint8)
    assert np.flatnonzero(takeovers(sources)).tolist() == [5]


@given(st.lists(st.booleans(), min_size=1, max_size=12))
def test_what_comes_next_and_what_comes_at_all(marks):
    count, marked = len(marks), np.array(marks)
    after = [next((n for n in range(t + 1, count) if marks[n]), count) for t in range(count)]
    assert next_of(marked).tolist() == after
    assert any_from(marked).tolist() == [any(marks[t:]) for t in range(count)]


@given(st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=20), st.floats(0.1, 1))
def test_returns_are_the_sum(rewards, gamma):
    reward = np.array(rewards, np.float32)
    expected = [
        sum(gamma**i * float(r) for i, r in enumerate(reward[t:])) for t in range(len(reward))
    ]
    np.testing.assert_allclose(discounted_returns(reward, gamma), expected, rtol=1e-4, atol=1e-5)


@given(drivers, st.integers(1, 6), st.integers(0, 5), st.booleans())
def test_a_takeover_may_end_the_windows_before_it(sources, steps, extra, success):
    """Brute force: a window goes on until C steps, the episode's end, or a takeover."""
    replay = ReplayBuffer(40, 8, ("side", "wrist"), GAMMA)
    replay.add(make_episode(2, 3, terminated=True))
    episode = driven(sources, success)
    where = replay.add(episode)
    window = replay.window(where[:-1], steps, steps + extra, takeover_ends=True)
    total = len(sources)
    for t in range(total):
        taken, ended = 0, False
        while taken < steps and not ended:
            taken += 1
            over = t + taken == total
            ended = over or is_takeover(sources, t + taken)
        final = ended and (t + taken < total or success)
        reward = sum(GAMMA**i * episode.reward[t + i] for i in range(taken))
        assert window.length[t] == taken
        assert window.after[t] == where[t + taken]
        assert window.reward[t] == pytest.approx(reward, abs=1e-6)
        assert window.bootstrap[t] == pytest.approx(0 if final else GAMMA**taken, abs=1e-6)
        # Past its end no step of the operator's: the last real action again.
        last = next((k for k in range(t + 1, total) if is_takeover(sources, k)), total) - 1
        for i in range(steps + extra):
            np.testing.assert_array_equal(
                window.actions[t, i], episode.executed[min(t + i, last)], err_msg=f"{t} {i}"
            )


@given(drivers, st.integers(1, 6), st.booleans(), st.booleans())
def test_the_return_bounds_a_success_only_where_nobody_else_earned_it(
    sources, steps, success, takeover_ends
):
    replay = ReplayBuffer(40, 8, ("side", "wrist"), GAMMA)
    replay.add(make_episode(2, 3, terminated=True))
    episode = driven(sources, success)
    where = replay.add(episode)
    window = replay.window(where[:-1], steps, steps, takeover_ends=takeover_ends)
    total = len(sources)
    kinds: tuple[ReturnBound, ...] = ("none", "success", "unmended", "unhelped")
    for kind in kinds:
        bound = replay.return_bound(window, kind, takeover_ends=takeover_ends)
        for t in range(total):
            mended = any(is_takeover(sources, k) for k in range(t + 1, total))
            helped = HUMAN in sources[t + int(window.length[t]) :]
            known = success and kind != "none" and not (takeover_ends and mended)
            known &= not (kind == "unmended" and mended)
            known &= not (kind == "unhelped" and helped)
            returned = GAMMA ** (total - 1 - t)
            assert bound[t] == pytest.approx(returned if known else -np.inf), (kind, t)


@given(drivers, st.booleans(), st.booleans())
def test_a_return_is_ones_own_unless_somebody_takes_over_or_the_world_goes_on(
    sources, success, truncation_ends
):
    replay = ReplayBuffer(40, 8, ("side", "wrist"), GAMMA)
    replay.add(make_episode(2, 3, terminated=True))
    where = replay.add(driven(sources, success))
    found = replay.own_return(where[:-1], truncation_ends=truncation_ends)
    total = len(sources)
    for t in range(total):
        mended = any(is_takeover(sources, k) for k in range(t + 1, total))
        if mended or not (success or truncation_ends):
            assert np.isnan(found[t]), t
        else:
            assert found[t] == pytest.approx(success * GAMMA ** (total - 1 - t)), t


@given(st.integers(1, 12), st.integers(1, 6))
def test_a_bound_is_what_backups_along_the_episode_end_at(length, steps):
    """Where each window bootstraps with its own bound, what comes out is the bound: for windows
    that the end cuts, too."""
    replay = ReplayBuffer(40, 8, ("side", "wrist"), GAMMA)
    where = replay.add(driven([POLICY] * length, True))
    window = replay.window(where[:-1], steps, steps)
    bound = replay.return_bound(window, "unhelped")
    of_slot = dict(zip(where, [*bound, 0.0], strict=True))
    following = np.array([of_slot[slot] for slot in window.after])
    np.testing.assert_allclose(window.reward + window.bootstrap * following, bound, rtol=1e-5)


def test_a_demonstration_bounds_what_nobody_mended_not_what_nobody_drove():
    replay = ReplayBuffer(40, 8, ("side", "wrist"), GAMMA)
    where = replay.add(driven([HUMAN, HOLD, HUMAN, HUMAN], True, stage="collect"))
    window = replay.window(where[:-1], 1, 1)
    assert np.isfinite(replay.return_bound(window, "unmended")).all()
    assert np.isfinite(replay.return_bound(window, "unhelped")).tolist() == [False] * 3 + [True]

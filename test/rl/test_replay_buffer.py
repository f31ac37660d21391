# SPDX-License-Identifier: Apache-2.0
"""Windows against a brute-force reading of the equations, over random episodes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from expo_ft_ros.data.types import Source, chunk_id
from expo_ft_ros.rl.candidate_cache import CandidateCache
from expo_ft_ros.rl.replay_buffer import ReplayBuffer
from support.episodes import make_episode

GAMMA = 0.9
VIEWS = ("side", "wrist")

episode_shapes = st.lists(st.tuples(st.integers(1, 12), st.booleans()), min_size=1, max_size=6)


@settings(max_examples=60, deadline=None)
@given(shapes=episode_shapes, steps=st.integers(1, 8), extra=st.integers(0, 4))
def test_windows_follow_the_td_target_equation(shapes, steps, extra):
    replay = ReplayBuffer(100, 8, VIEWS, GAMMA)
    episodes = [make_episode(i, n, terminated=t) for i, (n, t) in enumerate(shapes)]
    slots = [replay.add(e) for e in episodes]
    for episode, where in zip(episodes, slots, strict=True):
        total = len(episode)
        window = replay.window(where[:-1], steps, steps + extra)
        for t in range(total):
            taken = min(steps, total - t)
            expected = sum(GAMMA**i * episode.reward[t + i] for i in range(taken))
            ended = t + taken == total and episode.outcome.terminated
            assert window.length[t] == taken
            assert window.after[t] == where[t + taken]
            assert window.reward[t] == pytest.approx(expected, abs=1e-6)
            assert window.bootstrap[t] == pytest.approx(0 if ended else GAMMA**taken, abs=1e-6)
            for i in range(steps + extra):
                real = min(t + i, total - 1)
                np.testing.assert_array_equal(window.actions[t, i], episode.executed[real])


@settings(max_examples=30, deadline=None)
@given(shapes=st.lists(st.tuples(st.integers(1, 12), st.booleans()), min_size=1, max_size=30))
def test_eviction_never_leaves_half_an_episode(shapes):
    replay = ReplayBuffer(40, 8, VIEWS, GAMMA)
    for i, (n, t) in enumerate(shapes):
        episode = make_episode(i, n, terminated=t)
        where = replay.add(episode)
        np.testing.assert_array_equal(replay.action[where[:-1]], episode.executed)
        starts = replay.starts()
        window = replay.window(starts, 5, 5)
        assert (window.length >= 1).all()
        assert set(window.after) <= set(replay.slots)
    held = replay.slots
    assert len(set(held)) == len(held)
    assert len(replay) == len(replay.starts())


def test_final_observation_is_never_a_start():
    replay = ReplayBuffer(20, 8, VIEWS, GAMMA)
    where = replay.add(make_episode(1, 5, terminated=True))
    assert where[-1] not in replay.starts()


def test_starts_select_success_and_human_steps():
    replay = ReplayBuffer(50, 8, VIEWS, GAMMA)
    good = replay.add(make_episode(1, 6, terminated=True))
    replay.add(make_episode(2, 6, terminated=False))
    assert set(replay.starts(successful=True)) == set(good[:-1])
    human = replay.starts(human=1)
    assert (replay.source[human] == 1).all()
    assert len(human) == replay.human_steps


@given(
    steps=st.lists(
        st.tuples(st.sampled_from(list(Source)), st.booleans()), min_size=1, max_size=14
    ),
    length=st.integers(1, 8),
)
def test_a_window_of_an_explored_chunk_may_be_left_out(steps, length):
    """Of what the policy drove of it; where the operator drove instead nothing was explored."""
    replay = ReplayBuffer(40, 8, VIEWS, GAMMA)
    for number in (1, 2):
        episode = replace(
            make_episode(number, len(steps), terminated=True),
            source=np.array([source for source, _ in steps], np.uint8),
            chunk=np.array([chunk_id(5, explored=flag) for _, flag in steps], np.uint64),
        )
        where = replay.add(episode)
        explored = [source == Source.POLICY and flag for source, flag in steps]
        expected = {int(where[t]) for t in range(len(steps)) if not any(explored[t : t + length])}
        assert set(replay.starts(exclude_explored=length)) & set(where) == expected
        assert set(where[:-1]) <= set(replay.starts())


@settings(max_examples=40, deadline=None)
@given(shapes=episode_shapes, steps=st.integers(1, 8))
def test_starts_by_what_their_windows_hold(shapes, steps):
    replay = ReplayBuffer(100, 8, VIEWS, GAMMA)
    expected: dict[str, set[int]] = {"human": set(), "whole": set(), "demonstrated": set()}
    exclude_pre_intervention = set()
    for i, (n, terminated) in enumerate(shapes):
        stage = "collect" if i % 2 else "rl"
        episode = make_episode(i, n, terminated=terminated, stage=stage)
        where = replay.add(episode)
        for t in range(n):
            if episode.source[t : t + steps].any():
                expected["human"].add(int(where[t]))
            mended = [
                not episode.source[i] and episode.source[i:].any()
                for i in range(t, min(t + steps, n))
            ]
            if not any(mended):
                exclude_pre_intervention.add(int(where[t]))
            if t + steps <= n:
                expected["whole"].add(int(where[t]))
            if stage == "collect":
                expected["demonstrated"].add(int(where[t]))
    assert set(replay.starts(human=steps)) == expected["human"]
    assert set(replay.starts(exclude_pre_intervention=steps)) == exclude_pre_intervention
    assert set(replay.starts(whole=steps)) == expected["whole"]
    assert set(replay.starts(demonstrated=True)) == expected["demonstrated"]
    others = set(replay.starts()) - expected["demonstrated"]
    assert set(replay.starts(demonstrated=False)) == others


def test_a_window_in_which_the_robot_was_held_shows_nothing_to_imitate():
    episode = make_episode(1, 6, terminated=True)
    episode = replace(episode, source=np.array([0, 1, 0, Source.HOLD, 0, 0], np.uint8))
    replay = ReplayBuffer(20, 8, VIEWS, GAMMA)
    where = replay.add(episode)
    assert list(replay.driven(replay.starts(), 2)) == [*where[:2], *where[4:6]]
    assert list(replay.driven(replay.starts(), 1)) == [*where[:3], *where[4:6]]
    shown = replay.add(replace(episode, outcome=replace(episode.outcome, stage="collect")))
    demonstrated = replay.starts(demonstrated=True)
    assert list(replay.driven(demonstrated, 2)) == [*shown[:-1]], "there the operator let it stand"


def test_a_timeout_may_count_as_an_end():
    replay = ReplayBuffer(20, 8, VIEWS, GAMMA)
    where = replay.add(make_episode(1, 5, terminated=False))
    window = replay.window(where[:-1], 2, 2, truncation_ends=True)
    np.testing.assert_allclose(window.bootstrap, [GAMMA**2] * 3 + [0, 0])


def test_episode_longer_than_the_buffer_is_refused_with_the_remedy():
    with pytest.raises(ValueError, match="raise replay_capacity"):
        ReplayBuffer(5, 8, VIEWS, GAMMA).add(make_episode(3, 9, terminated=False))


def test_candidate_cache_knows_missing_and_oldest():
    cache = CandidateCache(10, (2, 3, 7))
    slots = np.arange(6)
    assert list(cache.missing(slots)) == list(slots)
    cache.put(np.array([0, 1]), torch.ones(2, 2, 3, 7), version=5)
    cache.put(np.array([2]), torch.ones(1, 2, 3, 7), version=1)
    assert list(cache.missing(slots)) == [3, 4, 5]
    assert list(cache.oldest(np.array([0, 1, 2]), 1)) == [2]
    cache.forget(np.array([0]))
    assert 0 in cache.missing(slots)

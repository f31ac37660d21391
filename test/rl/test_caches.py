# SPDX-License-Identifier: Apache-2.0
"""Caches beside replay: the policy's shapes, a capacity in bytes, and what follows without them."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import torch

from expo_ft_ros.rl.candidate_cache import CandidateCache
from expo_ft_ros.rl.feature_cache import FeatureCache
from support.agents import fed, go_on, make_agent


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", [(5,), (4, 3)])
def test_features_have_the_shape_and_type_of_the_policy(dtype, shape):
    cache = FeatureCache(10, 2, shape, dtype)
    features = torch.randn(3, 2, *shape)
    slots = np.array([7, 0, 4])
    cache.put(slots, features)
    assert list(cache.missing(np.arange(8))) == [1, 2, 3, 5, 6]
    plain = cache.get(slots, None)
    assert plain.dtype == dtype
    assert torch.equal(plain, features[:, 0].to(dtype))
    drawn = cache.get(np.repeat(slots, 50), np.random.default_rng(0))
    assert {bool(row.eq(plain[0]).all()) for row in drawn[:50]} == {True, False}
    cache.forget(slots[:1])
    assert list(cache.missing(slots)) == [7]


def test_what_is_kept_of_slots_comes_back_for_those_that_are_the_same():
    slots = np.array([2, 3, 5])
    caches = [FeatureCache(8, 2, (3,), torch.float32), CandidateCache(8, (2, 3, 7))]
    caches[0].put(slots, torch.randn(3, 2, 3))
    caches[1].put(slots, torch.randn(3, 2, 3, 7), version=4)
    again = [FeatureCache(8, 2, (3,), torch.float32), CandidateCache(8, (2, 3, 7))]
    for cache, other in zip(caches, again, strict=True):
        other.load_state_dict(cache.state_dict(np.arange(8)), np.array([2, 5, 6]))
        assert list(other.missing(np.arange(8))) == [0, 1, 3, 4, 6, 7]
    kept = np.array([2, 5])
    assert torch.equal(again[0].get(kept, None), caches[0].get(kept, None))
    assert torch.equal(again[1].get(kept), caches[1].get(kept))
    assert list(again[1].version[kept]) == [4, 4]


def bytes_of(agent) -> tuple[int, int]:
    """What candidates and features take."""
    config, vla = agent.config, agent.vla
    candidates = config.replay_capacity * config.candidates * agent.task.execute_steps * 7 * 4
    draws = 1 + config.augmented_features
    return candidates, config.replay_capacity * draws * vla.feature_shape[0] * 4


@pytest.mark.parametrize("algorithm", ["expo_ft", "dsrl", "hg_dagger"])
def test_what_would_not_fit_is_left_out_said_so_and_learned_without(algorithm, caplog):
    # Of features enough that they take more than the candidates.
    many = {"augmented_features": 9}
    candidates, features = bytes_of(make_agent(**many))
    assert features > candidates
    for room, kept in (
        (candidates + features, ("candidates", "features")),
        (candidates + features - 1, ("candidates",)),
        (candidates - 1, ()),
    ):
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            agent = fed(algorithm, cache_bytes=room, **many)
        memory = agent.memory
        assert (memory.candidates is not None) == ("candidates" in kept)
        assert (memory.features is not None) == ("features" in kept) or room < features
        metrics = agent.update(go_on)
        assert np.isfinite(list(metrics.values())).all()
        left_out = {name.rsplit("/")[-1] for name in metrics if "left_out" in name}
        assert left_out.isdisjoint(kept)
        for name in left_out:
            assert f"{name} of" in caplog.text
            assert "raise cache_bytes" in caplog.text
        assert ("candidates" in left_out) == ("candidates" not in kept)


def test_without_caches_what_is_learned_is_the_same_as_far_as_it_can_be():
    """A frozen encoder's features are the same, whether they are kept or made for each batch."""
    with_cache = fed("hg_dagger", augmentation="none", augmented_features=0)
    without = fed("hg_dagger", augmentation="none", augmented_features=0, cache_bytes=0)
    assert without.memory.features is None
    slots = with_cache.memory.replay.slots
    with_cache.memory.fill_features()
    for one, other in zip(
        with_cache.memory.critic_input(slots), without.memory.critic_input(slots), strict=True
    ):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


def test_fresh_candidates_need_no_memory():
    assert make_agent(target_candidates="fresh").memory.candidates is None


@pytest.mark.parametrize(
    "cache", [FeatureCache(8, 2, (3,), torch.float32), CandidateCache(8, (2, 3, 7))]
)
def test_what_was_never_put_is_refused(cache):
    """It would be whatever the memory held: once in a while not a number, else a wrong one."""
    values = (torch.zeros(1, 2, 3),) if isinstance(cache, FeatureCache) else ()
    cache.put(np.array([1]), *(values or (torch.zeros(1, 2, 3, 7), 1)))
    more = (None,) if values else ()
    assert torch.isfinite(cache.get(np.array([1]), *more)).all()
    with pytest.raises(ValueError, match=r"slots \[4\] have no"):
        cache.get(np.array([1, 4]), *more)

# SPDX-License-Identifier: Apache-2.0
"""The chunks that are tried beside the agent's own."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from expo_ft_ros.experiment.branch_candidates import (
    GRIPPER,
    candidates,
    edited_at_random,
    with_gripper,
)
from expo_ft_ros.rl.agent import Agent
from expo_ft_ros.rl.config import load_preset
from support.agents import fed, go_on, observation

SCALE = 0.2


@pytest.fixture(scope="module")
def agent() -> Agent:
    return fed()


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), count=st.integers(0, 7))
def test_random_edits_are_bounded_and_coherent(agent, seed, count):
    """In the VLA's normalised space: a straight line from one knot to the other, no rotation."""
    rng = np.random.default_rng(seed)
    base = rng.uniform(-0.1, 0.1, (3, 8, 7)).astype(np.float32)
    edited = edited_at_random(base, count, agent.vla, SCALE, rng)
    assert edited.shape == (count, 8, 7)
    normalised = [
        agent.vla.normalise(torch.from_numpy(chunks)).numpy() for chunks in (edited, base)
    ]
    edits = normalised[0] - normalised[1][np.arange(count) % 3]
    assert (np.abs(edits[..., :3]) <= SCALE + 1e-5).all()
    assert (np.abs(edits[..., 3:6]) <= 1e-5).all()
    assert (np.abs(edits[..., 6]) <= 0.5 + 1e-5).all()
    assert (np.abs(np.diff(edits, n=2, axis=1)) < 1e-4).all()
    assert (np.abs(edited) <= 1).all()


def test_gripper_chunks_open_and_close_and_change_nothing_else():
    base = np.random.default_rng(0).uniform(-1, 1, (3, 8, 7)).astype(np.float32)
    kept = base.copy()
    chunks = with_gripper(base, 2)
    assert [set(chunk[:, 6]) for chunk in chunks] == [{1.0}, {1.0}, {-1.0}, {-1.0}]
    np.testing.assert_array_equal(chunks[:2, :, :6], base[:2, :, :6])
    np.testing.assert_array_equal(chunks[2:, :, :6], base[:2, :, :6])
    np.testing.assert_array_equal(base, kept)
    assert len(with_gripper(base, 5)) == 6


@pytest.mark.parametrize("proposes", [False, True])
def test_what_the_agent_proposes_itself_is_tried_once(proposes):
    edit = load_preset().edit.model_copy(update={"gripper_decisions": 3 * proposes})
    agent = fed(edits=False, edit=edit)
    agent.update(go_on)
    tried = candidates(
        agent.act(observation(), "mode"),
        agent.vla,
        edit_scale=SCALE,
        random_edits=3,
        gripper=2,
        rng=np.random.default_rng(0),
    )
    assert tried.kind.count(GRIPPER) == (6 if proposes else 4)
    places = np.array(tried.kind) == GRIPPER
    assert set(np.array(tried.proposed)[places]) == {proposes}
    assert tried.kind[:8] == ["base"] * 8
    assert len(tried.kind) == len(tried.proposed) == len(tried.chosen) == len(tried.chunk)
    assert sum(tried.chosen) == 1
    assert tried.chunk.shape[1:] == (8, 7)

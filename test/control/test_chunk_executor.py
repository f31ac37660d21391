# SPDX-License-Identifier: Apache-2.0
"""The queue between policy and loop: right slot, right chunk, never a wait."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from expo_ft_ros.control.chunk_executor import ChunkExecutor
from expo_ft_ros.data.types import ActionChunk, Source


def chunk(observation: int, horizon: int = 16, number: int | None = None) -> ActionChunk:
    """Each action's first value tells the observation it is meant for."""
    actions = np.zeros((horizon, 7), np.float32)
    actions[:, 0] = (observation + np.arange(horizon)) / 1000.0
    return ActionChunk(observation if number is None else number, observation, actions)


def meant_for(action: np.ndarray) -> int:
    return round(float(action[0]) * 1000)


def test_holds_until_there_is_a_chunk():
    executor = ChunkExecutor(8)
    proposal = executor.propose(1)
    assert proposal.source is Source.HOLD
    assert proposal.cause == "no chunk"
    assert (proposal.chunk, proposal.index) == (0, -1)
    assert not proposal.action.any()


def test_executes_c_steps_then_the_next_chunk():
    executor = ChunkExecutor(4)
    executor.accept(chunk(1), 1)
    executor.accept(chunk(3), 3)
    taken = [executor.propose(n) for n in range(1, 8)]
    assert [p.chunk for p in taken] == [1, 1, 1, 1, 3, 3, 3]
    assert [p.index for p in taken] == [0, 1, 2, 3, 2, 3, 4]


def test_a_late_chunk_runs_on_into_the_tail_then_holds_then_starts_at_the_right_slot():
    executor = ChunkExecutor(2)
    executor.accept(chunk(1, horizon=4), 1)
    taken = [executor.propose(n) for n in range(1, 7)]
    assert [p.index for p in taken] == [0, 1, 2, 3, -1, -1]
    assert [p.cause for p in taken[4:]] == ["late chunk"] * 2
    assert executor.accept(chunk(3, horizon=8), 7)
    assert (executor.propose(7).chunk, executor.propose(7).index) == (3, 4)


def test_a_chunk_that_is_all_past_is_refused():
    executor = ChunkExecutor(4)
    assert not executor.accept(chunk(1, horizon=4), 5)
    assert executor.accept(chunk(1, horizon=4), 4)


def test_a_chunk_sent_again_changes_nothing():
    executor = ChunkExecutor(4)
    assert executor.accept(chunk(5), 5)
    assert not executor.accept(chunk(5), 5)
    executor.propose(5)
    assert not executor.accept(chunk(5), 6)
    assert not executor.accept(chunk(2), 6)


def test_a_chunk_of_the_future_waits():
    executor = ChunkExecutor(4)
    executor.accept(chunk(9), 7)
    assert executor.propose(8).source is Source.HOLD
    assert executor.propose(9).index == 0


def test_asks_lead_ticks_before_the_end_and_not_while_one_waits():
    executor = ChunkExecutor(8)
    assert executor.wants_chunk(1)
    executor.accept(chunk(1), 1)
    executor.propose(1)
    assert [n for n in range(2, 12) if executor.wants_chunk(n)] == [9, 10, 11]
    assert next(n for n in range(2, 12) if executor.wants_chunk(n, lead=3)) == 6
    executor.accept(chunk(6), 7)
    assert not executor.wants_chunk(9)


def test_a_replan_asks_at_once_and_goes_over_when_the_answer_comes():
    executor = ChunkExecutor(4)
    executor.accept(chunk(1), 1)
    executor.propose(1)
    executor.replan(3)
    assert executor.wants_chunk(3)
    assert not executor.accept(chunk(2), 3), "planned before"
    assert executor.propose(3).chunk == executor.propose(2).chunk, "goes on until then"
    assert executor.accept(chunk(3), 4)
    assert (executor.propose(4).index, executor.wants_chunk(4)) == (1, False)


def test_a_horizon_shorter_than_c_is_replanned_at_its_end():
    executor = ChunkExecutor(8)
    executor.accept(chunk(1, horizon=3), 1)
    executor.propose(1)
    assert not executor.wants_chunk(3)
    assert executor.wants_chunk(4)
    executor.accept(chunk(4, horizon=3), 4)
    assert executor.propose(4).index == 0


def test_clear_forgets_both_chunks():
    executor = ChunkExecutor(4)
    executor.accept(chunk(1), 1)
    executor.propose(1)
    executor.accept(chunk(3), 3)
    executor.clear(5)
    assert executor.propose(4).cause == "no chunk"
    # Still under way when it was cleared.
    assert not executor.accept(chunk(4), 5)
    assert executor.propose(5).cause == "no chunk"
    assert executor.accept(chunk(5), 6)


def test_the_chunk_itself_is_not_handed_out():
    executor = ChunkExecutor(4)
    given_chunk = chunk(1)
    executor.accept(given_chunk, 1)
    executor.propose(1).action[:] = 9.0
    assert given_chunk.actions.max() < 1.0


@pytest.mark.parametrize("shape", [(7,), (4, 6), (0, 7)])
def test_a_chunk_of_a_wrong_shape_is_named(shape):
    with pytest.raises(ValueError, match=r"chunk 7: actions of shape"):
        ChunkExecutor(4).accept(ActionChunk(7, 1, np.zeros(shape, np.float32)), 1)


@settings(deadline=None, max_examples=60)
@given(
    steps=st.integers(1, 8),
    horizon=st.integers(1, 20),
    lead=st.integers(0, 4),
    latencies=st.lists(st.integers(0, 25), min_size=60, max_size=60),
)
def test_whatever_the_latency_an_action_is_executed_at_its_own_observation(
    steps, horizon, lead, latencies
):
    executor = ChunkExecutor(steps)
    answers: dict[int, list[int]] = {}
    for number in range(1, 61):
        if executor.wants_chunk(number, lead):
            answers.setdefault(number + latencies[number - 1], []).append(number)
        for asked in answers.pop(number, []):
            executor.accept(chunk(asked, horizon), number)
        proposal = executor.propose(number)
        if proposal.source is Source.POLICY:
            assert meant_for(proposal.action) == number
            assert proposal.chunk + proposal.index == number
            assert 0 <= proposal.index < horizon
        else:
            assert proposal.cause in ("no chunk", "late chunk")
            assert not proposal.action.any()


@settings(deadline=None, max_examples=60)
@given(steps=st.integers(1, 8), extra=st.integers(0, 8), lead=st.integers(0, 4))
def test_a_policy_in_time_is_never_held_for(steps, extra, lead):
    lead = min(lead, steps - 1)
    executor = ChunkExecutor(steps)
    pending: dict[int, int] = {}
    for number in range(1, 50):
        if number - lead in pending:
            executor.accept(chunk(pending.pop(number - lead), steps + lead + extra), number)
        if executor.wants_chunk(number, lead) and not pending:
            pending[number] = number
            if lead == 0 or number == 1:
                executor.accept(chunk(pending.pop(number), steps + lead + extra), number)
        assert executor.propose(number).source is Source.POLICY

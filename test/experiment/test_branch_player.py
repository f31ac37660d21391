# SPDX-License-Identifier: Apache-2.0
"""What noise follows a candidate: the same after each, another in each continuation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from expo_ft_ros.experiment import branch_player
from expo_ft_ros.experiment.bench_options import ChoiceOptions
from expo_ft_ros.experiment.branch_candidates import Tried
from expo_ft_ros.experiment.branch_player import BranchedEpisode, BranchPlan, BranchPlayer
from expo_ft_ros.experiment.branching import BranchCell
from expo_ft_ros.experiment.choice_agent import find_source
from support.kept_runs import kept_run

pytestmark = pytest.mark.slow

_CONTINUATIONS = 3


def twice_the_same(proposals, *_, **__) -> Tried:
    """Two candidates that are one base chunk."""
    chunk = np.repeat(proposals.candidates[:1, :8], 2, axis=0)
    return Tried(["base"] * 2, [True] * 2, [True, False], chunk)


@pytest.fixture(scope="module")
def played(tmp_path_factory) -> tuple[BranchedEpisode, list[list[np.ndarray]]]:
    """An episode of which every decision is branched, and what was executed since each return to a
    decision."""
    executed: list[list[np.ndarray]] = []
    restore, execute = BranchCell.restore, BranchCell.execute

    def restored(cell, state):
        executed.append([])
        restore(cell, state)

    def noted(cell, chunk):
        if executed:
            executed[-1].append(np.array(chunk))
        return execute(cell, chunk)

    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("EXPO_FT_RUNS", str(tmp_path_factory.mktemp("runs")))
        patched.setattr(branch_player, "candidates", twice_the_same)
        patched.setattr(BranchCell, "restore", restored)
        patched.setattr(BranchCell, "execute", noted)
        source = find_source(ChoiceOptions(checkpoint=str(kept_run())))
        plan = BranchPlan("vla", 2, _CONTINUATIONS, random_edits=0, gripper=0)
        player = BranchPlayer(replace(source, seed=0), plan)
        try:
            episode = player.play(600_000)
        finally:
            player.close()
    return episode, [chunks for chunks in executed if chunks]


def by_state(played):
    """Per state (2 candidates, continuations) of what was executed after the candidate."""
    episode, executed = played
    states = len(episode.branches)
    assert len(executed) == states * 2 * _CONTINUATIONS
    following = iter([chunks[1:] for chunks in executed])
    return [
        [[next(following) for _ in range(_CONTINUATIONS)] for _ in range(2)] for _ in range(states)
    ]


def test_what_follows_two_equal_candidates_is_equal(played):
    followed = 0
    for first, second in by_state(played):
        for one, other in zip(first, second, strict=True):
            np.testing.assert_array_equal(one, other)
            followed += len(one)
    assert followed > 0
    steps = played[0].branches.steps
    np.testing.assert_array_equal(steps[::2], steps[1::2])


def test_continuations_of_a_candidate_differ(played):
    """Equal ones would be one continuation counted thrice, and halves no halves."""
    compared = 0
    for candidates in by_state(played):
        for continuations in candidates:
            openings = [chunks[0] for chunks in continuations if chunks]
            for place, one in enumerate(openings):
                for other in openings[:place]:
                    assert not np.array_equal(one, other)
                    compared += 1
    assert compared > 0

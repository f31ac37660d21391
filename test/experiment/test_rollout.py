# SPDX-License-Identifier: Apache-2.0
"""Episodes in one process, with real MuJoCo: who drove, what was recorded, and what repeats."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from expo_ft_ros.control.plan import Plan
from expo_ft_ros.data.types import CandidateKind, Candidates, Observation, Source, is_explored
from expo_ft_ros.experiment.rollout import InProcessRollout
from expo_ft_ros.tasks import load_task
from support.choices import only

TASK = load_task("cube_pick")


def plan(episode: int, stage: str, policy: str, operator: str, max_steps: int = 120) -> Plan:
    return Plan(stage, episode, 7, max_steps, policy, operator, stage == "rl")


@pytest.fixture
def cell():
    made = InProcessRollout(TASK, image_size=32, seed=0, rate=1.0, share=1.0)
    yield made
    made.close()


def stand(observation: Observation) -> tuple[np.ndarray, Candidates]:
    actions = np.zeros((16, 7), np.float32)
    return actions, only(observation.number, actions, kind=CandidateKind.EDITED)


def test_a_demonstration_is_the_operators_and_succeeds(cell):
    played = cell.play(plan(1, "collect", "none", "demonstrate"), None)
    episode = played.episode
    assert episode is not None
    assert played.ended.success
    assert set(episode.source) == {Source.HUMAN}
    assert episode.views["side"].shape == (len(episode) + 1, 32, 32, 3)
    assert episode.reward[-1] == 1
    assert episode.reward[:-1].sum() == 0
    assert len(played.calibration) == 0
    assert episode.steps_left.tolist() == list(range(120, 119 - played.ended.steps, -1))[2:], (
        "the two steps before the operator drove took their time"
    )
    unknown = replace(episode, steps_left=None)
    np.testing.assert_array_equal(unknown.steps_left_of(120), episode.steps_left)


def test_the_policy_drives_chunk_by_chunk_until_the_operator_steps_in(cell):
    played = cell.play(plan(1, "rl", "sample", "correct"), stand)
    episode = played.episode
    assert episode is not None
    assert episode.source[0] == Source.POLICY
    assert Source.HUMAN in episode.source
    asked = played.calibration.observations
    assert asked[0] == played.ended.first_observation
    assert all(b - a == TASK.execute_steps for a, b in itertools.pairwise(asked))
    first, last = played.ended.first_observation, played.ended.last_observation
    assert played.calibration.compute(first, last, True, 0.99)["edited_chosen"] == 1.0


def test_steps_tell_that_their_chunk_was_explored(cell):
    """Every other one here."""

    def explore(observation: Observation) -> tuple[np.ndarray, Candidates]:
        actions, choice = stand(observation)
        asked.append(observation.number)
        return actions, replace(choice, explored=len(asked) % 2 == 0)

    asked: list[int] = []
    played = cell.play(plan(1, "eval_before", "mode", "none", max_steps=20), explore)
    assert played.episode is not None
    of_chunk = np.arange(20) // TASK.execute_steps
    np.testing.assert_array_equal(is_explored(played.episode.chunk), of_chunk % 2 == 1)


def test_left_alone_the_policy_runs_out_of_time(cell):
    played = cell.play(plan(1, "eval_before", "mode", "none", max_steps=20), stand)
    assert played.episode is not None
    assert len(played.episode) == played.ended.steps == 20
    assert played.ended.truncated
    assert not played.episode.reward.any()
    assert set(played.episode.source) == {Source.POLICY}


def test_the_same_seed_gives_the_same_episode_after_another_one(cell):
    first = cell.play(plan(1, "rl", "sample", "correct"), stand).episode
    cell.play(plan(2, "eval_before", "mode", "none", max_steps=9), stand)
    again = cell.play(plan(3, "rl", "sample", "correct"), stand).episode
    assert first is not None
    assert again is not None
    np.testing.assert_array_equal(first.executed, again.executed)
    np.testing.assert_array_equal(first.state, again.state)
    np.testing.assert_array_equal(first.views["side"], again.views["side"])


def test_a_plan_that_is_not_new_is_refused(cell):
    cell.play(plan(1, "eval_before", "mode", "none", max_steps=9), stand)
    with pytest.raises(RuntimeError, match="nothing new"):
        cell.play(plan(1, "eval_before", "mode", "none", max_steps=9), stand)

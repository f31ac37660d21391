# SPDX-License-Identifier: Apache-2.0
"""What a critic is fitted to, and by which members it values: `bench choice`'s agents."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.data.episode import Episode
from expo_ft_ros.data.types import CandidateKind
from expo_ft_ros.experiment import choice_agent
from expo_ft_ros.experiment.bench_options import ChoiceOptions
from expo_ft_ros.experiment.branches import Branches
from expo_ft_ros.experiment.episode_arrays import write_episode
from support.agents import EPISODES, SIZE, observation
from support.branches import make_branches
from support.kept_runs import kept_run
from support.random_recordings import write_episode as record_episode


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("EXPO_FT_RUNS", str(tmp_path_factory.mktemp("runs")))
        return kept_run()


@pytest.fixture
def run(kept, tmp_path):
    """A copy, in which a test may write."""
    return shutil.copytree(kept, tmp_path / kept.name)


def source_of(run, **options):
    return choice_agent.find_source(ChoiceOptions(checkpoint=str(run), **options))


def numbers(source):
    found = choice_agent.episodes_of(source.weights, SIZE)
    return [(episode.outcome.stage, episode.outcome.episode) for episode in found]


def staged(episode: Episode, number: int, stage: str) -> Episode:
    return replace(episode, outcome=replace(episode.outcome, episode=number, stage=stage))


def test_evaluations_are_no_part_of_what_a_critic_is_fitted_to(run):
    write_episode(run, staged(EPISODES[1], 90, "eval_after"))
    write_episode(run, staged(EPISODES[1], 0, "eval_before"))
    assert numbers(source_of(run)) == [("collect", 1), ("rl", 2), ("rl", 3), ("rl", 4)]


def test_an_older_checkpoint_s_critic_sees_nothing_that_came_later(run):
    older, newest = sorted((run / "checkpoints").iterdir())
    assert numbers(source_of(older)) == [("collect", 1), ("rl", 2)]
    assert len(numbers(source_of(newest))) == 4
    agent = choice_agent.refitted_agent(source_of(older, refit=2))
    assert agent.replay_size == len(EPISODES[0]) + len(EPISODES[1])


def test_of_recorded_episodes_only_counted_ones_are_taken(run):
    """As the learner does when it goes on: the session's books say which."""
    for path in (run / "episodes").iterdir():
        path.unlink()
    for number in (1, 2, 3, 4):
        record_episode(run / "episodes", number, 8)
    books = run / "progress.json"
    for counted in (3, 4):
        books.write_text(json.dumps({"session": {"episode": counted}}))
        assert [number for _, number in numbers(source_of(run))] == list(range(1, counted))
    books.write_text(json.dumps({"session": {"episode": 1}}))
    with pytest.raises(ConfigError, match=r"refit:=2: .* learned from no episode"):
        choice_agent.refitted_agent(source_of(run, refit=2))


def test_a_refit_forgets_no_demonstrations(run):
    for number in range(10, 18):
        write_episode(run, staged(EPISODES[0], number, "collect"))
    steps = sum(map(len, EPISODES)) + 8 * len(EPISODES[0])
    roomy = source_of(run, refit=2, change="replay_capacity=200")
    assert choice_agent.refitted_agent(roomy).replay_size == steps
    narrow = source_of(run, refit=2, change=f"replay_capacity={steps - 1}")
    with pytest.raises(ConfigError, match=f"a replay of {steps - 1} slots.*replay_capacity"):
        choice_agent.refitted_agent(narrow)


def alike(count: int) -> Branches:
    """States that nothing tells apart but their episode and step."""
    rng = np.random.default_rng(0)
    chunk = rng.uniform(-1, 1, (3, 8, 7)).astype(np.float32)
    return make_branches(
        [np.ones((3, 2), bool)] * count,
        q=np.zeros(3),
        images=np.full((count, 2, 3, SIZE, SIZE), 100, np.uint8),
        chunk=np.tile(chunk, (count, 1, 1)),
        scene=np.arange(count) // 2,
        step=8 * (np.arange(count) % 2),
    )


def test_each_state_is_valued_by_members_drawn_for_it(run):
    """One pair's luck for all states would be an error that no standard error holds."""
    source = source_of(run, change="minimum_of=1,value.acting_value=minimum")
    assert source.config.value.members > 1
    agent = choice_agent.make_agent(source)
    branches = alike(40)
    q = choice_agent.values_of_branches(agent, branches).reshape(40, 3)
    assert len(np.unique(q[:, 0].round(4))) > source.config.value.members / 2
    # States of one episode have draws of their own as well.
    assert (q[::2, 0].round(4) != q[1::2, 0].round(4)).any()


def test_a_state_has_the_same_draw_whatever_else_is_valued(run):
    """So other weights, and other branches, are compared on equal terms."""
    agent = choice_agent.make_agent(
        source_of(run, change="minimum_of=1,value.acting_value=minimum")
    )
    many, few = alike(12), alike(4)
    of_many = choice_agent.values_of_branches(agent, many)
    np.testing.assert_allclose(choice_agent.values_of_branches(agent, few), of_many[:12])
    np.testing.assert_array_equal(choice_agent.values_of_branches(agent, many), of_many)


def test_a_state_of_branches_has_the_time_left_that_it_was_acted_on_with(run):
    """Of files that were written before critics saw it, too: they say the steps before a state."""
    source = source_of(run, change="value.time_left=true,value.members=2,minimum_of=2", refit=4)
    agent = choice_agent.refitted_agent(source)
    done = 8
    seen = replace(observation(), steps_left=source.task.max_steps - done)
    acted = agent.act(seen, "mode")
    kept, state = agent.memory.inputs.kept(seen.views), seen.proprio.vector()
    q = choice_agent.chunk_values(
        agent, kept, state, seen.instruction, acted.candidates, place=(0, done)
    )
    bases = acted.candidate_kind == CandidateKind.BASE
    np.testing.assert_allclose(q[bases], acted.candidate_q[bases], atol=1e-4)
    earlier = choice_agent.chunk_values(
        agent, kept, state, seen.instruction, acted.candidates, place=(0, 0)
    )
    assert (np.abs(earlier - q) > 1e-4).any()

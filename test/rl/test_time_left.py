# SPDX-License-Identifier: Apache-2.0
"""The critic alone sees how much of an episode is left, where `value.time_left` says so."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch

from expo_ft_ros.data.episode import Episode
from expo_ft_ros.data.types import STATE_DIM, CandidateKind
from expo_ft_ros.rl.agent import Agent
from expo_ft_ros.rl.config import load_preset
from expo_ft_ros.rl.value_config import ValueConfig
from expo_ft_ros.robots import DEFAULT_ROBOT, load_robot
from expo_ft_ros.tasks import load_task
from support.agents import SIZE, fed, go_on, make_agent, observation, weights_of
from support.episodes import make_episode

ON = ValueConfig(time_left=True)
MOST, C = load_task("cube_pick").max_steps, load_task("cube_pick").execute_steps
LENGTH = 20


def timed(left: int) -> Episode:
    """An episode that runs out of time, with so many steps left at its first observation."""
    episode = make_episode(1, LENGTH, terminated=False, size=SIZE)
    return replace(episode, steps_left=np.arange(left, left - LENGTH - 1, -1, dtype=np.int32))


@pytest.mark.parametrize("left", [LENGTH, MOST, MOST + 7])
def test_what_comes_before_and_after_a_window_have_each_their_own_time(left):
    """Of an episode with more steps than the task has, the first ones have all of them left."""
    agent, episode = make_agent(value=ON), timed(left)
    agent.add_episode(episode)
    memory, slots = agent.memory, agent.memory.replay.slots
    memory.fill_features()
    batch = memory.transitions(memory.value_windows(slots[:-1]))
    before = left - np.arange(LENGTH)
    after = np.maximum(before - C, left - LENGTH)
    assert batch.state.shape == batch.next_state.shape == (LENGTH, STATE_DIM + 1)
    np.testing.assert_allclose(batch.state[:, -1], np.minimum(before / MOST, 1), rtol=1e-6)
    np.testing.assert_allclose(batch.next_state[:, -1], np.minimum(after / MOST, 1), rtol=1e-6)
    if left == LENGTH:
        assert batch.next_state[-1, -1] == 0
        assert batch.bootstrap[-1] == 0
    np.testing.assert_array_equal(batch.state[:, :-1], episode.state[:-1])
    assert memory.policy_input(slots).state.shape == (LENGTH + 1, STATE_DIM)


def test_an_episode_that_does_not_say_it_began_with_all_of_them():
    """That of a dataset, say."""
    agent = make_agent(value=ON)
    agent.add_episode(replace(timed(LENGTH), steps_left=None))
    agent.memory.fill_features()
    _, state = agent.memory.critic_input(agent.memory.replay.slots)
    np.testing.assert_allclose(state[:, -1], (MOST - np.arange(LENGTH + 1)) / MOST, rtol=1e-6)


@pytest.mark.parametrize("algorithm", ["expo_ft", "hil_serl", "dsrl"])
def test_every_critic_learns_and_acts_by_it(algorithm):
    agent = fed(algorithm, value=ON)
    assert agent.algorithm.networks.state_stats.low[-1] == 0
    assert agent.algorithm.networks.state_stats.high[-1] == 1
    assert np.isfinite(list(agent.update(go_on).values())).all()
    values = []
    for left in (MOST, 1):
        agent.begin_evaluation(3)
        result = agent.act(replace(observation(), steps_left=left), "mode")
        values.append(float(result.candidate_q[0]))
    assert np.isfinite(values).all()
    assert values[0] != values[1]
    with pytest.raises(ValueError, match=r"how many steps are left.*value\.time_left"):
        agent.act(observation())


def test_the_vla_does_not_see_it():
    agent = fed(value=ON)
    agent.update(go_on)
    drawn = []
    for left in (MOST, 1):
        agent.begin_evaluation(3)
        result = agent.act(replace(observation(), steps_left=left), "mode")
        drawn.append(result.candidates[result.candidate_kind == CandidateKind.BASE])
    np.testing.assert_array_equal(*drawn)


def test_off_nobody_sees_it():
    """Whatever episodes and observations say of it."""
    learned = []
    for left in (None, 40, 90):
        agent = make_agent()
        for number in (1, 2):
            episode = make_episode(number, 12, terminated=True, size=SIZE)
            steps = None if left is None else left - np.arange(13, dtype=np.int32)
            agent.add_episode(replace(episode, steps_left=steps))
        agent.imitate(go_on)
        agent.update(go_on)
        result = agent.act(replace(observation(), steps_left=left))
        learned.append((weights_of(agent), torch.get_rng_state(), result))
    weights, rng, result = learned[0]
    for other_weights, other_rng, other in learned[1:]:
        assert weights.keys() == other_weights.keys()
        assert all(torch.equal(value, other_weights[name]) for name, value in weights.items())
        assert torch.equal(rng, other_rng)
        np.testing.assert_array_equal(result.actions, other.actions)
        np.testing.assert_array_equal(result.candidate_q, other.candidate_q)


@pytest.mark.parametrize("saved", [True, False])
def test_a_checkpoint_of_the_other_kind_is_refused(tmp_path, saved):
    fed(value=ValueConfig(time_left=saved)).save(tmp_path / "a.safetensors")
    other = make_agent(value=ValueConfig(time_left=not saved))
    with pytest.raises(ValueError, match=r"a\.safetensors: made by another algorithm, preset"):
        other.load(tmp_path / "a.safetensors")


STEPS, GAMMA = 8, 0.8


def waited(number: int, rng: np.random.Generator) -> Episode:
    """Nothing changes for as long as the time runs; where the last step goes right it is rewarded.

    So Q(n left, any chunk) = gamma^(n - 1) while the last step is still to be chosen.
    """
    episode = make_episode(number, STEPS, terminated=True, size=SIZE)
    executed = np.zeros((STEPS, 7), np.float32)
    executed[:, 0] = rng.choice([-1, 1], STEPS)
    success = bool(executed[-1, 0] > 0)
    reward = np.zeros(STEPS, np.float32)
    reward[-1] = success
    outcome = replace(episode.outcome, success=success, terminated=success, truncated=not success)
    return replace(
        episode,
        outcome=outcome,
        views={name: np.zeros_like(images) for name, images in episode.views.items()},
        state=np.zeros_like(episode.state),
        executed=executed,
        proposed=executed,
        source=np.zeros(STEPS, np.uint8),
        reward=reward,
        steps_left=np.arange(STEPS, -1, -1, dtype=np.int32),
    )


@cache
def learned_q(*, time_left: bool) -> np.ndarray:
    """(STEPS, 2) Q of going right and left with 1, 2 ... steps left, after 300 gradient steps."""
    agent = _waiting_agent(time_left=time_left)
    rng = np.random.default_rng(0)
    for number in range(1, 61):
        agent.add_episode(waited(number, rng))
    memory, networks = agent.memory, agent.algorithm.networks
    memory.fill_features()
    slots = memory.replay.slots
    chunks = np.zeros((len(slots), 2, 2, 7), np.float32)
    chunks[:, 0, :, 0], chunks[:, 1, :, 0] = 1, -1
    memory.candidates.put(slots, torch.from_numpy(chunks), version=0)
    for _ in agent.learn(150):
        pass
    from_start = memory.replay.episodes[0][:-1]
    with torch.no_grad():
        features = networks.features(networks.value, *memory.critic_input(from_start))
        both = torch.from_numpy(chunks[:STEPS]).flatten(2)
        return networks.value.ensemble(features, both).mean(dim=0).numpy()[::-1]


def _waiting_agent(*, time_left: bool) -> Agent:
    changes = {
        "value.time_left": str(time_left).lower(),
        "gamma": str(GAMMA),
        "batch": "64",
        "candidates": "2",
        "edits": "false",
        "minimum_of": "2",
        "learning_rate": "0.002",
        "tau": "0.05",
        "image_size": str(SIZE),
        "augmentation": "none",
        "vla.horizon": "2",
        "vla_steps_per_update": "0",
        "critic_steps_per_update": "2",
        "value.members": "2",
        "critic.hidden": "64",
        "critic.image_embedding": "8",
        "replay_capacity": "1000",
        "refresh_per_update": "0",
        "threads": "1",
    }
    task = load_task("cube_pick", {"execute_steps": 2, "max_steps": STEPS})
    return Agent(task, load_preset(changes=changes), load_robot(DEFAULT_ROBOT).views, seed=0)


def test_where_only_the_time_tells_the_value_q_is_learned_with_it():
    q = learned_q(time_left=True)
    optimum = GAMMA ** np.arange(STEPS)
    np.testing.assert_allclose(q[:, 0], optimum, atol=0.05)
    np.testing.assert_allclose(q[:2, 1], 0, atol=0.05)
    np.testing.assert_allclose(q[2:, 1], optimum[2:], atol=0.05)


def test_and_not_without():
    q = learned_q(time_left=False)
    assert np.ptp(q, axis=0).max() < 1e-5, "one value whenever it is"
    assert np.abs(q[:, 0] - GAMMA ** np.arange(STEPS)).max() > 0.3

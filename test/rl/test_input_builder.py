# SPDX-License-Identifier: Apache-2.0
"""Acting and learning see the same numbers of the same observation, bit for bit."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from expo_ft_ros.data.episode import EpisodeAssembler, EpisodeOutcome
from expo_ft_ros.data.types import STATE_DIM, Observation, Proprio, Source, Step, Verdict
from expo_ft_ros.policies.registry import FOLDERS_VARIABLE
from expo_ft_ros.rl.agent import Agent
from expo_ft_ros.rl.config import load_preset
from expo_ft_ros.robots import load_robot
from expo_ft_ros.tasks import load_task
from support import added_policy

VIEWS = load_robot("sim").view_names
TEXT = "pick up the cube"


@pytest.fixture(scope="module", autouse=True)
def _added(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        folder = added_policy.add(tmp_path_factory.mktemp("policies"))
        patch.setenv(FOLDERS_VARIABLE, str(folder))
        yield


@cache
def make_agent(size: str, time_left: str = "false") -> Agent:
    changes = {"replay_capacity": "100", "threads": "1", "value.time_left": time_left}
    config = load_preset(size=size, changes=changes)
    return Agent(load_task("cube_pick"), config, load_robot("sim").views, 0)


def observations(count: int, shape: tuple[int, int], seed: int) -> list[Observation]:
    rng = np.random.default_rng(seed)
    found = []
    for number in range(1, count + 1):
        images = rng.integers(0, 256, (len(VIEWS), *shape, 3), dtype=np.uint8)
        quaternion = rng.normal(size=4)
        proprio = Proprio(
            rng.normal(size=3), quaternion / np.linalg.norm(quaternion), float(rng.random() / 10)
        )
        views = dict(zip(VIEWS, images, strict=True))
        found.append(Observation(number, 0.1 * number, views, proprio, TEXT, 70 - number))
    return found


def replayed(agent: Agent, seen: list[Observation]) -> NDArray[np.int64]:
    """Takes them into replay, by the way that a learner takes them; gives their slots."""
    assembler = EpisodeAssembler(agent.config.image_size)
    zero = np.zeros(7, np.float32)
    for observation in seen:
        assembler.add_observation(observation, 1)
        assembler.add_verdict(observation.number, Verdict(0.0, False, ""))
    for observation in seen[:-1]:
        assembler.add_step(Step(observation.number, 1, 0, 0, Source.HUMAN, zero, zero))
    last = len(seen)
    assembler.finish(EpisodeOutcome(1, "collect", True, True, False, False, 1, last, last - 1))
    (episode,) = assembler.pop_complete()
    agent.add_episode(episode)
    return agent.memory.replay.episodes[-1]


@pytest.mark.parametrize(
    ("size", "time_left"), [("small", "false"), ("small", "true"), (added_policy.SIZE, "false")]
)
@settings(max_examples=8)
@given(height=st.integers(30, 300), width=st.integers(30, 300), seed=st.integers(0, 2**31 - 1))
def test_acting_and_learning_see_the_same_numbers(size, time_left, height, width, seed):
    agent = make_agent(size, time_left)
    seen = observations(3, (height, width), seed)
    memory, slots = agent.memory, replayed(agent, seen)
    learned = memory.images(slots)
    memory.fill_features()
    _, of_critic = memory.critic_input(slots)
    for row, observation in enumerate(seen):
        with torch.no_grad():
            visual, state, acted = memory.of_observation(observation)
        alone = memory.images(slots[row : row + 1])
        for name in ("images", "state", "tokens"):
            assert torch.equal(getattr(acted, name)[0], getattr(learned, name)[row]), name
            assert torch.equal(getattr(acted, name), getattr(alone, name)), name
        assert torch.equal(state[0], of_critic[row])
        assert torch.equal(state[:, :STATE_DIM], acted.state)
        assert state.shape[1] == STATE_DIM + (time_left == "true")
        if acted.features is not None:
            with torch.no_grad():
                assert torch.equal(acted.features, agent.vla.image_features(alone.images))
        if agent.config.critic.encoder == "own":
            kept = torch.from_numpy(memory.replay.images[slots[row : row + 1]])
            assert torch.equal(visual, kept.float() / 255)


@pytest.mark.parametrize("size", ["small", added_policy.SIZE])
def test_one_chunk_is_drawn_of_one_observation_wherever_it_is(size):
    agent = make_agent(size)
    seen = observations(3, (224, 224), 0)
    slots = replayed(agent, seen)
    agent.begin_evaluation(7)
    acted = agent.act(seen[1], "base_policy").actions
    inputs = agent.memory.images(slots[1:2])
    with torch.no_grad():
        chunk = agent.vla.sample(inputs, 1, torch.Generator().manual_seed(7))[0, 0]
    np.testing.assert_array_equal(acted, agent.vla.denormalise(chunk).numpy())


def test_a_view_that_is_missing_is_named():
    agent = make_agent("small")
    names = agent.memory.replay.views
    views = tuple(
        view.model_copy(update={"name": f"{view.name}_left"}) for view in load_robot("sim").views
    )
    agent = Agent(agent.task, agent.config, views, 0)
    (observation,) = observations(1, (64, 64), 0)
    with pytest.raises(ValueError, match=rf"view '{names[0]}_left' is missing: .* there are"):
        agent.act(replace(observation))

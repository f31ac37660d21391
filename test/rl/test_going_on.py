# SPDX-License-Identifier: Apache-2.0
"""An agent goes on from its file as if nothing had been, and from no other's."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from expo_ft_ros.rl.checkpoint import load_state, save_state
from expo_ft_ros.rl.config import ALGORITHM_NAMES, load_preset
from support.agents import EPISODES, fed, go_on, make_agent, observation, weights_of


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ALGORITHM_NAMES)
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"target_vla": "polyak", "vla_encoder_every": 2},
        {"schedule": "step", "updates_per_step": 0.1},
    ],
)
def test_going_on_from_a_file_is_going_on_bit_for_bit(algorithm, changes, tmp_path):
    """One agent goes straight on; the other is saved, made anew, and goes on from the file."""
    straight = fed(algorithm, **changes)
    straight.update(go_on)
    straight.save(tmp_path / "a.safetensors")
    straight.add_episode(EPISODES[2])
    straight.update(go_on)

    resumed = make_agent(algorithm, **changes)
    torch.manual_seed(99)
    resumed.load(tmp_path / "a.safetensors")
    for episode in EPISODES[:2]:
        resumed.add_episode(episode)
    resumed.restore_caches()
    resumed.add_episode(EPISODES[2])
    resumed.update(go_on)

    assert resumed.version == straight.version
    assert resumed.critic_updates == straight.critic_updates
    expected = weights_of(straight)
    for name, value in weights_of(resumed).items():
        assert torch.equal(value, expected[name]), name
    first, second = straight.act(observation(), "mode"), resumed.act(observation(), "mode")
    np.testing.assert_array_equal(first.actions, second.actions)


def test_going_on_with_another_learning_rate_learns_at_that_rate(tmp_path):
    """What a divergence advises."""
    agent = fed()
    agent.update(go_on)
    agent.save(tmp_path / "a.safetensors")
    slower = make_agent(learning_rate=1e-5, vla_learning_rate=2e-5)
    slower.load(tmp_path / "a.safetensors")
    for optimiser in slower.algorithm.networks.optimisers.values():
        assert [group["lr"] for group in optimiser.param_groups] == [1e-5]
        assert optimiser.state
    assert [group["lr"] for group in slower.vla_trainer.optimiser.param_groups] == [2e-5]


def test_a_resume_owes_the_updates_of_episodes_after_its_checkpoint(tmp_path):
    agent = fed(warmup_episodes=2)
    agent.save(tmp_path / "a.safetensors")
    resumed = make_agent(warmup_episodes=2)
    resumed.load(tmp_path / "a.safetensors")
    # The first online episode is of the warm-up; the update after the second was lost.
    for episode in EPISODES[:3]:
        resumed.add_episode(episode)
    resumed.restore_caches()
    resumed.add_episode(EPISODES[3])
    resumed.update(go_on)
    assert resumed.critic_updates == 2 * (1 + 1)
    resumed.update(go_on)
    assert resumed.critic_updates == 2 * (1 + 1), "nothing has come since"


def test_a_target_of_another_preset_does_not_come_to_act(tmp_path):
    """Where no target is kept the acting network stands in its place."""
    paper = fed(target_vla="polyak")
    paper.update(go_on)
    paper.save(tmp_path / "a.safetensors")
    online = make_agent()
    online.load_weights(tmp_path / "a.safetensors")
    for name, value in paper.vla.state_dict().items():
        assert torch.equal(online.vla.state_dict()[name], value), name


@pytest.mark.slow
def test_what_was_broken_off_is_owed_still():
    agent = fed(warmup_updates=3, vla_encoder_every=1)
    agent.update(lambda share, metrics: False)
    trained, acting = agent.vla_trainer.trained.image_encoders, agent.vla.image_encoders
    for one, other in zip(trained.parameters(), acting.parameters(), strict=True):
        assert torch.equal(one, other), "both see by one encoder, also after half a encoder_phase"
    agent.update(go_on)
    assert agent.critic_updates == 2 * (1 + 3)


def test_a_file_of_another_preset_is_refused_by_name(tmp_path):
    fed().save(tmp_path / "a.safetensors")
    preset = load_preset()
    other = make_agent(critic=preset.critic.model_copy(update={"hidden": 32}))
    with pytest.raises(ValueError, match=r"a\.safetensors: made by another algorithm, preset"):
        other.load(tmp_path / "a.safetensors")


@pytest.mark.parametrize(("before", "after"), [(0, 10**9), (10**9, 0)])
def test_going_on_with_other_memory_for_caches(tmp_path, before, after):
    """What the log advises: what wasn't kept is made anew."""
    agent = fed(cache_bytes=before)
    agent.update(go_on)
    agent.save(tmp_path / "a.safetensors")
    resumed = make_agent(cache_bytes=after)
    resumed.load(tmp_path / "a.safetensors")
    for episode in EPISODES[:2]:
        resumed.add_episode(episode)
    resumed.restore_caches()
    resumed.add_episode(EPISODES[2])
    assert np.isfinite(list(resumed.update(go_on).values())).all()


def test_what_was_drawn_for_other_slots_is_not_taken_up(tmp_path):
    """An episode that was discarded between two starts moves all later ones."""
    agent = fed()
    agent.update(go_on)
    agent.save(tmp_path / "a.safetensors")
    resumed = make_agent()
    resumed.load(tmp_path / "a.safetensors")
    resumed.add_episode(EPISODES[1])
    resumed.restore_caches()
    slots = resumed.memory.replay.slots
    assert list(resumed.memory.candidates.missing(slots)) == list(slots)
    assert list(resumed.memory.features.missing(slots)) == list(slots)


def test_checkpoints_hold_nested_state_and_refuse_a_cut_off_file(tmp_path):
    state = {"a": {0: torch.arange(3), "b": [1, 2.5, None, "x"]}, "big": 2**100}
    path = tmp_path / "s.safetensors"
    save_state(path, state)
    loaded = load_state(path)
    assert torch.equal(loaded["a"][0], state["a"][0])
    assert (loaded["a"]["b"], loaded["big"]) == (state["a"]["b"], state["big"])
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(ValueError, match=r"s\.safetensors: not a whole checkpoint"):
        load_state(path)

# SPDX-License-Identifier: Apache-2.0
"""The agent as a whole, tiny: it imitates, updates, and goes on from its file as if nothing was."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from expo_ft_ros.data.types import Source, chunk_id
from expo_ft_ros.policies.base import PolicyInput
from expo_ft_ros.policies.flow_vla.model import FlowVLA, build
from expo_ft_ros.rl.agent import Agent
from expo_ft_ros.rl.augment import augment
from expo_ft_ros.rl.config import ALGORITHM_NAMES
from expo_ft_ros.robots import load_robot
from support.agents import (
    EPISODES,
    PRESET,
    SIZE,
    SMALL_CRITIC,
    fed,
    go_on,
    make_agent,
    observation,
    weights_of,
)
from support.episodes import make_episode


def test_an_untrained_critic_chooses_nothing():
    result = fed().act(observation())
    assert (result.chosen, result.edited) == (0, False)
    assert np.isnan(result.q)
    assert result.actions.shape == (16, 7)


def test_after_an_update_the_best_candidate_is_executed():
    agent = fed()
    assert agent.update(go_on)["critic/loss"] >= 0
    result = agent.act(observation())
    assert result.candidates.shape == (16, 8, 7)
    assert result.chosen == int(result.candidate_q.argmax())
    assert result.q == pytest.approx(float(result.candidate_q.max()))
    np.testing.assert_allclose(result.actions[:8], result.candidates[result.chosen], atol=1e-6)
    assert np.abs(result.actions).max() <= 1


@pytest.mark.parametrize(
    ("changes", "candidates"),
    [({}, 16), ({"edits": False}, 8), ({"edits_after": 2}, 16), ({"edits_after": 3}, 8)],
)
def test_edits_are_candidates_when_the_critic_may_judge_them(changes, candidates):
    agent = fed(**changes)
    agent.update(go_on)
    assert agent.critic_updates == 2
    assert len(agent.act(observation()).candidates) == candidates


@pytest.mark.parametrize("encoder", ["own", "resnet", "shared"])
@pytest.mark.parametrize("count", [1, 3])
def test_a_robot_has_the_views_it_has(count, encoder):
    views = [load_robot("sim").views[0].model_copy(update={"name": f"v{n}"}) for n in range(count)]
    like = make_agent()
    critic = like.config.critic.model_copy(update={"encoder": encoder})
    config = like.config.model_copy(update={"critic": critic, "replay_capacity": 100})
    agent = Agent(like.task, config, views, 0)
    images = np.random.default_rng(0).integers(0, 255, (13, SIZE, SIZE, 3), dtype=np.uint8)
    for episode in (EPISODES[0], EPISODES[2]):
        seen = {view.name: images[: len(episode) + 1] for view in views}
        agent.add_episode(replace(episode, views=seen))
    assert agent.memory.replay.images.shape == (100, count, 3, SIZE, SIZE)
    agent.imitate(go_on)
    assert np.isfinite(list(agent.update(go_on).values())).all()
    asked = replace(observation(), views={view.name: images[0] for view in views})
    assert agent.act(asked).candidates.shape == (16, 8, 7)


def test_a_batch_of_nothing_says_what_to_do():
    with pytest.raises(ValueError, match="add an episode first"):
        make_agent().memory.batch()


def test_nothing_is_learned_during_the_warm_up():
    agent = fed(warmup_episodes=2)
    assert agent.update(go_on) == {}
    assert agent.critic_updates == 0


@pytest.mark.parametrize("algorithm", ALGORITHM_NAMES)
def test_every_algorithm_acts_and_learns_what_is_its_own(algorithm):
    agent = fed(algorithm)
    before = {name: value.clone() for name, value in weights_of(agent).items()}
    agent.update(go_on)
    result = agent.act(observation())
    assert result.actions.shape == (16, 7)
    assert np.abs(result.actions).max() <= 1
    changed = {name for name, value in weights_of(agent).items() if not value.equal(before[name])}
    assert any(name.startswith("vla.") for name in changed) == (
        algorithm in ("expo_ft", "hg_dagger")
    )
    learns_values = algorithm in ("expo_ft", "hil_serl", "dsrl")
    assert any(name.startswith("value.") for name in changed) == learns_values
    assert (agent.critic_updates > 0) == learns_values
    assert not any("image_encoders" in name for name in changed)


def test_the_average_of_the_trained_weights_acts():
    """Before any step both are the same; after one, 1 - ema of the way lies between them."""
    agent = fed(vla_steps_per_update=1)
    ema = agent.config.imitation.ema
    assert 0 < ema < 1
    before = {name: value.clone() for name, value in agent.vla.named_parameters()}
    agent.update(go_on)
    trained = dict(agent.vla_trainer.trained.named_parameters())
    moved = 0
    for name, acting in agent.vla.named_parameters():
        moved += not torch.equal(trained[name], before[name])
        torch.testing.assert_close(acting, ema * before[name] + (1 - ema) * trained[name])
    assert moved > 10


def test_hg_dagger_imitates_windows_with_human_steps_only():
    agent = fed("hg_dagger")
    agent.add_episode(EPISODES[3])
    drawn = []
    sample = agent.memory.sample
    agent.memory.sample = lambda *words: drawn.append(sample(*words)) or drawn[-1]
    agent.update(go_on)
    replay = agent.memory.replay
    assert drawn
    for window in drawn:
        for start, length in zip(window.start, window.length, strict=True):
            assert (replay.source[start : start + length] == 1).any()


def test_hg_dagger_imitates_no_demonstration_that_failed():
    failed = make_episode(5, 10, terminated=False, stage="collect", size=SIZE)
    assert not failed.outcome.success
    agent = fed("hg_dagger")
    agent.add_episode(failed)
    replay = agent.memory.replay
    pool = agent.algorithm.imitation_starts()
    assert replay.demonstration[pool].any()
    assert replay.success[pool[replay.demonstration[pool]]].all()


def test_a_loss_gives_gradients_to_what_it_teaches_only():
    """The actor's goes through every member of the ensemble."""
    agent = fed()
    agent.update(go_on)
    networks = agent.algorithm.networks
    batch = agent.memory.transitions(agent.memory.batch())
    networks.optimisers["critic"].zero_grad()
    networks.actor_step(batch.visual, batch.state, batch.chunk)
    assert all(weight.grad is None for weight in networks.value.parameters())
    assert all(weight.grad is not None for weight in networks.actor.parameters())


@pytest.mark.parametrize("encoder", ["own", "shared"])
def test_what_comes_before_and_after_is_augmented_independently(encoder):
    critic = PRESET.critic.model_copy(update=SMALL_CRITIC | {"encoder": encoder})
    agent = fed(critic=critic, augmented_features=4)
    agent.update(go_on)
    slots = np.repeat(agent.memory.replay.starts()[:1], 32)
    first, second = agent.memory.critic_input(slots)[0], agent.memory.critic_input(slots)[0]
    assert not torch.equal(first, second)


def test_the_critics_own_encoder_has_its_own_augmentation():
    """A crop moves edges; what is only coloured keeps where the brightest pixel of a row is."""
    critic = PRESET.critic.model_copy(update=SMALL_CRITIC)
    seen = {}
    for kind in ("none", "openpi", None):
        own = critic.model_copy(update={"encoder": "own", "augmentation": kind})
        agent = fed(critic=own, augmentation="none")
        slots = agent.memory.replay.starts()[:8]
        seen[kind] = agent.memory.critic_input(slots)[0]
        plain = agent.memory.images(slots).images
        assert torch.equal(agent.memory.images(slots, augment=True).images, plain)
    assert torch.equal(seen["none"], seen[None])
    assert not torch.allclose(seen["none"], seen["openpi"])


def test_evaluation_neither_depends_on_training_nor_changes_it():
    agent = fed()
    agent.update(go_on)
    before = torch.get_rng_state()
    agent.begin_evaluation(7)
    first = agent.act(observation(), "mode")
    assert torch.equal(torch.get_rng_state(), before)
    agent.act(observation())
    agent.begin_evaluation(7)
    np.testing.assert_array_equal(agent.act(observation(), "mode").actions, first.actions)


@pytest.mark.parametrize(
    ("schedule", "calls"),
    [
        ({"schedule": "episode"}, [1, 1, 1]),
        ({"schedule": "step", "updates_per_step": 0.2}, [3, 2, 3]),
        ({"schedule": "batch", "episodes_per_batch": 2}, [0, 2, 0]),
    ],
)
def test_update_calls_are_due_by_schedule(schedule, calls):
    agent = make_agent(**schedule)
    agent.add_episode(EPISODES[0])
    agent.imitate(go_on)
    for episode, expected in zip(EPISODES[1:], calls, strict=True):
        agent.add_episode(episode)
        before = agent.critic_updates
        agent.update(go_on)
        assert agent.critic_updates - before == 2 * expected


def test_what_the_operator_mended_is_not_imitated_within_the_horizon():
    """The VLA's loss sees H = 16 steps of a window, not only the C = 8 that are executed."""
    agent = make_agent()
    assert agent.config.vla_data == "exclude_pre_intervention"
    source = np.zeros(30, dtype=np.uint8)
    source[[12, 25]] = Source.HUMAN
    agent.add_episode(replace(make_episode(1, 30, terminated=True, size=SIZE), source=source))
    assert agent.algorithm.imitation_starts().tolist() == [25, 26, 27, 28, 29]
    source = np.full(30, Source.HUMAN)
    source[14] = Source.POLICY
    agent.add_episode(replace(make_episode(2, 30, terminated=True, size=SIZE), source=source))
    assert (agent.algorithm.imitation_starts()[5:] - 31).tolist() == list(range(15, 30))


def test_a_vla_that_waits_stands_still_until_a_correction_led_to_a_success():
    agent = make_agent(vla_waits=True)
    nobody, demonstrated = np.full(30, Source.POLICY), np.full(30, Source.HUMAN)
    made = make_episode(1, 30, terminated=True, stage="collect", size=SIZE)
    agent.add_episode(replace(made, source=demonstrated))
    made = make_episode(2, 30, terminated=True, size=SIZE)
    agent.add_episode(replace(made, source=nobody))
    corrected = nobody.copy()
    corrected[[12, 13]] = Source.HUMAN
    failed = make_episode(3, 30, terminated=False, size=SIZE)
    agent.add_episode(replace(failed, source=corrected))
    assert len(agent.algorithm.imitation_starts()) == 0
    before = agent.vla.weights()["action_out.weight"].clone()
    agent.update(go_on)
    assert torch.equal(agent.vla.weights()["action_out.weight"], before)
    agent.add_episode(replace(make_episode(4, 30, terminated=True, size=SIZE), source=corrected))
    waits = agent.algorithm.imitation_starts()
    assert {int(start) // 31 for start in waits} == {0, 1, 3}, "its own successes, too"
    agent.update(go_on)
    assert not torch.equal(agent.vla.weights()["action_out.weight"], before)


@pytest.mark.parametrize("data", ["all", "successful", "exclude_pre_intervention"])
def test_what_was_explored_is_replayed_and_not_imitated(data):
    """Within the horizon H = 16, as what an operator mended."""
    agent = make_agent(vla_data=data)
    chunk = np.array([chunk_id(1 + t // 8, explored=t // 8 == 2) for t in range(40)], np.uint64)
    source = np.full(40, Source.POLICY)
    episode = make_episode(1, 40, terminated=True, size=SIZE)
    agent.add_episode(replace(episode, source=source, chunk=chunk))
    assert agent.algorithm.imitation_starts().tolist() == [0, *range(24, 40)]
    assert agent.memory.replay.starts().tolist() == list(range(40))


@pytest.mark.parametrize(
    ("data", "expected"),
    [("all", {1, 2, 3}), ("successful", {1, 3}), ("exclude_pre_intervention", {1, 3})],
)
def test_what_the_vla_imitates_is_configured(data, expected):
    agent = make_agent(vla_data=data)
    for episode in EPISODES[:3]:
        nobody = np.full(len(episode), Source.POLICY)
        agent.add_episode(replace(episode, source=nobody))
    starts = agent.algorithm.imitation_starts()
    found = {n for n, slots in enumerate(agent.memory.replay.episodes, 1) if slots[0] in starts}
    assert found == expected


@pytest.mark.parametrize("algorithm", ["expo_ft", "hg_dagger"])
def test_the_warm_up_is_made_up_for_once(algorithm):
    agent = make_agent(algorithm, warmup_updates=3)
    calls = []
    learn = agent.algorithm.learn
    agent.algorithm.learn = lambda count, encoder_phase: (
        calls.append(count) or learn(count, encoder_phase=encoder_phase)
    )
    agent.add_episode(EPISODES[0])
    agent.imitate(go_on)
    for episode in EPISODES[1:]:
        agent.add_episode(episode)
        agent.update(go_on)
    assert calls == [1 + 3, 1, 1]


@pytest.mark.parametrize("algorithm", ["hil_serl", "dsrl"])
def test_the_baselines_learn_by_the_step(algorithm):
    """As their asynchronous learners do (C.3), whatever the schedule: 0.1 calls a step here."""
    agent = make_agent(algorithm)
    agent.add_episode(EPISODES[0])
    agent.imitate(go_on)
    agent.add_episode(EPISODES[1])
    agent.update(go_on)
    assert agent.critic_updates == 2 * round(0.1 * 15)


def test_half_of_a_batch_of_hil_serl_is_what_the_operator_showed():
    """Demonstrations, and windows that hold a correction (HIL-SERL keeps these in both pools)."""
    agent = fed("hil_serl")
    replay, steps = agent.memory.replay, agent.task.execute_steps
    corrected = set(replay.starts(human=steps, demonstrated=False).tolist())
    assert corrected
    seen = set()
    for _ in range(20):
        start = agent.algorithm.draw_windows().start
        assert len(start) == agent.config.batch
        shown, online = np.split(start, [agent.config.batch // 2])
        of_online = set(shown[~replay.demonstration[shown]].tolist())
        assert of_online <= corrected
        seen |= of_online
        assert not replay.demonstration[online].any()
    assert seen


def test_the_target_sees_by_the_encoder_whose_features_are_kept():
    agent = fed(target_vla="polyak", vla_encoder_every=1, vla_encoder_steps=2)
    before = {n: p.clone() for n, p in agent.vla.image_encoders.named_parameters()}
    agent.update(go_on)
    acting = dict(agent.vla.image_encoders.named_parameters())
    assert any(not torch.equal(acting[name], before[name]) for name in before)
    for name, one in agent.vla_trainer.target.image_encoders.named_parameters():
        assert torch.equal(one, acting[name]), name


@pytest.mark.parametrize("algorithm", [name for name in ALGORITHM_NAMES if name != "sft"])
def test_progress_is_of_what_there_is_to_do(algorithm):
    agent = fed(algorithm, vla_encoder_every=1, vla_encoder_steps=3)
    shares = []
    agent.update(lambda share, metrics: not shares.append(share))
    # The diagnostics come on top of the gradient steps.
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert shares[-2] >= 1 - 2 / len(shares)


def test_a_batch_that_came_at_once_is_learned_from_once():
    """As in async mode, where episodes end while the learner is busy."""
    agent = make_agent(schedule="batch", episodes_per_batch=2)
    agent.add_episode(EPISODES[0])
    agent.imitate(go_on)
    for episode in EPISODES[1:]:
        agent.add_episode(episode)
    agent.update(go_on)
    assert agent.critic_updates == 2 * 3
    agent.update(go_on)
    assert agent.critic_updates == 2 * 3


def test_features_are_made_anew_after_the_encoder_has_learned():
    agent = fed(vla_encoder_every=1, vla_encoder_steps=3)
    agent.memory.fill_features()
    agent.memory.fill_candidates(0)
    slots = agent.memory.replay.slots
    before = agent.memory.features.get(slots, None).clone()
    agent.update(go_on)
    after = agent.memory.features.get(slots, None)
    assert not torch.equal(before, after)
    with torch.no_grad():
        expected = agent.vla.image_features(agent.memory.images(slots).images)
    torch.testing.assert_close(after, expected, atol=1e-5, rtol=0)


def test_a_reused_slot_has_neither_features_nor_candidates():
    agent = fed(replay_capacity=100)
    agent.memory.fill_features()
    agent.memory.fill_candidates(0)
    for number in range(3, 12):
        agent.add_episode(make_episode(number, 20, terminated=True, size=SIZE))
    newest = agent.memory.replay.slots[-21:]
    assert list(agent.memory.features.missing(newest)) == list(newest)
    assert list(agent.memory.candidates.missing(newest)) == list(newest)


def test_the_vla_can_learn_a_chunk_by_heart():
    """Of two steps, which a width of 64 suffices for."""
    torch.manual_seed(0)
    small = make_agent().config.vla.model_copy(
        update={"horizon": 2, "width": 64, "euler_steps": 10}
    )
    vla = build(small, load_robot("sim").views, torch.device("cpu"))
    images = torch.rand(1, 2, 3, SIZE, SIZE)
    inputs = PolicyInput(images, torch.zeros(1, 10), torch.ones(1, 16, dtype=torch.int64))
    wanted = torch.linspace(-0.8, 0.8, vla.horizon * 7).view(1, vla.horizon, 7)
    optimiser = torch.optim.Adam(vla.parameters(), lr=5e-3)
    batch = PolicyInput(
        *(t.expand(16, *t.shape[1:]) for t in (images, inputs.state, inputs.tokens))
    )
    for _ in range(100):
        optimiser.zero_grad()
        vla.imitation_loss(batch, wanted.expand(16, -1, -1)).mean().backward()
        optimiser.step()
    drawn = vla.sample(inputs, 4)
    # Nothing learned would be 0.9, always the mean 0.4.
    assert (drawn - wanted).abs().mean() < 0.2


def test_augmentation_draws_each_image_anew_and_keeps_the_range():
    torch.manual_seed(0)
    image = torch.rand(1, 1, 3, 32, 32).expand(4, 2, 3, 32, 32)
    out = augment(image)
    assert out.shape == image.shape
    assert out.min() >= 0
    assert out.max() <= 1
    flat = out.reshape(8, -1)
    assert torch.cdist(flat, flat).add(torch.eye(8)).min() > 0.1


def test_features_may_be_kept_in_half_precision(monkeypatch):
    """A policy that says so takes them so; a critic that shares its encoder does, too."""
    encode, kept = FlowVLA.encode, set[torch.dtype]()

    def encode_half(self: FlowVLA, observation: PolicyInput) -> torch.Tensor:
        if observation.features is not None:
            kept.add(observation.features.dtype)
            observation = observation.with_features(observation.features.float())
        return encode(self, observation)

    monkeypatch.setattr(FlowVLA, "encode", encode_half)
    monkeypatch.setattr(FlowVLA, "feature_dtype", torch.float16)
    agent = fed()
    assert agent.config.critic.encoder == "shared"
    assert agent.update(go_on)["critic/loss"] >= 0
    assert np.isfinite(agent.act(observation()).q)
    assert torch.float16 in kept


@pytest.mark.parametrize("online", [False, True])
def test_what_is_imitated_is_seen_from_a_state_with_noise(online, monkeypatch):
    """Of the standard deviation that stage has, in halves of the demonstrations' range."""
    seen: list[torch.Tensor] = []
    loss = FlowVLA.imitation_loss

    def heard(self: FlowVLA, observation: PolicyInput, actions: torch.Tensor) -> torch.Tensor:
        seen.append(observation.state)
        return loss(self, observation, actions)

    imitation = PRESET.imitation.model_copy(
        update={"steps": 5, "batch": 8, "state_noise": 0.0 if online else 0.3}
    )
    agent = fed(imitation=imitation, vla_state_noise=0.3 if online else 0.0)
    monkeypatch.setattr(FlowVLA, "imitation_loss", heard)
    one = torch.randn_like
    monkeypatch.setattr(
        torch, "randn_like", lambda x: torch.ones_like(x) if x.ndim == 2 else one(x)
    )
    agent.imitate(go_on)
    imitated = torch.cat(seen)
    seen.clear()
    agent.update(go_on)
    practised = torch.cat(seen)
    known = agent.vla.statistics()
    moved = 0.3 * (known.state_high - known.state_low) / 2
    states = torch.from_numpy(agent.memory.replay.state[:])
    for rows, noise in ((imitated, not online), (practised, online)):
        apart = (rows[:, None] - noise * moved - states).abs().amax(dim=2).amin(dim=1)
        assert apart.max() < 1e-5

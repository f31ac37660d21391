# SPDX-License-Identifier: Apache-2.0
"""What `ValueConfig` adds to the critic, each against its equation; off, it adds nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from expo_ft_ros.data.types import Source
from expo_ft_ros.rl.actor_critic import ActorCritic
from expo_ft_ros.rl.advantage import AdvantageWeights
from expo_ft_ros.rl.algorithms.expo_ft import EditedCritic
from expo_ft_ros.rl.config import CriticConfig, load_preset
from expo_ft_ros.rl.critic import QEnsemble
from expo_ft_ros.rl.value_config import ValueConfig
from support.agents import PLAIN, PRESET, SIZE, fed, go_on, make_agent, observation
from support.episodes import make_episode

CONFIG = CriticConfig(hidden=16)
CHUNK = 14


def networks_with(*, members: int = 4, minimum_of: int = 2, **value: Any) -> EditedCritic:
    config = PRESET.model_copy(
        update={
            "image_size": 16,
            "critic": CONFIG,
            "minimum_of": minimum_of,
            "value": ValueConfig(members=members, **value),
        }
    )
    torch.manual_seed(0)
    return EditedCritic(config, CHUNK, 0.2, visual_shape=(2, 3, 16, 16))


def a_batch(n: int = 8) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return {
        "visual": torch.rand(n, 2, 3, 16, 16, generator=generator),
        "state": torch.randn(n, 10, generator=generator),
        "action": torch.randn(n, CHUNK, generator=generator),
        "target": torch.rand(n, generator=generator),
    }


@pytest.mark.parametrize("preset", ["paper", "author"])
def test_the_paper_s_presets_have_none_of_it(preset):
    config = load_preset(preset)
    assert config.value == ValueConfig()
    off = {
        "chunk_embedding": 0,
        "dropout": 0.0,
        "weight_decay": 0.0,
        "target_bounds": False,
        "return_bound": "none",
        "before_takeover": "as_is",
        "success_share": 0.0,
        "acting_value": "minimum",
        "time_left": False,
    }
    assert {name: getattr(config.value, name) for name in off} == off
    assert config.target_candidates_of == 0
    assert config.redraw_after_encoder_phase is False
    assert config.vla_weighting == "none"


@pytest.mark.parametrize("embedding", [0, 6])
@pytest.mark.parametrize("members", [None, [2], [3, 0]])
def test_with_and_without_gradients_a_member_is_the_same_function(embedding, members):
    """[features, tanh(LayerNorm(W chunk + b))], one embedding for all members, then three layers of
    LayerNorm and ReLU: from the equations, at parameters that are all drawn."""
    torch.manual_seed(2)
    ensemble = QEnsemble(CONFIG, 5, 3, 2, ValueConfig(members=4, chunk_embedding=embedding))
    with torch.no_grad():
        for parameter in ensemble.parameters():
            parameter.normal_(0, 0.5)
    features, chunks = torch.randn(7, 5), torch.randn(7, 2, 3)
    drawn = None if members is None else torch.tensor(members)
    learned = ensemble(features, chunks, drawn)
    with torch.no_grad():
        acted = ensemble(features, chunks, drawn)
    torch.testing.assert_close(learned.detach(), acted, rtol=1e-4, atol=1e-5)
    p = {name: value.detach().double() for name, value in ensemble.named_parameters()}

    def normal(x: torch.Tensor) -> torch.Tensor:
        return (x - x.mean(-1, keepdim=True)) / (x.var(-1, False, keepdim=True) + 1e-5).sqrt()

    seen = chunks.double()
    if embedding:
        inner = normal(seen @ p["of_chunk.0.weight"].T + p["of_chunk.0.bias"])
        seen = torch.tanh(inner * p["of_chunk.1.weight"] + p["of_chunk.1.bias"])
    for place, m in enumerate(range(4) if members is None else members):
        x = features.double()[:, None] @ p["first.weight"][m] + seen @ p["first_of_chunk"][m]
        x = x + p["first.bias"][m]
        for layer in ("first", "second", "third"):
            if layer != "first":
                x = x @ p[f"{layer}.weight"][m] + p[f"{layer}.bias"][m]
            x = (normal(x) * p[f"{layer}.scale"][m] + p[f"{layer}.shift"][m]).relu()
        expected = (x @ p["weight"][m] + p["bias"][m]).squeeze(-1)
        torch.testing.assert_close(acted[place].double(), expected, rtol=1e-3, atol=1e-4)


def test_dropout_is_of_the_critic_s_own_steps_alone():
    networks, data = networks_with(dropout=0.5), a_batch()
    plain = networks_with()
    plain.load_state_dict(networks.state_dict())
    features = networks.features(networks.value, data["visual"], data["state"])
    chunks = data["action"][:, None]
    q = networks.value.ensemble(features, chunks)
    torch.testing.assert_close(q, plain.value.ensemble(features, chunks))
    learning = [networks.value.ensemble(features, chunks, learning=True) for _ in range(2)]
    assert not torch.equal(learning[0], q)
    assert not torch.equal(learning[0], learning[1])
    steps = (data["visual"], data["state"], data["action"])
    for part in (networks, plain):
        torch.manual_seed(3)
        part.actor_step(*steps)
    for one, other in zip(networks.actor.parameters(), plain.actor.parameters(), strict=True):
        assert torch.equal(one, other), "the actor sees Q without dropout"


def test_dropout_comes_before_layernorm_in_every_layer(monkeypatch):
    rates = []

    def dropout(x: torch.Tensor, rate: float) -> torch.Tensor:
        rates.append(rate)
        return x * 0 if len(rates) == 3 else x

    monkeypatch.setattr(functional, "dropout", dropout)
    ensemble = QEnsemble(CONFIG, 5, 3, 2, ValueConfig(members=4, dropout=0.25))
    q = ensemble(torch.randn(7, 5), torch.randn(7, 2, 3), learning=True)
    assert rates == [0.25] * 3
    # All of the third layer is left out: LayerNorm of zeros, then only the shift.
    shifted = ensemble.third.shift.relu() @ ensemble.weight + ensemble.bias
    torch.testing.assert_close(q, shifted.expand(4, 7, 2))


def test_weights_decay_as_adamw_s_and_only_matrices():
    """After the same gradient: theta - lr * decay * theta_0 beside Adam's theta, for matrices."""
    decay, data = 0.3, a_batch()
    decayed, plain = networks_with(weight_decay=decay), networks_with()
    before = {name: value.clone() for name, value in plain.value.named_parameters()}
    for networks in (decayed, plain):
        networks.critic_step(**data)
    rate = plain.config.learning_rate
    of_plain = dict(plain.value.named_parameters())
    for name, value in decayed.value.named_parameters():
        last = name.rsplit(".")[-1]
        vector = value.dim() == 1 or last in ("bias", "scale", "shift")
        expected = of_plain[name] - (0 if vector else rate * decay) * before[name]
        torch.testing.assert_close(value, expected, rtol=1e-5, atol=1e-7, msg=name)


@given(
    st.lists(st.floats(-2, 2, width=32), min_size=4, max_size=4),
    st.lists(st.sampled_from([-np.inf, 0.1, 0.5, 0.9]), min_size=4, max_size=4),
    st.booleans(),
    st.sampled_from(["none", "success"]),
)
def test_targets_stay_within_what_is_known(targets, least, bounds, kind):
    networks = ActorCritic.__new__(ActorCritic)
    torch.nn.Module.__init__(networks)
    value = ValueConfig(target_bounds=bounds, return_bound=kind)
    networks.config = PRESET.model_copy(update={"value": value})
    found = networks.bounded(torch.tensor(targets), torch.tensor(least, dtype=torch.float32))
    for y, low, result in zip(targets, least, found.tolist(), strict=True):
        expected = max(y, low) if kind == "success" else y
        expected = min(max(expected, 0.0), 1.0) if bounds else expected
        assert result == pytest.approx(expected)


@pytest.mark.parametrize("algorithm", ["expo_ft", "hil_serl", "dsrl"])
def test_no_algorithm_learns_from_a_target_out_of_bounds(algorithm):
    value = ValueConfig(target_bounds=True, return_bound="unmended")
    agent = fed(algorithm, value=value)
    networks = agent.algorithm.networks
    with torch.no_grad():
        networks.target.ensemble.bias.fill_(-7.0)
    metrics = agent.update(go_on)
    assert 0 <= metrics["critic/target_min"] <= metrics["critic/target_max"] <= 1
    assert metrics["critic/target_max"] > 0, "the demonstration's return bounds some"


def test_acting_may_go_by_the_members_mean():
    agent = fed(value=ValueConfig(acting_value="mean"), edits=False, minimum_of=2)
    agent.update(go_on)
    result = agent.act(observation())
    networks, memory = agent.algorithm.networks, agent.memory
    with torch.no_grad():
        visual, state, _ = memory.of_observation(observation())
        features = networks.features(networks.target, visual, state)
        chunks = agent.vla.normalise(torch.from_numpy(result.candidates)).flatten(1)
        every = networks.target.ensemble(features, chunks[None])
    np.testing.assert_allclose(result.candidate_q, every.mean(dim=0)[0], atol=1e-4)
    assert result.chosen == int(result.candidate_q.argmax())


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_a_share_of_each_batch_is_of_successes(share):
    agent = make_agent(value=ValueConfig(success_share=share))
    agent.add_episode(make_episode(1, 4, terminated=True, stage="collect", size=SIZE))
    agent.add_episode(make_episode(2, 90, terminated=False, size=SIZE))
    replay, size = agent.memory.replay, agent.config.batch
    starts = [agent.memory.batch().start for _ in range(40)]
    assert all(len(start) == size for start in starts)
    of_successes = np.array([replay.success[start].mean() for start in starts])
    expected = share + (1 - share) * 4 / 94
    assert of_successes.mean() == pytest.approx(expected, abs=0.03)
    assert of_successes.min() >= share


def test_without_a_success_a_batch_is_of_what_there_is():
    agent = make_agent(value=ValueConfig(success_share=0.5))
    agent.add_episode(make_episode(2, 30, terminated=False, size=SIZE))
    assert len(agent.memory.batch().start) == agent.config.batch


@pytest.mark.parametrize("kept", ["cached", "fresh"])
def test_the_target_may_choose_among_some_of_the_base_chunks(kept):
    agent = fed(target_candidates=kept, target_candidates_of=3)
    agent.memory.fill_features()
    agent.memory.fill_candidates(0)
    slots = agent.memory.replay.slots[:5]
    chunks = agent.memory.base_chunks(slots, 3)
    assert chunks.shape == (5, 3, 8 * 7)
    if kept == "fresh":
        return
    every = agent.memory.base_chunks(slots)
    assert every.shape == (5, 8, 8 * 7)
    seen = set()
    for _ in range(30):
        found = agent.memory.base_chunks(slots, 3)
        places = [
            [int((every[row] == one).all(dim=1).nonzero()[0]) for one in found[row]]
            for row in range(5)
        ]
        assert all(len(set(row)) == 3 for row in places)
        seen |= set(places[0])
    assert seen == set(range(8))


def test_a_target_that_chooses_among_more_than_there_are_is_refused():
    with pytest.raises(ValueError, match="target_candidates_of 9 is more than candidates 8"):
        load_preset(changes={**PLAIN, "target_candidates_of": "9"})
    with pytest.raises(ValueError, match=r"of 2 is less than edit\.gripper_decisions 3"):
        load_preset(changes={**PLAIN, "target_candidates_of": "2", "edit.gripper_decisions": "3"})


@pytest.mark.parametrize("redraw", [True, False])
def test_candidates_may_be_drawn_anew_once_the_encoder_has_learned(redraw):
    agent = fed(
        vla_encoder_every=1,
        vla_encoder_steps=2,
        vla_steps_per_update=0,
        refresh_per_update=0,
        redraw_after_encoder_phase=redraw,
    )
    memory, slots = agent.memory, agent.memory.replay.slots
    memory.fill_features()
    memory.fill_candidates(0)
    before = memory.candidates.get(slots).clone()
    agent.update(go_on)
    changed = (memory.candidates.get(slots) != before).flatten(1).any(dim=1)
    assert changed.all() if redraw else not changed.any()


def test_what_a_takeover_ends_is_learned_from_that_way_and_imitated_as_it_was():
    agent = make_agent(value=ValueConfig(before_takeover="terminal"))
    source = np.zeros(12, np.uint8)
    source[5:7] = Source.HUMAN
    episode = replace(make_episode(1, 12, terminated=True, size=SIZE), source=source)
    agent.add_episode(episode)
    memory = agent.memory
    first = memory.replay.slots[:1]
    window = memory.value_windows(first)
    assert (window.length[0], window.bootstrap[0], window.reward[0]) == (5, 0, 0)
    starts = np.concatenate([memory.batch().start for _ in range(5)])
    assert memory.value_windows(starts).length.min() == 1
    whole = memory.windows(first, 12)
    np.testing.assert_array_equal(whole.actions[0], episode.executed)


def own_return_by_hand(agent: Any, start: int) -> float | None:
    """What the episode returned from a slot on; None where an operator takes over later, or where
    it timed out and that is no end."""
    replay, config = agent.memory.replay, agent.config
    (slots,) = [slots for slots in replay.episodes if start in slots]
    later = replay.source[start : slots[-1]]
    taken_over = ((later[:-1] == Source.POLICY) & (later[1:] == Source.HUMAN)).any()
    goes_on = config.bootstrap_on_truncation and not replay.success[start]
    if taken_over or goes_on:
        return None
    return float(sum(config.gamma**i * r for i, r in enumerate(replay.reward[start : slots[-1]])))


def weights_by_hand(agent: Any, start: np.ndarray, kind: str) -> np.ndarray:
    """exp(min(A / T, log limit)) by its mean, A from the plain images' features; at most the
    limit once more."""
    networks, memory, config = agent.algorithm.networks, agent.memory, agent.config
    window = memory.windows(start, 16)
    with torch.no_grad():
        features = networks.features(networks.target, *memory.critic_input(start))
        base = networks.executable(memory.base_chunks(start))
        of_base = networks.target.ensemble(features, base).mean(dim=(0, 2)).numpy()
        executed = networks.target.ensemble(features, memory.chunk(window)[:, None])
    worth = executed.mean(dim=0)[:, 0].numpy()
    if kind == "return_advantage":
        own = [own_return_by_hand(agent, int(s)) for s in start]
        worth = np.array([q if r is None else r for q, r in zip(worth, own, strict=True)])
    weights = np.exp((worth - of_base) / config.vla_weight_temperature)
    weights = np.minimum(weights, config.vla_weight_limit)
    return np.minimum(weights / weights.mean(), config.vla_weight_limit)


@pytest.mark.parametrize("truncation", [True, False])
@pytest.mark.parametrize("kind", ["return_advantage", "q_advantage"])
def test_what_was_better_than_the_base_chunks_is_imitated_more(kind, truncation):
    agent = fed(
        vla_weighting=kind, augmentation="none", augmented_features=0, vla_data="all",
        bootstrap_on_truncation=truncation,
    )  # fmt: skip
    starts = agent.memory.replay.starts()
    own = [own_return_by_hand(agent, int(start)) for start in starts]
    assert any(returned is None for returned in own)
    assert any(returned is not None for returned in own)
    given: list[tuple[np.ndarray, torch.Tensor]] = []
    step = agent.vla_trainer.online_steps

    def spied(starts, weights):
        def remember(window):
            given.append((window.start, weights(window)))
            expected = weights_by_hand(agent, window.start, kind)
            np.testing.assert_allclose(given[-1][1].numpy(), expected, rtol=1e-3)
            return given[-1][1]

        return step(starts, remember)

    agent.vla_trainer.online_steps = spied
    metrics = agent.update(go_on)
    assert given
    weights = given[-1][1]
    assert weights.mean().item() == pytest.approx(1)
    assert metrics["vla/greatest_weight"] >= 1


def test_no_window_weighs_more_than_the_limit():
    """Also where hardly any other one weighs anything, so that the mean is far below it."""
    agent = make_agent(
        vla_weighting="return_advantage", vla_weight_temperature=0.01, vla_weight_limit=2.0
    )
    for number, success in ((1, True), (2, False)):
        episode = make_episode(number, 9, terminated=success, size=SIZE)
        agent.add_episode(replace(episode, source=np.full(9, Source.POLICY)))
    good, bad = (slots[0] for slots in agent.memory.replay.episodes)
    networks = agent.algorithm.networks
    with torch.no_grad():
        networks.target.ensemble.weight.zero_()
        networks.target.ensemble.bias.fill_(0.5)
    weights = AdvantageWeights(agent.config, agent.memory, networks)
    agent.memory.fill_features()
    agent.memory.fill_candidates(0)
    found = weights(agent.memory.windows(np.array([good] + [bad] * 7), 16))
    torch.testing.assert_close(found, torch.tensor([2.0] + [0.0] * 7))


def test_a_window_of_no_weight_teaches_nothing():
    """The loss is the weighted mean: with weights of one window, that window's loss."""
    agent = fed(vla_steps_per_update=1)
    losses = torch.tensor([])
    of_vla = agent.vla_trainer.trained.imitation_loss

    def remember(inputs, actions):
        nonlocal losses
        losses = of_vla(inputs, actions)
        return losses

    agent.vla_trainer.trained.imitation_loss = remember
    weights = torch.zeros(agent.config.batch)
    weights[3] = agent.config.batch
    agent.memory.fill_features()
    pool = agent.algorithm.imitation_starts
    metrics = list(agent.vla_trainer.online_steps(pool, lambda window: weights))
    assert metrics[0]["vla/loss"] == pytest.approx(losses[3].item(), rel=1e-5)

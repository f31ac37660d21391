# SPDX-License-Identifier: Apache-2.0
"""The ensemble, the selection and the TD target against plain NumPy, written from the equations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from expo_ft_ros.rl.actor_critic import TrainingDiverged, step_optimiser
from expo_ft_ros.rl.algorithms.expo_ft import EditedCritic
from expo_ft_ros.rl.config import AgentConfig, CriticConfig
from expo_ft_ros.rl.critic import QEnsemble
from expo_ft_ros.rl.value_config import ValueConfig
from support.agents import PRESET

CONFIG = CriticConfig(hidden=16)
FOUR = ValueConfig(members=4)
CHUNK = 14


def test_each_member_is_a_plain_layernorm_mlp():
    torch.manual_seed(0)
    ensemble = QEnsemble(CONFIG, feature_dim=5, chunk_dim=3, minimum_of=2, value=FOUR)
    features, chunks = torch.randn(7, 5), torch.randn(7, 2, 3)
    out = ensemble(features, chunks)
    for m in range(4):
        x = torch.cat([features[:, None].expand(-1, 2, -1), chunks], dim=-1)
        first = torch.cat([ensemble.first.weight, ensemble.first_of_chunk], dim=1)
        layers = (ensemble.first, ensemble.second, ensemble.third)
        for layer, weight in zip(
            layers, (first, ensemble.second.weight, ensemble.third.weight), strict=True
        ):
            x = x @ weight[m] + layer.bias[m]
            x = functional.layer_norm(x, x.shape[-1:], layer.scale[m, 0], layer.shift[m, 0]).relu()
        expected = (x @ ensemble.weight[m] + ensemble.bias[m]).squeeze(-1)
        torch.testing.assert_close(out[m], expected, rtol=1e-4, atol=1e-5)


def test_drawn_members_are_distinct_and_their_minimum_is_taken():
    torch.manual_seed(1)
    ensemble = QEnsemble(CONFIG, 5, 3, 2, FOUR)
    features, chunks = torch.randn(3, 5), torch.randn(3, 6, 3)
    every = ensemble(features, chunks)
    pairs = {tuple(every[[i, j]].amin(0).flatten().tolist()) for i in range(4) for j in range(i)}
    seen = set()
    for _ in range(60):
        drawn = ensemble.draw()
        assert len(set(drawn.tolist())) == 2
        q = ensemble(features, chunks, drawn).amin(0)
        torch.testing.assert_close(q, every[drawn].amin(0), rtol=1e-4, atol=1e-5)
        seen.add(tuple(sorted(drawn.tolist())))
    assert len(seen) == len(pairs) == 6


def small_config(**changes: Any) -> AgentConfig:
    small = {"image_size": 16, "critic": CONFIG, "value": FOUR, "minimum_of": 2, "edits": True}
    return PRESET.model_copy(update={**small, **changes})


def make_networks(**changes: Any) -> EditedCritic:
    return EditedCritic(small_config(**changes), CHUNK, 0.2, visual_shape=(2, 3, 16, 16))


def batch(n: int = 8) -> dict[str, torch.Tensor]:
    return {
        "visual": torch.rand(n, 2, 3, 16, 16),
        "state": torch.randn(n, 10),
        "chunk": torch.randn(n, CHUNK),
        "reward": torch.rand(n),
        "bootstrap": torch.tensor([0.0, 0.9] * (n // 2)),
        "next_visual": torch.rand(n, 2, 3, 16, 16),
        "next_state": torch.randn(n, 10),
        "next_base": torch.randn(n, 3, CHUNK),
    }


NEXT = ("reward", "bootstrap", "next_visual", "next_state", "next_base")


@pytest.mark.parametrize("decisions", [0, 2])
@pytest.mark.parametrize("pessimistic_edit_gain", [False, True])
@pytest.mark.parametrize("draws", [([0, 2], [3, 1]), ([2, 0, 3, 1], [1, 3, 0, 2])])
@pytest.mark.parametrize("acting_value", ["minimum", "mean"])
def test_td_target_is_the_equation(
    monkeypatch, acting_value, draws, pessimistic_edit_gain, decisions
):
    """y = r + bootstrap * min over fresh members of Q'(s', a*), a* the argmax over base chunks,
    their edits and gripper decisions of the minimum over other members, however acting values
    them: here in NumPy, with the draws known."""
    torch.manual_seed(0)
    edit_config = PRESET.edit.model_copy(
        update={
            "pessimistic_edit_gain": pessimistic_edit_gain,
            "gripper_decisions": decisions,
        }
    )
    value_config = ValueConfig(members=4, acting_value=acting_value)
    networks = make_networks(minimum_of=len(draws[0]), edit=edit_config, value=value_config)
    data = batch()
    given = iter([torch.tensor(draw) for draw in draws])
    monkeypatch.setattr(QEnsemble, "draw", lambda self, generator=None: next(given))
    edits: list[torch.Tensor] = []
    sample = networks.actor.sample

    def remember(known, generator=None):
        edit, density = sample(known, generator)
        edits.append(edit)
        return edit, density

    monkeypatch.setattr(networks.actor, "sample", remember)
    y = networks.td_target(*(data[name] for name in NEXT)).numpy()

    base, edit = data["next_base"].numpy().clip(-1, 1), edits[0].numpy()
    opening, closing = base[:, :decisions].copy(), base[:, :decisions].copy()
    opening[:, :, 6::7], closing[:, :, 6::7] = 1, -1
    candidates = np.concatenate([base, (base + edit).clip(-1, 1), opening, closing], axis=1)
    base_of = [0, 1, 2, 0, 1, 2, *range(decisions), *range(decisions)]
    with torch.no_grad():
        features = networks.features(networks.target, data["next_visual"], data["next_state"])
        every = networks.target.ensemble(features, torch.from_numpy(candidates)).numpy()
    expected = np.empty(8)
    for b in range(8):
        drawn = every[list(draws[0]), b]
        worth = drawn.min(axis=0)
        if pessimistic_edit_gain:
            gain = (drawn - drawn[:, base_of]).min(axis=0)
            # Gripper decisions, from the seventh on, are worth their own minimum.
            edited = (np.arange(len(worth)) >= 3) & (np.arange(len(worth)) < 6)
            worth = np.where(edited, worth[base_of] + gain, worth)
        star = int(np.argmax(worth))
        value = every[list(draws[1]), b, star].min()
        expected[b] = data["reward"][b] + data["bootstrap"][b] * value
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(y[::2], data["reward"][::2], rtol=1e-6)


def test_td_target_of_an_actor_is_the_equation(monkeypatch):
    torch.manual_seed(0)
    networks = make_networks()
    data = batch()
    monkeypatch.setattr(QEnsemble, "draw", lambda self, generator=None: torch.tensor([1, 3]))
    drawn = torch.randn(8, CHUNK)
    monkeypatch.setattr(networks.actor, "sample", lambda known, generator=None: (drawn, None))
    y = networks.td_target_of_actor(*(data[name] for name in NEXT[:4])).numpy()
    with torch.no_grad():
        features = networks.features(networks.target, data["next_visual"], data["next_state"])
        every = networks.target.ensemble(features, drawn[:, None]).numpy()[:, :, 0]
    value = np.minimum(every[1], every[3])
    expected = data["reward"].numpy() + data["bootstrap"].numpy() * value
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)


def test_the_loss_is_the_squared_error_averaged_over_all_members():
    networks = make_networks()
    data = batch()
    with torch.no_grad():
        features = networks.features(networks.value, data["visual"], data["state"])
        q = networks.value.ensemble(features, data["chunk"][:, None]).numpy()[:, :, 0]
    y = torch.randn(8)
    expected = np.mean([(q[m] - y.numpy()) ** 2 for m in range(4)])
    metrics = networks.critic_step(data["visual"], data["state"], data["chunk"], y)
    assert metrics["critic/loss"] == pytest.approx(expected, rel=1e-4)


def select(networks: EditedCritic, data: dict[str, torch.Tensor]):
    return networks.select(data["next_visual"], data["next_state"], data["next_base"], mode=False)


def test_candidates_are_base_chunks_then_edits_within_scale():
    networks, data = make_networks(), batch()
    selection = select(networks, data)
    base, edited = selection.chunks[:, :3], selection.chunks[:, 3:]
    torch.testing.assert_close(base, data["next_base"].clamp(-1, 1))
    assert 0 < (edited - base).abs().max() <= 0.2 + 1e-6
    rows = torch.arange(len(selection.chosen))
    assert (selection.q[rows, selection.chosen] == selection.q.amax(dim=1)).all()
    assert torch.equal(selection.best, selection.chunks[rows, selection.chosen])


def test_edits_may_be_left_out():
    networks, data = make_networks(), batch()
    base = data["next_base"]
    left_out = networks.select(
        data["next_visual"], data["next_state"], base, mode=False, alternatives=False
    )
    torch.testing.assert_close(left_out.chunks, base.clamp(-1, 1))


def test_no_candidate_is_beyond_what_a_robot_executes():
    """Action dimension 6 was only ever at its ends, as a gripper is; the others within half."""
    networks, data = make_networks(), batch()
    networks.action_stats.low[:6], networks.action_stats.high[:6] = -0.5, 0.5
    candidates = select(networks, data).chunks.view(8, 6, CHUNK // 7, 7)
    raw = networks.action_stats.inverse(candidates)
    assert raw.abs().max() <= 1 + 1e-6
    assert candidates[..., :6].abs().max() > 1.2
    assert candidates[..., 6].abs().max() <= 1 + 1e-6


def test_rotations_may_be_left_unedited():
    edit = PRESET.edit.model_copy(update={"rotation_scale": 0.0})
    networks, data = make_networks(edit=edit), batch()
    data["next_base"] = data["next_base"].clamp(-0.7, 0.7)
    edits = select(networks, data).chunks[:, 3:] - data["next_base"]
    per_step = edits.view(8, 3, CHUNK // 7, 7)
    assert per_step[..., 3:6].abs().max() < 1e-6
    assert per_step[..., [0, 1, 2, 6]].abs().min() > 0
    assert networks.actor.dims == CHUNK * 4 // 7


def test_polyak_moves_the_target_by_tau():
    networks, data = make_networks(), batch()
    before = [p.clone() for p in networks.target.parameters()]
    networks.critic_step(data["visual"], data["state"], data["chunk"], torch.rand(8))
    tau = networks.config.tau
    for old, target, online in zip(
        before, networks.target.parameters(), networks.value.parameters(), strict=True
    ):
        expected = (1 - tau) * old.numpy() + tau * online.detach().numpy()
        np.testing.assert_allclose(target.numpy(), expected, rtol=1e-4, atol=1e-6)


def test_a_loss_that_is_not_finite_stops_and_keeps_the_weights():
    networks, data = make_networks(), batch()
    before = [p.clone() for p in networks.value.parameters()]
    target = torch.rand(8)
    target[3] = float("nan")
    with pytest.raises(TrainingDiverged, match=r"critic loss is nan \(1 of 8 values of target"):
        networks.critic_step(data["visual"], data["state"], data["chunk"], target)
    for old, new in zip(before, networks.value.parameters(), strict=True):
        torch.testing.assert_close(old, new)


@pytest.mark.parametrize("max_norm", [None, 1.0])
@pytest.mark.parametrize("factor", ["inf", "nan"])
def test_a_gradient_that_is_not_finite_stops_and_names_its_tensor(factor, max_norm):
    network = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 1))
    optimiser = torch.optim.SGD(network.named_parameters(), lr=1.0)
    network[1].weight.register_hook(lambda gradient: gradient * float(factor))
    before = [p.clone() for p in network.parameters()]
    with pytest.raises(TrainingDiverged, match=r"gradient of the loss .*2 values of 1\.weight"):
        step_optimiser(optimiser, network(torch.ones(1, 2)).sum(), "loss", {}, max_norm)
    for old, new in zip(before, network.parameters(), strict=True):
        torch.testing.assert_close(old, new)


def test_a_weight_that_is_not_finite_is_named():
    networks, data = make_networks(), batch()
    with torch.no_grad():
        networks.actor.state_dict()["trunk.0.weight"][0, 0] = float("nan")
    step = (data["visual"], data["state"], data["chunk"])
    with pytest.raises(TrainingDiverged, match=r"actor loss is nan \(1 of .* trunk\.0\.weight"):
        networks.actor_step(*step)


def test_temperature_follows_its_own_equation():
    """d/d log alpha of alpha * (H - target) is alpha * (H - target): it falls above the target."""
    torch.manual_seed(0)
    networks, data = make_networks(), batch()
    step = (data["visual"], data["state"], data["chunk"])
    networks.target_entropy = 1e3
    before = networks.log_alpha.item()
    metrics = networks.actor_step(*step)
    gradient = networks.log_alpha.grad
    assert gradient is not None
    alpha = np.exp(before)
    assert gradient.item() == pytest.approx(alpha * (metrics["actor/entropy"] - 1e3), rel=1e-4)
    assert networks.log_alpha.item() > before
    networks.target_entropy = -1e3
    middle = networks.log_alpha.item()
    for _ in range(5):
        networks.actor_step(*step)
    assert networks.log_alpha.item() < middle


@pytest.mark.parametrize(("rate", "moves"), [(0.0, 0.0), (0.02, 0.02), (None, 3e-4)])
def test_the_temperature_has_a_rate_of_its_own(rate, moves):
    """Adam's first step is as long as its rate."""
    edit = PRESET.edit.model_copy(update={"alpha_learning_rate": rate})
    networks, data = make_networks(edit=edit), batch()
    before = networks.log_alpha.item()
    networks.actor_step(data["visual"], data["state"], data["chunk"])
    assert abs(networks.log_alpha.item() - before) == pytest.approx(moves, rel=1e-2, abs=1e-9)


def test_the_actor_neither_moves_the_critic_nor_its_encoder():
    networks, data = make_networks(), batch()
    before = [p.clone() for p in networks.value.parameters()]
    networks.actor_step(data["visual"], data["state"], data["chunk"])
    assert all(p.grad is None for p in networks.value.encoder.parameters())
    for old, new in zip(before, networks.value.parameters(), strict=True):
        assert torch.equal(old, new)


def test_the_edit_loss_is_that_of_equation_4():
    """alpha * log pi(e | s, a) - mean over all members of Q(s, a + e), e drawn anew; its density by
    torch.distributions. Loss and gradient, at an alpha at which both parts count."""
    networks, data = make_networks(), batch()
    with torch.no_grad():
        networks.log_alpha.fill_(-3.0)
        # Wide edits, so that some leave what a robot executes.
        networks.actor.state_dict()["head.weight"].mul_(3.0)
    known = networks.features(networks.value, data["visual"], data["state"]).detach()
    base = data["chunk"]
    limit = torch.ones(CHUNK)
    low, high = (networks.action_stats.transform(s * limit.view(-1, 7)) for s in (-1, 1))
    torch.manual_seed(5)
    mean, log_std = networks.actor.distribution(torch.cat([known, base], dim=-1))
    u = mean + log_std.exp() * torch.randn(mean.shape)
    edit = 0.2 * torch.tanh(u)
    density = torch.distributions.Normal(mean, log_std.exp()).log_prob(u)
    # |de/du| = beta * (1 - tanh^2 u)
    density = (density - torch.log(0.2 * (1 - torch.tanh(u) ** 2))).sum(dim=1)
    assert torch.isfinite(density).all()
    edited = torch.minimum(torch.maximum(base + edit, low.flatten()), high.flatten())
    assert not torch.equal(edited, base + edit)
    q = networks.value.ensemble(known, edited[:, None])[:, :, 0]
    expected = (np.exp(-3.0) * density - sum(q) / len(q)).mean()
    gradients = torch.autograd.grad(expected, list(networks.actor.parameters()))

    torch.manual_seed(5)
    metrics = networks.actor_step(data["visual"], data["state"], base)
    assert metrics["actor/loss"] == pytest.approx(expected.item(), rel=1e-4)
    for found, wanted in zip(networks.actor.parameters(), gradients, strict=True):
        torch.testing.assert_close(found.grad, wanted, rtol=2e-3, atol=1e-6)


@pytest.mark.parametrize("acting", [True, False])
def test_gripper_decisions_are_valued_as_base_chunks_are_and_edits_by_their_gain(acting):
    torch.manual_seed(0)
    edit_config = PRESET.edit.model_copy(
        update={
            "pessimistic_edit_gain": True,
            "gripper_decisions": 2,
            "agreed_decisions": False,
        }
    )
    networks = make_networks(minimum_of=4, edit=edit_config)
    data = batch()
    visual, state = data["next_visual"], data["next_state"]
    made = networks.select(visual, state, data["next_base"], mode=False, acting=acting)
    with torch.no_grad():
        features = networks.features(networks.target, visual, state)
        every = networks.target.ensemble(features, made.chunks)
    least = every.amin(dim=0)
    gain = (every[:, :, 3:6] - every[:, :, :3]).amin(dim=0)
    expected = torch.cat([least[:, :3], least[:, :3] + gain, least[:, 6:]], dim=1)
    torch.testing.assert_close(made.q, expected, rtol=1e-4, atol=1e-5)


def test_without_edits_the_target_asks_the_members_once(monkeypatch):
    """Where all members are asked, the choice's value is known: a gain of edits changes nothing."""
    edit_config = PRESET.edit.model_copy(
        update={"pessimistic_edit_gain": True, "gripper_decisions": 2}
    )
    networks = make_networks(minimum_of=4, edit=edit_config, edits=False)
    asked: list[None] = []
    forward = QEnsemble.forward

    def count(self, *args, **kwargs):
        asked.append(None)
        return forward(self, *args, **kwargs)

    monkeypatch.setattr(QEnsemble, "forward", count)
    data = batch()
    networks.td_target(*(data[name] for name in NEXT))
    assert len(asked) == 1

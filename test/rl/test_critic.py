"""The batched ensemble against one plain network a member, and the TD target against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from expo_ft_ros.rl.config import AgentConfig, CriticConfig, load_preset
from expo_ft_ros.rl.critic import QEnsemble
from expo_ft_ros.rl.expo_ft import CriticBatch, ExpoFT, TrainingDiverged

CONFIG = CriticConfig(members=4, hidden=16)


def test_each_member_is_a_plain_layernorm_mlp():
    torch.manual_seed(0)
    ensemble = QEnsemble(CONFIG, feature_dim=5, chunk_dim=3)
    features, chunks = torch.randn(7, 5), torch.randn(7, 2, 3)
    out = ensemble(features, chunks)
    for m in range(4):
        x = torch.cat([features[:, None].expand(-1, 2, -1), chunks], dim=-1)
        for layer in (ensemble.first, ensemble.second, ensemble.third):
            x = x @ layer.weight[m] + layer.bias[m]
            x = functional.layer_norm(x, x.shape[-1:], layer.scale[m, 0], layer.shift[m, 0]).relu()
        expected = (x @ ensemble.weight[m] + ensemble.bias[m]).squeeze(-1)
        torch.testing.assert_close(out[m], expected, rtol=1e-4, atol=1e-5)


def test_drawn_members_are_distinct_and_their_minimum_is_taken():
    torch.manual_seed(1)
    ensemble = QEnsemble(CONFIG, 5, 3)
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


def small_config() -> AgentConfig:
    return load_preset("small").model_copy(update={"image_size": 16, "critic": CONFIG})


def make_batch(n: int = 8, chunk_dim: int = 14) -> CriticBatch:
    return CriticBatch(
        visual=torch.rand(n, 2, 3, 16, 16),
        state=torch.randn(n, 10),
        chunk=torch.randn(n, chunk_dim),
        reward=torch.rand(n),
        bootstrap=torch.tensor([0.0, 0.9] * (n // 2)),
        next_visual=torch.rand(n, 2, 3, 16, 16),
        next_state=torch.randn(n, 10),
        next_base=torch.randn(n, 3, chunk_dim),
    )


def test_td_target_is_the_equation_when_all_members_agree():
    torch.manual_seed(0)
    expo = ExpoFT(small_config(), chunk_dim=14, edit_scale=0.2)
    for parameter in expo.target.ensemble.parameters():
        parameter.data[:] = parameter.data[:1]
    batch = make_batch()
    torch.manual_seed(5)
    y = expo.td_target(batch).numpy()
    torch.manual_seed(5)
    selection = expo.select(batch.next_visual, batch.next_state, batch.next_base, mode=False)
    best = selection.q.numpy().max(axis=1)
    expected = batch.reward.numpy() + batch.bootstrap.numpy() * best
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(y[::2], batch.reward.numpy()[::2], rtol=1e-6)


def test_candidates_are_base_chunks_then_edits_within_scale():
    expo = ExpoFT(small_config(), 14, edit_scale=0.2)
    batch = make_batch()
    selection = expo.select(batch.next_visual, batch.next_state, batch.next_base, mode=False)
    base, edited = selection.candidates[:, :3], selection.candidates[:, 3:]
    torch.testing.assert_close(base, batch.next_base)
    assert 0 < (edited - base).abs().max() <= 0.2 + 1e-6
    rows = torch.arange(len(selection.chosen))
    assert (selection.q[rows, selection.chosen] == selection.q.amax(dim=1)).all()


def test_polyak_moves_the_target_by_tau():
    expo = ExpoFT(small_config(), 14, 0.2)
    before = [p.clone() for p in expo.target.parameters()]
    expo.critic_step(make_batch())
    tau = expo.config.tau
    for old, target, online in zip(
        before, expo.target.parameters(), expo.value.parameters(), strict=True
    ):
        torch.testing.assert_close(target, (1 - tau) * old + tau * online, rtol=1e-4, atol=1e-6)


def test_a_loss_that_is_not_finite_stops_and_keeps_the_weights():
    expo = ExpoFT(small_config(), 14, 0.2)
    before = [p.clone() for p in expo.value.parameters()]
    batch = make_batch()
    batch.reward[3] = float("nan")
    with pytest.raises(TrainingDiverged, match="critic loss is nan"):
        expo.critic_step(batch)
    for old, new in zip(before, expo.value.parameters(), strict=True):
        torch.testing.assert_close(old, new)


def test_temperature_rises_when_entropy_is_below_its_target():
    torch.manual_seed(0)
    expo = ExpoFT(small_config(), 14, 0.2)
    expo.target_entropy = 1e3
    images, state, chunk = torch.rand(8, 2, 3, 16, 16), torch.randn(8, 10), torch.randn(8, 14)
    before = expo.log_alpha.item()
    expo.edit_step(images, state, chunk)
    assert expo.log_alpha.item() > before
    expo.target_entropy = -1e3
    middle = expo.log_alpha.item()
    for _ in range(5):
        expo.edit_step(images, state, chunk)
    assert expo.log_alpha.item() < middle

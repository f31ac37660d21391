# SPDX-License-Identifier: Apache-2.0
"""Flow loss, sampling and inversion against plain NumPy; the round trip of normalisation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from expo_ft_ros.data.normalisation import QuantileNormaliser
from expo_ft_ros.policies.base import PolicyInput
from expo_ft_ros.policies.flow_vla.config import FlowVLAConfig
from expo_ft_ros.policies.flow_vla.model import FlowVLA

SIZE, BATCH = 16, 5


@pytest.fixture
def vla() -> FlowVLA:
    torch.manual_seed(0)
    return FlowVLA(FlowVLAConfig(horizon=4, width=32, depth=1, channels=8), views=2)


@pytest.fixture
def observed() -> PolicyInput:
    torch.manual_seed(1)
    tokens = torch.ones(BATCH, 16, dtype=torch.int64)
    return PolicyInput(torch.rand(BATCH, 2, 3, SIZE, SIZE), torch.randn(BATCH, 10), tokens)


def test_the_loss_is_flow_matching(vla, observed, monkeypatch):
    """x_t = t * noise + (1 - t) * action; the velocity should be noise - action (openpi)."""
    noise, t = torch.randn(BATCH, 4, 7), torch.rand(BATCH)
    monkeypatch.setattr(torch, "randn_like", lambda x: noise)
    monkeypatch.setattr(torch, "rand", lambda *shape, **kw: t)
    actions = torch.randn(BATCH, 4, 7)
    loss = vla.imitation_loss(observed, actions).detach().numpy()
    a, n, s = actions.numpy(), noise.numpy(), t.numpy()[:, None, None]
    x = s * n + (1 - s) * a
    with torch.no_grad():
        v = vla.velocity(vla.encode(observed), torch.from_numpy(x)[:, None], t)[:, 0].numpy()
    np.testing.assert_allclose(loss, ((v - (n - a)) ** 2).mean(axis=(1, 2)), rtol=1e-4)


def test_sampling_is_euler_from_noise_to_action(vla, observed):
    noise = torch.randn(BATCH, 2, 4, 7)
    with torch.no_grad():
        prefix = vla.encode(observed)
        drawn = vla.denoise(prefix, noise).numpy()
        x = noise.numpy()
        steps = vla.config.euler_steps
        for k in range(steps):
            t = torch.full((BATCH,), 1 - k / steps)
            x = x - vla.velocity(prefix, torch.from_numpy(x), t).numpy() / steps
    np.testing.assert_allclose(drawn, x, rtol=1e-4, atol=1e-5)


def test_every_chunk_of_an_observation_has_its_own_noise_and_the_same_prefix(vla, observed):
    drawn = vla.sample(observed, 3, torch.Generator().manual_seed(2))
    noise = torch.randn(BATCH, 3, 4, 7, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        each = vla.encode(observed).repeat_interleave(3, dim=0)
        one = vla.denoise(each, noise.view(BATCH * 3, 1, 4, 7))
    torch.testing.assert_close(drawn, one.view(BATCH, 3, 4, 7))
    assert (drawn[:, 0] - drawn[:, 1]).abs().amin(dim=(1, 2)).max() > 0


def test_inversion_finds_noise_that_leads_back(vla, observed):
    with torch.no_grad():
        prefix = vla.encode(observed)
        noise = torch.randn(BATCH, 1, 4, 7)
        chunk = vla.denoise(prefix, noise)
        back = vla.denoise(prefix, vla.invert(prefix, chunk))
    # Euler's steps differ forwards and backwards; an unrelated chunk is further off by far.
    assert (back - chunk).abs().mean() < 0.1 * (chunk - chunk.roll(1, 0)).abs().mean()


values = hnp.arrays(np.float32, (20, 7), elements=st.floats(-1, 1, width=32))


@settings(max_examples=50)
@given(samples=values, given_=values)
def test_normalisation_comes_back(samples, given_):
    normaliser = QuantileNormaliser(7, floor=0.2)
    normaliser.fit(torch.from_numpy(samples))
    there = normaliser.transform(torch.from_numpy(given_))
    np.testing.assert_allclose(normaliser.inverse(there).numpy(), given_, atol=1e-5)
    # A constant dimension isn't blown up: the range is at least the floor.
    assert there.abs().max() <= 2 * 2 / 0.2 + 1


def test_normalisation_is_of_the_quantiles():
    samples = np.random.default_rng(0).normal(size=(5000, 2)).astype(np.float32) * [1.0, 3.0]
    normaliser = QuantileNormaliser(2, floor=0.1)
    normaliser.fit(torch.from_numpy(samples.astype(np.float32)))
    low, high = np.quantile(samples, [0.01, 0.99], axis=0)
    ends = normaliser.transform(torch.from_numpy(np.stack([low, high]).astype(np.float32)))
    np.testing.assert_allclose(ends.numpy(), [[-1, -1], [1, 1]], atol=1e-4)

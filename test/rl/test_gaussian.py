# SPDX-License-Identifier: Apache-2.0
"""The squashed Gaussian's density against torch.distributions, and the entropy it can reach."""

from __future__ import annotations

import math

import pytest
import torch
from torch import distributions as D

from expo_ft_ros.rl.gaussian import TanhGaussian, target_entropy


def reference(actor: TanhGaussian, known: torch.Tensor, scale: torch.Tensor) -> D.Distribution:
    mean, log_std = actor.distribution(known)
    squashed = [D.TanhTransform(cache_size=1), D.AffineTransform(0.0, scale)]
    return D.TransformedDistribution(D.Normal(mean, log_std.exp()), squashed)


@pytest.mark.parametrize("scale", [0.05, 0.2, 1.0, 2.0])
def test_log_density_matches_a_scaled_tanh_gaussian(scale):
    torch.manual_seed(0)
    actor = TanhGaussian(11, 6, 32, scale).double()
    known = torch.randn(50, 11).double()
    drawn, log_density = actor.sample(known)
    expected = reference(actor, known, torch.tensor(scale)).log_prob(drawn).sum(-1)
    torch.testing.assert_close(log_density, expected, rtol=1e-4, atol=1e-4)


def test_each_number_may_have_a_bound_of_its_own():
    torch.manual_seed(0)
    bounds = (0.2, 0.05, 1.0)
    actor = TanhGaussian(4, 3, 32, bounds).double()
    known = torch.randn(200, 4).double()
    drawn, log_density = actor.sample(known)
    assert (drawn.abs() <= torch.tensor(bounds)).all()
    expected = reference(actor, known, torch.tensor(bounds)).log_prob(drawn).sum(-1)
    torch.testing.assert_close(log_density, expected, rtol=1e-4, atol=1e-4)


def test_draws_stay_within_their_scale_and_the_mode_is_deterministic():
    actor = TanhGaussian(11, 6, 32, 0.2)
    known = 10 * torch.randn(200, 11)
    assert actor.sample(known)[0].abs().max() <= 0.2
    torch.testing.assert_close(actor.mode(known), actor.mode(known))


def test_a_start_at_zero_has_its_mode_at_zero_and_the_spread_asked_for():
    torch.manual_seed(0)
    actor = TanhGaussian(5, 3, 32, 0.2, zero_start=True, initial_std=0.1)
    known = torch.randn(20_000, 5)
    assert not actor.mode(known).any()
    # tanh is its argument there to within a hundredth.
    assert actor.sample(known)[0].std().item() == pytest.approx(0.2 * 0.1, rel=0.03)
    actor.sample(known)[0].square().sum().backward()
    assert actor.head.weight.grad is not None
    assert actor.head.weight.grad.abs().max() > 0, "it can't leave zero"


def test_shifted_target_is_reachable_where_the_plain_one_is_not():
    bounds = [0.2] * 56
    most = math.fsum(math.log(2 * bound) for bound in bounds)  # entropy of the uniform density
    assert target_entropy(bounds, shifted=False) == -28
    assert target_entropy(bounds, shifted=False) > most
    assert target_entropy(bounds, shifted=True) < most
    assert target_entropy([0.2, 0.5], shifted=True) == pytest.approx(-1 + math.log(0.2 * 0.5))

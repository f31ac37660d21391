# SPDX-License-Identifier: Apache-2.0
"""The squashed Gaussian's density against torch.distributions, and the entropy it can reach."""

from __future__ import annotations

import math

import pytest
import torch
from torch import distributions as D

from expo_ft_ros.rl.gaussian import TanhGaussian, target_entropy


@pytest.mark.parametrize("scale", [0.05, 0.2, 1.0, 2.0])
def test_log_density_matches_a_scaled_tanh_gaussian(scale):
    torch.manual_seed(0)
    actor = TanhGaussian(11, 6, 32, scale).double()
    known = torch.randn(50, 11).double()
    drawn, log_density = actor.sample(known)
    mean, log_std = actor.distribution(known)
    reference = D.TransformedDistribution(
        D.Normal(mean, log_std.exp()),
        [D.TanhTransform(cache_size=1), D.AffineTransform(0.0, scale)],
    )
    torch.testing.assert_close(log_density, reference.log_prob(drawn).sum(-1), rtol=1e-4, atol=1e-4)


def test_a_dimension_that_is_not_drawn_has_no_density():
    torch.manual_seed(0)
    moved = torch.tensor([1, 0, 1])
    actor = TanhGaussian(4, 3, 32, 0.2, moved).double()
    known = torch.randn(20, 4).double()
    drawn, log_density = actor.sample(known)
    assert (drawn[:, 1] == 0).all()
    mean, log_std = actor.distribution(known)
    reference = D.TransformedDistribution(
        D.Normal(mean, log_std.exp()),
        [D.TanhTransform(cache_size=1), D.AffineTransform(0.0, 0.2)],
    ).log_prob(drawn)[:, [0, 2]]
    torch.testing.assert_close(log_density, reference.sum(-1), rtol=1e-4, atol=1e-4)


def test_draws_stay_within_their_scale_and_the_mode_is_deterministic():
    actor = TanhGaussian(11, 6, 32, 0.2)
    known = 10 * torch.randn(200, 11)
    assert actor.sample(known)[0].abs().max() <= 0.2
    torch.testing.assert_close(actor.mode(known), actor.mode(known))


def test_shifted_target_is_reachable_where_the_plain_one_is_not():
    d, scale = 56, 0.2
    most = d * math.log(2 * scale)  # entropy of the uniform density on +-scale
    assert target_entropy(d, scale, shifted=False) > most
    assert target_entropy(d, scale, shifted=True) < most

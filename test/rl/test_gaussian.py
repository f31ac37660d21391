"""The edit policy's density against torch.distributions."""

from __future__ import annotations

import math

import pytest
import torch
from torch import distributions as D

from expo_ft_ros.rl.config import EditConfig
from expo_ft_ros.rl.edit import EditPolicy, target_entropy

CONFIG = EditConfig(hidden=32, alpha=0.01, shifted_target=True)


@pytest.mark.parametrize("scale", [0.05, 0.2, 1.0])
def test_log_density_matches_a_scaled_tanh_gaussian(scale):
    torch.manual_seed(0)
    policy = EditPolicy(CONFIG, feature_dim=5, chunk_dim=6, scale=scale).double()
    features, chunks = torch.randn(50, 5).double(), torch.randn(50, 6).double()
    edit, log_density = policy.sample(features, chunks)
    mean, log_std = policy.distribution(features, chunks)
    reference = D.TransformedDistribution(
        D.Normal(mean, log_std.exp()),
        [D.TanhTransform(cache_size=1), D.AffineTransform(0.0, scale)],
    )
    torch.testing.assert_close(log_density, reference.log_prob(edit).sum(-1), rtol=1e-4, atol=1e-4)


def test_edits_stay_within_their_scale_and_the_mode_is_deterministic():
    policy = EditPolicy(CONFIG, 5, 6, scale=0.2)
    features, chunks = 10 * torch.randn(200, 5), 10 * torch.randn(200, 6)
    assert policy.sample(features, chunks)[0].abs().max() <= 0.2
    torch.testing.assert_close(policy.mode(features, chunks), policy.mode(features, chunks))


def test_shifted_target_is_reachable_where_the_plain_one_is_not():
    d, scale = 56, 0.2
    most = d * math.log(2 * scale)  # entropy of the uniform density on +-scale
    assert target_entropy(d, scale, shifted=False) > most
    assert target_entropy(d, scale, shifted=True) < most

# SPDX-License-Identifier: Apache-2.0
"""The edit policy: its numbers, the edits that they stand for, and the density of both."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch.nn import functional

from expo_ft_ros.rl.config import load_preset
from expo_ft_ros.rl.edit_config import EditConfig
from expo_ft_ros.rl.edit_policy import EditPolicy

BETA = 0.2
AXES = (("position_scale", 3), ("rotation_scale", 3), ("gripper_scale", 1))


def edit_config(**changes: object) -> EditConfig:
    least = {"alpha": 1.0, "shifted_target": False, "hidden": 32}
    return EditConfig.model_validate(least | changes)


scales = st.sampled_from((0.0, 0.5, 1.0, 2.5))
spaces = st.fixed_dictionaries(
    {name: scales for name, _ in AXES} | {"knots": st.integers(0, 4)}
).filter(lambda given: any(given[name] for name, _ in AXES))


@given(space=spaces, length=st.integers(4, 9), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=60)
def test_an_edit_is_the_interpolation_of_its_knots_by_numpy(space, length, seed):
    """Written with numpy.interp, an axis at a time."""
    torch.manual_seed(seed)
    policy = EditPolicy(3, length, BETA, edit_config(**space))
    bounds = np.repeat([BETA * space[name] for name, _ in AXES], [count for _, count in AXES])
    free = np.flatnonzero(bounds)
    points = space["knots"] or length
    assert policy.dims == points * len(free)
    drawn = torch.rand(2, policy.dims) * 2 - 1
    found = policy.edit_of(drawn).view(2, length, 7).numpy()
    expected = np.zeros((2, length, 7))
    knots = drawn.view(2, points, len(free)).numpy()
    for row in range(2):
        for place, axis in enumerate(free):
            at = np.linspace(0, length - 1, points) if points > 1 else [0.0]
            expected[row, :, axis] = np.interp(np.arange(length), at, knots[row, :, place])
    np.testing.assert_allclose(found, expected, atol=1e-6)


@given(space=spaces, length=st.integers(4, 9), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=40)
def test_edits_keep_to_the_bound_of_each_axis(space, length, seed):
    torch.manual_seed(seed)
    policy = EditPolicy(3, length, BETA, edit_config(**space, initial_std=7.0))
    known = torch.randn(50, 3)
    edits = policy.sample(known)[0].view(50, length, 7)
    per_axis = edits.abs().amax(dim=(0, 1))
    bounds = [BETA * space[name] for name, count in AXES for _ in range(count)]
    assert (per_axis <= torch.tensor(bounds) + 1e-6).all()
    assert ((per_axis > 0) == (torch.tensor(bounds) > 0)).all()
    assert 0.5 < policy.size_of(edits.flatten(1)) <= 1
    assert policy.mode(known).shape == (50, length * 7)


def test_the_density_is_of_the_knots_by_the_change_of_variables():
    """p(knots) = N(u) / |d knots / du|, the Jacobian by autograd from u to the knots, these read
    off the edit at the first and the last step."""
    torch.manual_seed(0)
    config = edit_config(knots=2, rotation_scale=0.0, gripper_scale=2.5)
    policy = EditPolicy(3, 5, BETA, config).double()
    known = torch.randn(1, 3).double()
    mean, log_std = policy.distribution(known)
    edit, log_density = policy.sample(known)
    steps = edit.view(5, 7)
    free = [0, 1, 2, 6]
    knots = torch.cat([steps[0, free], steps[-1, free]])
    bounds = torch.tensor([0.2, 0.2, 0.2, 0.5] * 2).double()
    u = torch.atanh(knots / bounds)

    def to_knots(u: torch.Tensor) -> torch.Tensor:
        return bounds * torch.tanh(u)

    jacobian = torch.autograd.functional.jacobian(to_knots, u.detach())
    normal = torch.distributions.Normal(mean[0], log_std[0].exp()).log_prob(u).sum()
    expected = normal - torch.linalg.slogdet(jacobian).logabsdet
    assert log_density.item() == pytest.approx(expected.item(), abs=1e-4)


def test_the_density_integrates_to_one():
    """One free number, at one knot: by the trapezoidal rule over all edits that there are."""
    torch.manual_seed(0)
    config = edit_config(knots=1, position_scale=0.0, rotation_scale=0.0, gripper_scale=2.5)
    policy = EditPolicy(3, 4, BETA, config).double()
    known = torch.randn(1, 3).double().expand(4000, -1)
    mean, log_std = policy.distribution(known[:1])
    edits, log_density = policy.sample(known)
    drawn = edits.view(-1, 4, 7)[:, 0, 6].detach().numpy()
    order = np.argsort(drawn)
    area = np.trapezoid(np.exp(log_density.detach().numpy())[order], drawn[order])
    reach = np.arctanh(drawn[order][[0, -1]] / (BETA * 2.5))
    cut = torch.distributions.Normal(mean[0], log_std[0].exp()).cdf(torch.from_numpy(reach))
    assert area == pytest.approx((cut[1] - cut[0]).item(), abs=5e-3)


@pytest.mark.parametrize("preset", ["paper", "author", "recommended"])
def test_the_presets_draw_each_step_s_own_seven_numbers_as_before(preset):
    """The arithmetic of equation 1 as it was before there were knots and scales, bit for bit."""
    config = load_preset(preset).edit
    torch.manual_seed(0)
    policy = EditPolicy(19, 8, BETA, config)
    assert policy.dims == 56
    known = torch.randn(16, 19)
    torch.manual_seed(1)
    edits, log_density = policy.sample(known)
    with torch.no_grad():
        mean, log_std = policy.head(policy.trunk(known)).chunk(2, -1)
        log_std = log_std.clamp(-5.0, 2.0)
        torch.manual_seed(1)
        noise = torch.randn(mean.shape)
        u = mean + log_std.exp() * noise
        gaussian = -0.5 * noise.square() - log_std - 0.5 * math.log(2 * math.pi)
        squash = 2 * (math.log(2) - u - functional.softplus(-2 * u))
        assert torch.equal(edits, BETA * torch.tanh(u))
        assert torch.equal(log_density, (gaussian - squash - math.log(BETA)).sum(dim=-1))
        assert torch.equal(policy.mode(known), BETA * torch.tanh(mean))
    assert not policy.head.bias.any()
    assert policy.head.weight.abs().max() > 0


def test_what_can_not_be_is_refused():
    with pytest.raises(ValueError, match=r"edit\.knots 5 is more than the task's execute_steps 4"):
        EditPolicy(3, 4, BETA, edit_config(knots=5))
    with pytest.raises(ValidationError, match="nothing is left to edit"):
        edit_config(position_scale=0, rotation_scale=0, gripper_scale=0)

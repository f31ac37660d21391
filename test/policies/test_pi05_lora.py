# SPDX-License-Identifier: Apache-2.0
"""Low-rank updates."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from expo_ft_ros.policies.pi05.lora import add_lora, updates


def layers() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 5, bias=False), nn.GELU(), nn.Linear(5, 3))


def test_an_update_changes_nothing_at_first():
    module, x = layers(), torch.randn(4, 6)
    before = module(x)
    add_lora(module, ["0"], rank=2, alpha=4.0)
    assert torch.equal(module(x), before)


@settings(max_examples=30)
@given(rank=st.integers(1, 6), alpha=st.floats(0.1, 32), seed=st.integers(0, 100))
def test_merged_equals_applied(rank, alpha, seed):
    module = layers()
    add_lora(module, ["0", "1", "2"], rank, alpha)
    torch.manual_seed(seed)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if "lora_" in name:
                parameter.normal_()
    x = torch.randn(4, 6)
    plain = layers()
    assert not torch.allclose(plain(x), module(x))
    with torch.no_grad():
        for name, update in updates(module).items():
            plain.get_parameter(name).add_(update)
    torch.testing.assert_close(plain(x), module(x), rtol=1e-4, atol=1e-4)


def test_only_the_update_learns_and_it_is_alpha_over_rank_of_the_product():
    module, x = layers(), torch.randn(4, 6)
    add_lora(module, ["0"], rank=2, alpha=3.0)
    layer = module[0]
    module(x).sum().backward()
    assert layer.weight.grad is None
    assert layer.lora_b.grad.abs().sum() > 0
    with torch.no_grad():
        layer.lora_b.normal_()
    expected = x @ layer.weight.T + 1.5 * x @ layer.lora_a.T @ layer.lora_b.T
    torch.testing.assert_close(layer(x), expected)


def test_a_bfloat16_layer_keeps_its_type_and_its_update_is_float32():
    module = layers().bfloat16()
    add_lora(module, ["0"], rank=2, alpha=2.0)
    assert module[0].lora_a.dtype == torch.float32
    assert module[0](torch.randn(4, 6).bfloat16()).dtype == torch.bfloat16
    assert updates(module)["0.weight"].dtype == torch.float32

# SPDX-License-Identifier: Apache-2.0
"""What a piece of work is said to cost."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from expo_ft_ros.experiment.cost import CostMeter

CPU = torch.device("cpu")


def test_operations_of_a_product_are_counted_once_and_each_later_time_is_timed():
    meter, given = CostMeter(CPU), torch.ones(100, 200)
    for _ in range(3):
        made = meter.measure("product", lambda: given @ given.T)
    assert made[0, 0] == 200
    cost = meter.costs["product"]
    assert cost.gflop == pytest.approx(2 * 100 * 200 * 100 / 1e9)
    assert len(cost.milliseconds) == 2
    assert cost.least == min(cost.milliseconds)
    assert cost.numbers()["times"] == 2


def test_of_work_that_was_never_timed_no_time_is_said():
    meter = CostMeter(CPU)
    meter.measure("once", lambda: None)
    assert math.isnan(meter.costs["once"].least)


@pytest.mark.parametrize("learns", [False, True])
def test_attention_on_the_cpu_is_counted_as_on_a_gpu(learns):
    """Two products forward; five backward, as the scores are made again."""
    query = torch.randn(1, 2, 16, 8, requires_grad=learns)
    key = torch.randn(1, 2, 32, 8)

    def attend() -> None:
        made = scaled_dot_product_attention(query, key, key)
        if learns:
            made.sum().backward()

    meter = CostMeter(CPU)
    meter.measure("attention", attend)
    product = 2 * 2 * 16 * 32 * 8
    assert meter.costs["attention"].gflop == pytest.approx((7 if learns else 2) * product / 1e9)


def test_memory_that_was_needed_before_is_not_in_the_peak():
    """It is of the process: an earlier piece's is not that of a later one."""
    meter = CostMeter(CPU)
    meter.measure("little", lambda: None)
    meter.measure("much", lambda: torch.ones(100_000_000).sum())
    meter.measure("little again", lambda: None)
    little, much, again = (meter.costs[n].peak_mb for n in ("little", "much", "little again"))
    assert much > little + 300
    assert again < much - 300

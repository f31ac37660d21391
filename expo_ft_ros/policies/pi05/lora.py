# SPDX-License-Identifier: Apache-2.0
"""Low-rank updates of linear layers (LoRA, Hu et al. 2021)."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional


class LoraLinear(nn.Linear):
    """A frozen linear layer with a learned update: W + alpha / rank * B A, B zero at first.

    Args:
        base: The layer; its weight is taken over, not copied. It has no bias.
        rank: Rows of A (rank, in) and columns of B (out, rank), both float32.
        alpha: See above.
    """

    def __init__(self, base: nn.Linear, rank: int, alpha: float) -> None:
        super().__init__(base.in_features, base.out_features, bias=False, device="meta")
        self.weight = nn.Parameter(base.weight, requires_grad=False)
        self._scale = alpha / rank
        device = base.weight.device
        self.lora_a = nn.Parameter(torch.empty(rank, base.in_features, device=device))
        self.lora_b = nn.Parameter(torch.zeros(base.out_features, rank, device=device))
        nn.init.kaiming_uniform_(self.lora_a, a=math.sqrt(5))

    def forward(self, x: Tensor) -> Tensor:
        """(..., in) to (..., out), in the type of x."""
        update = functional.linear(x, self.lora_a.to(x.dtype))
        update = functional.linear(update, self.lora_b.to(x.dtype))
        return functional.linear(x, self.weight) + self._scale * update

    def update(self) -> Tensor:
        """(out, in) float32, what is to be added to the weight for a plain layer that does the
        same."""
        return (self._scale * self.lora_b @ self.lora_a).detach()


def add_lora(module: nn.Module, names: Iterable[str], rank: int, alpha: float) -> None:
    """Gives those of the named modules in a module that are linear layers an update each; one with
    a bias gets none."""
    for name in names:
        child = module.get_submodule(name)
        if type(child) is nn.Linear and child.bias is None:
            parent, _, own = name.rpartition(".")
            setattr(module.get_submodule(parent), own, LoraLinear(child, rank, alpha))


def updates(module: nn.Module) -> dict[str, Tensor]:
    """The weights in a module that have an update, by name, with it."""
    named = module.named_modules()
    return {f"{n}.weight": layer.update() for n, layer in named if isinstance(layer, LoraLinear)}

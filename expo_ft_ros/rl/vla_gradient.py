# SPDX-License-Identifier: Apache-2.0
"""The gradient of the VLA's own loss on a batch of windows, or on one process's share of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import Parameter

from expo_ft_ros.policies.base import VLA, PolicyInput, Stage
from expo_ft_ros.rl.actor_critic import add_gradient

VLA_LOSS = "vla loss"
"""Its name in errors."""

_DRAWN = "drawn."


@dataclass(frozen=True)
class ImitationBatch:
    """Windows that the VLA imitates.

    Attributes:
        inputs: What it sees at their first steps; B of them.
        chunks: (B, H, 7) what was executed, in the VLA's normalised space.
        weights: (B,) of their losses; None: all alike.
        draws: What its loss draws at random, each (B, ...); None: drawn when it is needed.
    """

    inputs: PolicyInput
    chunks: Tensor
    weights: Tensor | None = None
    draws: Mapping[str, Tensor] | None = None

    def __len__(self) -> int:
        """B."""
        return len(self.chunks)

    def parts(self, size: int) -> Iterator[ImitationBatch]:
        """The same windows, so many at a time; 0: all."""
        for at in range(0, len(self), size or len(self)):
            rows = slice(at, at + (size or len(self)))
            draws = self.draws
            yield ImitationBatch(
                self.inputs.rows(rows),
                self.chunks[rows],
                None if self.weights is None else self.weights[rows],
                None if draws is None else {name: value[rows] for name, value in draws.items()},
            )

    def with_draws(self, vla: VLA, size: int) -> ImitationBatch:
        """The same windows with all that is random about their loss, drawn as one process draws it
        that computes so many of them at a time."""
        drawn = [vla.loss_draws(part.chunks) for part in self.parts(size)]
        draws = {name: torch.cat([one[name] for one in drawn]) for name in drawn[0]}
        return replace(self, draws=draws)

    def tensors(self) -> dict[str, Tensor]:
        """All that there is of it, by name, B rows each: for `of_tensors`."""
        inputs = self.inputs
        named = {
            "images": inputs.images,
            "state": inputs.state,
            "tokens": inputs.tokens,
            "features": inputs.features,
            "chunks": self.chunks,
            "weights": self.weights,
            **{f"{_DRAWN}{name}": value for name, value in (self.draws or {}).items()},
        }
        return {name: value for name, value in named.items() if value is not None}

    @classmethod
    def of_tensors(cls, tensors: Mapping[str, Tensor]) -> ImitationBatch:
        """Of what `tensors` gave, or of some rows of each."""
        inputs = PolicyInput(
            tensors.get("images"), tensors["state"], tensors["tokens"], tensors.get("features")
        )
        draws = {
            name.removeprefix(_DRAWN): value
            for name, value in tensors.items()
            if name.startswith(_DRAWN)
        }
        return cls(inputs, tensors["chunks"], tensors.get("weights"), draws)


def learn_only(vla: VLA, stage: Stage) -> dict[str, Parameter]:
    """Gives gradients to what learns in that stage alone, and returns it."""
    learns = vla.trainable(stage)
    for every in (vla.trainable("sft"), vla.trainable("encoder")):
        for name, parameter in every.items():
            parameter.requires_grad_(name in learns)
    return learns


def add_vla_gradient(
    vla: VLA,
    learns: Mapping[str, Tensor],
    batch: ImitationBatch,
    *,
    count: int,
    at_once: int,
) -> Tensor:
    """Adds the gradient of the sum of the windows' losses, divided by `count`, to what is there.

    Args:
        vla: Whose loss.
        learns: Its parameters; those that want no gradient get none.
        batch: The windows.
        count: What the sum is divided by: of one process's share, how many all of them have.
        at_once: Windows that are computed at a time; 0: all.

    Returns:
        The loss, a scalar.

    Raises:
        TrainingDiverged: where it isn't finite.
    """
    total = torch.zeros((), device=batch.chunks.device)
    for part in batch.parts(at_once):
        loss, made_of = _loss(vla, part)
        loss = loss / count
        add_gradient(learns, loss, VLA_LOSS, made_of)
        total += loss.detach()
    return total


def _loss(vla: VLA, batch: ImitationBatch) -> tuple[Tensor, dict[str, Tensor]]:
    """The sum of some windows' losses, and what it was made of."""
    inputs = batch.inputs
    if batch.draws is None:
        losses = vla.imitation_loss(inputs, batch.chunks)
    else:
        losses = vla.imitation_loss(inputs, batch.chunks, batch.draws)
    made_of = {"state": inputs.state, "actions": batch.chunks, "losses": losses}
    if inputs.features is not None:
        made_of = {"features": inputs.features, **made_of}
    if batch.weights is not None:
        losses = losses * batch.weights
        made_of["weights"] = batch.weights
    return losses.sum(), made_of

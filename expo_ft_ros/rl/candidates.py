# SPDX-License-Identifier: Apache-2.0
"""The candidates that are made of base chunks: which there are, and which is whose."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from expo_ft_ros.data.types import ACTION_DIM, GRIPPER, CandidateKind


class Layout(NamedTuple):
    """K candidates in their order: base chunks, their edits, gripper opening, gripper closing.

    kind: (K,) uint8 of CandidateKind; base: (K,) index of the base chunk that each is made of.
    """

    kind: Tensor
    base: Tensor


def layout(bases: int, *, edits: bool, decisions: int, device: torch.device) -> Layout:
    """Of N base chunks.

    Args:
        bases: N.
        edits: Whether each is edited once.
        decisions: k, with how many of them, the first ones, each gripper decision is tried.
        device: Of the result.
    """
    whole, first = torch.arange(bases, device=device), torch.arange(decisions, device=device)
    parts = [
        (CandidateKind.BASE, whole),
        (CandidateKind.EDITED, whole[: bases if edits else 0]),
        (CandidateKind.GRIPPER, first),
        (CandidateKind.GRIPPER, first),
    ]
    kinds = [torch.full_like(of, int(kind), dtype=torch.uint8) for kind, of in parts]
    return Layout(torch.cat(kinds), torch.cat([of for _, of in parts]))


def gripper_decisions(base: Tensor, count: int, opening: Tensor, closing: Tensor) -> Tensor:
    """The first base chunks with the gripper opening throughout, then these with it closing.

    Args:
        base: (B, N, C * 7).
        count: k, at most N.
        opening: The gripper's action when it opens, a scalar.
        closing: The same when it closes.

    Returns:
        (B, 2 * k, C * 7).
    """
    steps = base.shape[2] // ACTION_DIM
    decided = base[:, :count].reshape(len(base), count, steps, ACTION_DIM).repeat(1, 2, 1, 1)
    decided[:, :count, :, GRIPPER] = opening
    decided[:, count:, :, GRIPPER] = closing
    return decided.flatten(2)


def by_agreement(q: Tensor, of_members: Tensor, made: Layout) -> Tensor:
    """q (B, K), of which a gripper decision is worth what the best base chunk is, and the least
    that any of the members' Q (M, B, K) says it gains over that one."""
    bases = int((made.kind == CandidateKind.BASE).sum())
    decided = made.kind == CandidateKind.GRIPPER
    worth, best = q[:, :bases].max(dim=1, keepdim=True)
    of_best = of_members.gather(2, best.expand(len(of_members), -1, -1))
    gain = (of_members - of_best).amin(dim=0)
    return torch.where(decided, worth + gain, q)


def uniform_index(q: Tensor, generator: torch.Generator | None) -> Tensor:
    """(B,) int64: for each row of q (B, K) one of its K places, whatever stands there."""
    return torch.randint(q.shape[1], (len(q),), generator=generator, device=q.device)

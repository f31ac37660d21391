# SPDX-License-Identifier: Apache-2.0
"""The chunks that are tried at a decision: those of the agent, and what it might have proposed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from expo_ft_ros.data.types import ACTION_DIM, CandidateKind, FloatArray
from expo_ft_ros.data.types import GRIPPER as OF_GRIPPER
from expo_ft_ros.policies.base import VLA
from expo_ft_ros.rl.agent import ActResult

BASE, GRIPPER = CandidateKind.BASE.name.lower(), CandidateKind.GRIPPER.name.lower()
RANDOM_EDITS = "random_edits"
"""A kind that no agent proposes."""
_LINEAR = slice(0, 3)
_KNOTS = 2
_GRIPPER_EDIT = 0.5
"""Bound of a random edit of the gripper, in the VLA's normalised space."""


@dataclass(frozen=True)
class Tried:
    """K chunks of one decision; see `Branches`. chunk: (K, C, 7)."""

    kind: list[str]
    proposed: list[bool]
    chosen: list[bool]
    chunk: FloatArray


def candidates(
    proposals: ActResult,
    vla: VLA,
    *,
    edit_scale: float,
    random_edits: int,
    gripper: int,
    rng: np.random.Generator,
) -> Tried:
    """All that is tried at a decision.

    Args:
        proposals: What the agent chose from, and what it chose.
        vla: Whose normalised space edits are in.
        edit_scale: Bound of a random edit's linear part.
        random_edits: How many.
        gripper: How many base chunks are tried with the gripper opening throughout, and closing;
            none where the agent proposes such itself.
        rng: Draws edits.
    """
    kinds = kinds_of(proposals)
    base = proposals.candidates[[kind == BASE for kind in kinds]]
    more = {RANDOM_EDITS: edited_at_random(base, random_edits, vla, edit_scale, rng)}
    if GRIPPER not in kinds:
        more[GRIPPER] = with_gripper(base, gripper)
    beside = [kind for kind, chunks in more.items() for _ in chunks]
    return Tried(
        kind=[*kinds, *beside],
        proposed=[True] * len(kinds) + [False] * len(beside),
        chosen=[place == proposals.chosen for place in range(len(kinds) + len(beside))],
        chunk=np.concatenate([proposals.candidates, *more.values()]),
    )


def kinds_of(proposals: ActResult) -> list[str]:
    """What made each of the agent's candidates."""
    return [CandidateKind(kind).name.lower() for kind in proposals.candidate_kind]


def with_gripper(base: FloatArray, count: int) -> FloatArray:
    """The first `count` of the chunks (N, C, 7) with the gripper opening throughout, then the same
    with it closing."""
    opening, closing = base[:count].copy(), base[:count].copy()
    opening[..., OF_GRIPPER], closing[..., OF_GRIPPER] = 1.0, -1.0
    return np.concatenate([opening, closing])


def edited_at_random(
    base: FloatArray, count: int, vla: VLA, edit_scale: float, rng: np.random.Generator
) -> FloatArray:
    """Coherent edits of the chunks (N, C, 7), one after the other: knots drawn within bounds and
    interpolated over the chunk, in the VLA's normalised space; rotations stay."""
    length = base.shape[1]
    bound = np.zeros(ACTION_DIM)
    bound[_LINEAR], bound[OF_GRIPPER] = edit_scale, _GRIPPER_EDIT
    knots = rng.uniform(-bound, bound, (count, _KNOTS, ACTION_DIM))
    share = np.linspace(0.0, 1.0, length)[:, None]
    edits = (1 - share) * knots[:, :1] + share * knots[:, 1:]
    chunks = torch.from_numpy(base[np.arange(count) % len(base)])
    device = vla.statistics().action_low.device
    edited = vla.normalise(chunks.to(device)).cpu() + torch.from_numpy(edits.astype(np.float32))
    moved: FloatArray = vla.denormalise(edited.to(device)).float().cpu().numpy()
    return moved

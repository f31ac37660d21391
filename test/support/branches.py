# SPDX-License-Identifier: Apache-2.0
"""Made-up branches in which everything is known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from expo_ft_ros.experiment.branches import Branches

GAMMA = 0.9


def make_branches(
    success: Sequence[np.ndarray],
    q: np.ndarray,
    *,
    steps: np.ndarray | None = None,
    kinds: Sequence[str] = (),
    proposed: np.ndarray | None = None,
    **more: Any,
) -> Branches:
    """States with K chunks each and success (K, N) of their continuations, all with the same
    values q (K,), kinds, and steps to the end (K, N); more: fields of `Branches`."""
    states, each = len(success), len(success[0])
    rows = states * each
    whole = np.concatenate(success)
    chosen = np.zeros(rows, dtype=np.bool_)
    chosen[::each] = True
    fields: dict[str, Any] = {
        "scene": np.arange(states),
        "step": np.zeros(states, dtype=np.int64),
        "length": np.full(states, 10),
        "closed": np.zeros(states, dtype=np.bool_),
        "images": np.zeros((states, 2, 3, 8, 8), dtype=np.uint8),
        "state": np.zeros((states, 10), dtype=np.float32),
        "instruction": np.array(["pick up the cube"] * states),
        "at": np.repeat(np.arange(states), each),
        "kind": np.array(list(kinds or ["base"] * each) * states),
        "proposed": np.tile(np.ones(each, np.bool_) if proposed is None else proposed, states),
        "chosen": chosen,
        "chunk": np.zeros((rows, 8, 7), dtype=np.float32),
        "q": np.tile(q.astype(np.float32), states),
        "success": whole,
        "steps": np.ones(whole.shape, np.int64) if steps is None else np.tile(steps, (states, 1)),
    }
    return Branches(**(fields | more))

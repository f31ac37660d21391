# SPDX-License-Identifier: Apache-2.0
"""Windows as the critic sees them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True)
class Transitions:
    """B windows of C steps as tensors.

    Attributes:
        visual: What the critic's encoder sees at the start, (B, *visual_shape).
        state: (B, state_dim) at the start, SI units; with `ValueConfig.time_left` the share of
            max_steps that is left there is the last number.
        chunk: (B, C * 7) executed, in the VLA's normalised space.
        reward: (B,) as in `Window`.
        bootstrap: (B,) as in `Window`.
        least: (B,) what a target is at least, by the returns that were seen; -inf where nothing is
            known.
        next_visual: As visual, at the end, augmented independently.
        next_state: As state, at the end.
        start: (B,) slots.
        after: (B,) slots.
    """

    visual: Tensor
    state: Tensor
    chunk: Tensor
    reward: Tensor
    bootstrap: Tensor
    least: Tensor
    next_visual: Tensor
    next_state: Tensor
    start: NDArray[np.int64]
    after: NDArray[np.int64]

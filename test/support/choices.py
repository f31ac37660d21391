# SPDX-License-Identifier: Apache-2.0
"""What a policy of a test says that it chose from."""

from __future__ import annotations

import numpy as np

from expo_ft_ros.data.types import CandidateKind, Candidates, FloatArray


def only(
    observation: int, actions: FloatArray, q: float = 0.5, kind: CandidateKind = CandidateKind.BASE
) -> Candidates:
    """A single candidate, the first 8 of the actions (H, 7)."""
    values, kinds = np.array([q], np.float32), np.array([kind], np.uint8)
    return Candidates(observation, actions[None, :8], values, kinds, 0)

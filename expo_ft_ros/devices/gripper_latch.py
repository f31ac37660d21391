# SPDX-License-Identifier: Apache-2.0
"""Which way the gripper was last told to go: what a takeover without a word on it goes on with."""

from __future__ import annotations

import numpy as np


class GripperLatch:
    """Follows what was executed, so that a takeover neither drops nor grips by surprise.

    threshold: |gripper action| that counts as closing or opening, in (0, 1].
    """

    def __init__(self, threshold: float = 0.5) -> None:
        self._threshold = threshold
        self._value = 0.0

    @property
    def value(self) -> float:
        """1 opens, -1 closes, 0 stays."""
        return self._value

    def reset(self) -> None:
        """The gripper stays as it is until somebody moves it."""
        self._value = 0.0

    def executed(self, gripper: float) -> None:
        """Takes a gripper action that was sent, in [-1, 1]. A weak one against the latch leaves it
        undecided."""
        if abs(gripper) >= self._threshold:
            self._value = float(np.sign(gripper))
        elif gripper * self._value < 0:
            self._value = 0.0

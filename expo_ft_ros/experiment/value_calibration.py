# SPDX-License-Identifier: Apache-2.0
"""What the critic promised for the chunks of an episode, against what came of it: a diagnostic."""

from __future__ import annotations

import math


class ValueCalibration:
    """Values of the chunks that a policy chose, by observation."""

    def __init__(self) -> None:
        self._made: dict[int, tuple[float, bool]] = {}

    def __len__(self) -> int:
        """Chunks noted."""
        return len(self._made)

    @property
    def observations(self) -> list[int]:
        """Those that chunks were chosen on, in order."""
        return sorted(self._made)

    def add(self, observation: int, q: float, edited: bool) -> None:
        """Notes the value of the chunk chosen on an observation, and whether it was an edit."""
        self._made[observation] = (q, edited)

    def compute(self, first: int, last: int, success: bool, gamma: float) -> dict[str, float]:
        """What became of those within an episode from its first to its last observation.

        value_error: mean of Q minus the discounted reward that came (1 for the last step of a
        success), left out while nothing is valued; far above zero the critic promises what
        doesn't come. edited_chosen: share of the chunks that were edits. Empty where there was
        no chunk.
        """
        made = {number: it for number, it in self._made.items() if first <= number < last}
        if not made:
            return {}
        edits = [edited for _, edited in made.values()]
        kept = {"edited_chosen": sum(edits) / len(edits)}
        errors = [
            q - float(success) * gamma ** (last - 1 - number)
            for number, (q, _) in made.items()
            if not math.isnan(q)
        ]
        if errors:
            kept["value_error"] = sum(errors) / len(errors)
        return kept

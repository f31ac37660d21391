# SPDX-License-Identifier: Apache-2.0
"""What was chosen in an episode, and what the critic promised against what came: diagnostics."""

from __future__ import annotations

import math
from collections.abc import Sequence

from expo_ft_ros.data.types import CandidateKind, Candidates


class ValueCalibration:
    """What a policy chose from, by observation."""

    def __init__(self) -> None:
        self._made: dict[int, Candidates] = {}

    def __len__(self) -> int:
        """Chunks noted."""
        return len(self._made)

    @property
    def observations(self) -> list[int]:
        """Those that chunks were chosen on, in order."""
        return sorted(self._made)

    def add(self, choice: Candidates) -> None:
        """Notes what was chosen on an observation, and from what."""
        self._made[choice.observation] = choice

    def compute(self, first: int, last: int, success: bool, gamma: float) -> dict[str, float]:
        """What became of those within an episode from its first to its last observation.

        edited_chosen, gripper_chosen: share of the chunks that were edits, gripper decisions, those
        among them that were drawn at random (`explore_share`).
        edit_size: mean |edit| of these edits, left out where there is none. q_spread: mean of the
        greatest minus the least Q among the candidates. value_error: mean of Q minus the discounted
        reward that came (1 for the last step of a success); far above zero the critic promises what
        doesn't come. The latter two are left out while nothing is valued. Empty where there was no
        chunk.
        """
        made = [choice for number, choice in self._made.items() if first <= number < last]
        if not made:
            return {}
        valued = [choice for choice in made if not math.isnan(choice.chosen_q)]
        errors = [
            choice.chosen_q - float(success) * gamma ** (last - 1 - choice.observation)
            for choice in valued
        ]
        sizes = [size for choice in made if (size := choice.edit_size) is not None]
        return {
            "edited_chosen": _share(made, CandidateKind.EDITED),
            "gripper_chosen": _share(made, CandidateKind.GRIPPER),
            **_mean("edit_size", sizes),
            **_mean("q_spread", [choice.q_spread for choice in valued]),
            **_mean("value_error", errors),
        }


def _share(made: Sequence[Candidates], kind: CandidateKind) -> float:
    return sum(choice.chosen_kind is kind for choice in made) / len(made)


def _mean(name: str, values: Sequence[float]) -> dict[str, float]:
    return {name: sum(values) / len(values)} if values else {}

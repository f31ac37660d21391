"""What a reward classifier is."""

from __future__ import annotations

from typing import Protocol

from expo_ft_ros.data.types import Observation, Verdict


class Classifier(Protocol):
    """Judges one observation at a time; keeps what it needs of the episode so far."""

    def reset(self, obs: Observation) -> None:
        """Starts an episode at its first observation."""

    def __call__(self, obs: Observation) -> Verdict:
        """Returns the sparse reward (0 or 1) of the action that led to obs."""

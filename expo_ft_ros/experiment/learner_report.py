# SPDX-License-Identifier: Apache-2.0
"""What the learner says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class LearnerReport:
    """The fields of msg/LearnerStatus, which documents them."""

    stage: str = ""
    finished: str = ""
    progress: float = 0.0
    episode: int = 0
    version: int = 0
    critic_updates: int = 0
    update_ratio: float = 0.0
    transitions: int = 0
    human_transitions: int = 0
    run_stage: str = ""
    joined_steps: int = 0
    metrics: Mapping[str, float] = field(default_factory=dict)

    def numbers(self) -> dict[str, Any]:
        """What it has come to."""
        return {
            "version": self.version,
            "critic_updates": self.critic_updates,
            "update_ratio": self.update_ratio,
            "transitions": self.transitions,
            "human_transitions": self.human_transitions,
            "metrics": dict(self.metrics),
        }

# SPDX-License-Identifier: Apache-2.0
"""What TensorBoard and W&B show of episodes: success with help and without, help, time."""

from __future__ import annotations

from collections import deque

from expo_ft_ros.control.plan import STAGES
from expo_ft_ros.data.episode import Episode
from expo_ft_ros.experiment.stages import RECENT

SUCCESS, ALONE = "success_rate", "success_rate_without_help"
HELP, SECONDS = "intervention_rate", "episode_seconds"


def is_of_episodes(name: str) -> bool:
    """Whether a scalar of that name is one of these; its step is the number of an episode."""
    return name.partition("/")[0] in STAGES


class EpisodeScalars:
    """Takes the episodes of a run in their order; discarded ones aren't among them."""

    def __init__(self, control_hz: float) -> None:
        """control_hz: ticks a second [Hz]."""
        self._control_hz = control_hz
        # Of each stage (success, steps, human steps).
        self._recent: dict[str, deque[tuple[bool, int, int]]] = {}

    def add(self, episode: Episode) -> dict[str, float]:
        """Name -> value after an episode: rates over the last 20 of its stage, those without help
        as shares of all, and how long it took [s] of robot time."""
        stage = episode.outcome.stage
        recent = self._recent.setdefault(stage, deque(maxlen=RECENT))
        recent.append((episode.outcome.success, len(episode), episode.human_steps))
        values = {
            SUCCESS: sum(success for success, _, _ in recent) / len(recent),
            ALONE: sum(success and not human for success, _, human in recent) / len(recent),
            HELP: sum(human for _, _, human in recent) / max(1, sum(n for _, n, _ in recent)),
            SECONDS: len(episode) / self._control_hz,
        }
        return {f"{stage}/{name}": value for name, value in values.items()}

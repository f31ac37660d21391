"""A recorded episode with what its policy chose from."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from expo_ft_ros.data.bag import CutOffError, read_bag
from expo_ft_ros.data.episode import Episode
from expo_ft_ros.data.episode_store import rescue_episode
from expo_ft_ros.data.types import Candidates
from expo_ft_ros.report.choices import read_choices
from expo_ft_ros.report.run_data import RunData

_TRIED = 8


@dataclass(frozen=True)
class Recorded:
    """An episode, and the policy's choices in the order of their observations."""

    episode: Episode
    choices: tuple[Candidates, ...]

    @property
    def valued(self) -> bool:
        """Whether a critic said anything."""
        return any(np.isfinite(choice.q).any() for choice in self.choices)

    @property
    def first(self) -> int:
        """Number of the observation that the first step was taken on."""
        return self.episode.outcome.last_observation - len(self.episode)


def read_recorded(path: Path) -> Recorded | None:
    """Also of a file that was cut off; None where it has no whole step.

    Raises:
        ValueError: when it can't be read.
    """
    episode = rescue_episode(path)
    return None if episode is None else Recorded(episode, tuple(read_choices(path)))


def step_causes(path: Path) -> dict[int, str]:
    """Observation -> why the step on it was held or altered, of a file that `read_recorded` reads;
    "" where it was not."""
    causes: dict[int, str] = {}
    with contextlib.suppress(CutOffError):
        for recorded in read_bag(path, ("step",)):
            causes[int(recorded.message.observation)] = str(recorded.message.cause)
    return causes


def newest(run: RunData, *, success: bool) -> Recorded | None:
    """The newest recorded success or failure with values of a critic; where none of the newest few
    has any, the newest. None where none is recorded."""
    without = None
    wanted = [line.number for line in reversed(run.counted) if line.success is success]
    paths = [path for number in wanted if (path := run.bag(number)) is not None]
    for path in paths[:_TRIED]:
        try:
            found = read_recorded(path)
        except ValueError:
            continue
        # A person may have labelled it otherwise since.
        if found is None or found.episode.outcome.success is not success:
            continue
        if found.valued:
            return found
        without = without or found
    return without

# SPDX-License-Identifier: Apache-2.0
"""A recorded episode with all that was considered in it: what its policy chose from, why steps were
held or altered, what the classifier said."""

from __future__ import annotations

import contextlib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from expo_ft_ros.data.episode import Episode
from expo_ft_ros.data.types import Candidates
from expo_ft_ros.recording.episode_builder import ENDED
from expo_ft_ros.recording.episode_store import rescue_episode
from expo_ft_ros.recording.mcap_file import CutOffError, read_bag
from expo_ft_ros.recording.messages import (
    BadMessage,
    candidates_from_msg,
    proprio_from_msg,
    step_from_msg,
    verdict_from_msg,
)

_OF_CHOICES = ("policy/candidates", "episode/state")
_CONSIDERED = (*_OF_CHOICES, "step", "reward", "observation")
_UNKNOWN = np.zeros(0)


@dataclass(frozen=True)
class RecordedEpisode:
    """An episode of T steps and n choices, these in the order of their observations.

    causes: (T) why each step was held or altered, "" where it was not; reasons: (T) what the
    classifier said of the observation after each, as Episode.reward; joints: (T + 1) of the arm at
    each observation, (n,) [rad], n being 0 where they weren't measured.
    """

    episode: Episode
    choices: tuple[Candidates, ...]
    causes: tuple[str, ...]
    reasons: tuple[str, ...]
    joints: tuple[NDArray[np.float64], ...]

    @property
    def first(self) -> int:
        """Number of the observation that the first step was taken on."""
        return self.episode.outcome.last_observation - len(self.episode)

    @property
    def steps(self) -> NDArray[np.int64]:
        """(n,) step on whose observation each choice was made; below 0 before anybody drove."""
        return np.array([choice.observation - self.first for choice in self.choices], np.int64)

    def latest(self, step: int) -> int | None:
        """Which choice was the latest at a step; None before the first."""
        made = int(np.searchsorted(self.steps, step, side="right"))
        return made - 1 if made else None

    @property
    def valued(self) -> bool:
        """Whether a critic said anything."""
        return any(np.isfinite(choice.q).any() for choice in self.choices)

    @property
    def summary(self) -> str:
        """How it went, in one line."""
        outcome = self.episode.outcome
        ended = "discarded" if outcome.discarded else "success" if outcome.success else "no success"
        human = f", {self.episode.human_steps} by a human" if self.episode.human_steps else ""
        cause = f" ({outcome.cause})" if outcome.cause else ""
        return f"{outcome.stage}: {ended} after {len(self.episode)} steps{human}{cause}"


def read_recorded(path: Path) -> RecordedEpisode:
    """Reads all of an episode into memory, its images being about 300 kB a step; of a file that was
    cut off the whole steps.

    Raises:
        ValueError: naming the file, when it can't be read or has no whole step.
    """
    episode = rescue_episode(path)
    if episode is None:
        raise ValueError(f"{path}: no whole step in it")
    considered = _read_considered(path, _CONSIDERED)
    end = episode.outcome.last_observation
    numbers = range(end - len(episode), end)
    return RecordedEpisode(
        episode,
        considered.choices,
        tuple(considered.causes.get(number, "") for number in numbers),
        tuple(considered.reasons.get(number + 1, "") for number in numbers),
        tuple(considered.joints.get(number, _UNKNOWN) for number in [*numbers, end]),
    )


def read_choices(path: Path) -> tuple[Candidates, ...]:
    """The choices alone, as `read_recorded` gives them, in a fraction of its time.

    Raises:
        ValueError: when it can't be read.
    """
    return _read_considered(path, _OF_CHOICES).choices


class _Considered(NamedTuple):
    """Of an episode; causes, reasons, joints: by observation."""

    choices: tuple[Candidates, ...]
    causes: dict[int, str]
    reasons: dict[int, str]
    joints: dict[int, NDArray[np.float64]]


def _read_considered(path: Path, topics: Collection[str]) -> _Considered:
    """What a file says of them, each once. Choices before the first and from the last observation
    on are no part of the episode; where its end was not written all count."""
    choices: dict[int, Candidates] = {}
    causes: dict[int, str] = {}
    reasons: dict[int, str] = {}
    joints: dict[int, NDArray[np.float64]] = {}
    first, last = 0, None
    try:
        for said in read_bag(path, lambda name: name in topics):
            topic, message = said.topic, said.message
            # One that contradicts itself is a diagnostic, which spoils no recording.
            with contextlib.suppress(BadMessage):
                if topic == "policy/candidates":
                    choices[int(message.observation)] = candidates_from_msg(message)
                elif topic == "step":
                    causes[int(message.observation)] = step_from_msg(message).cause
                elif topic == "reward":
                    reasons[int(message.observation)] = verdict_from_msg(message).reason
                elif topic == "observation":
                    joints[int(message.number)] = proprio_from_msg(message.proprio).joints
                elif message.state == ENDED:
                    first, last = int(message.first_observation), int(message.last_observation)
    except CutOffError:
        pass
    except OSError as error:
        raise ValueError(f"{path}: can't be read: {error}") from error
    within = (
        choice
        for number, choice in sorted(choices.items())
        if first <= number and (last is None or number < last)
    )
    return _Considered(tuple(within), causes, reasons, joints)

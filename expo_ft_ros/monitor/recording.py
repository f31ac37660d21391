"""A recorded episode with all that was considered in it, as the views that a person had of it."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import viser.transforms
from numpy.typing import NDArray

from expo_ft_ros.control.episode import EpisodeSnapshot
from expo_ft_ros.data.bag import CutOffError, read_bag
from expo_ft_ros.data.episode import Episode
from expo_ft_ros.data.episode_store import rescue_episode
from expo_ft_ros.data.messages import BadMessage, candidates_from_msg
from expo_ft_ros.data.types import Candidates, FloatArray, Source
from expo_ft_ros.monitor.paths import tool_paths
from expo_ft_ros.monitor.view import View
from expo_ft_ros.tasks import TaskConfig

CANDIDATES = "policy/candidates"


@dataclass(frozen=True)
class Recording:
    """An episode of T steps, and by step the choices that were made in it."""

    episode: Episode
    choices: Mapping[int, Candidates]

    @property
    def summary(self) -> str:
        """How it went, in one line."""
        outcome = self.episode.outcome
        ended = "discarded" if outcome.discarded else "success" if outcome.success else "no success"
        human = f", {self.episode.human_steps} by a person" if self.episode.human_steps else ""
        cause = f" ({outcome.cause})" if outcome.cause else ""
        return f"{outcome.stage}: {ended} after {len(self.episode)} steps{human}{cause}"


def episode_files(directory: Path) -> dict[str, Path]:
    """Title -> file of every episode of a folder, the newest first; also of those set aside."""
    files = sorted(directory.glob("[0-9]*.mcap"), reverse=True)
    titles = (path.name.removesuffix(".mcap").partition(".") for path in files)
    return {
        f"{number}{why and ', '}{why}": path
        for (number, _, why), path in zip(titles, files, strict=True)
    }


def load_recording(path: Path) -> Recording:
    """Reads a whole episode into memory: its images are about 300 kB a step.

    Raises:
        ValueError: naming the file, when there is no step in it.
    """
    episode = rescue_episode(path)
    if episode is None:
        raise ValueError(f"{path.name}: no whole step in it")
    first = episode.outcome.last_observation - len(episode)
    choices = {}
    with contextlib.suppress(CutOffError):
        for recorded in read_bag(path, (CANDIDATES,)):
            # One that contradicts itself is a diagnostic, which spoils no recording.
            with contextlib.suppress(BadMessage):
                choice = candidates_from_msg(recorded.message)
                choices[choice.observation - first] = choice
    return Recording(episode, choices)


def recorded_view(recording: Recording, step: int, task: TaskConfig) -> View:
    """What there was to see when `step` steps were done, from 0 to the episode's length."""
    episode, outcome = recording.episode, recording.episode.outcome
    state = episode.state[step]
    driving = min(step, len(episode) - 1)
    made = [at for at in recording.choices if at <= step]
    seen: dict[str, Any] = {}
    if made:
        choice = recording.choices[max(made)]
        start = episode.state[max(0, max(made)), :3]
        seen = {"q": choice.q, "edited": choice.edited, "chosen": choice.chosen}
        seen["paths"] = tool_paths(start, choice.actions, task.limits, task.period)
    return View(
        time=step * task.period,
        episode=EpisodeSnapshot(
            episode=outcome.episode, state="recorded", stage=outcome.stage, steps=step
        ),
        max_steps=len(episode),
        driver=Source(episode.source[driving]),
        position=state[:3].astype(np.float64),
        quaternion=_quaternion(state[3:9]),
        gripper_width=float(state[9]),
        executed=episode.state[: step + 1, :3].astype(np.float64),
        sources=np.concatenate([episode.source[:1], episode.source[:step]]),
        side=episode.side[step],
        wrist=episode.wrist[step],
        **seen,
    )


def _quaternion(columns: FloatArray) -> NDArray[np.float64]:
    """(4,) x, y, z, w of the first two columns of a rotation, (6,)."""
    first, second = columns[:3].astype(np.float64), columns[3:].astype(np.float64)
    matrix = np.stack([first, second, np.cross(first, second)], axis=1)
    w, x, y, z = viser.transforms.SO3.from_matrix(matrix).wxyz
    return np.array([x, y, z, w])

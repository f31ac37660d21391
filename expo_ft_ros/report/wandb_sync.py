# SPDX-License-Identifier: Apache-2.0
"""A run's scalars as a run of Weights & Biases, while it goes on or afterwards, for who has the
extra `wandb`.

The learner's are drawn over critic updates, those of episodes over the episodes' numbers.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tensorboard.backend.event_processing.event_accumulator import SCALARS, EventAccumulator

from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.control.plan import STAGES
from expo_ft_ros.experiment.episode_scalars import is_of_episodes
from expo_ft_ros.experiment.run_folder import read_config

EVENTS = "tensorboard"
UPDATES, EPISODE = "critic_updates", "episode"
"""What scalars are drawn over."""


class WandbRun:
    """A run of W&B. With WANDB_MODE=offline it lies in <run>/wandb until `wandb sync`."""

    def __init__(self, run: Path, project: str) -> None:
        """Begins it, under the name of the run's folder.

        Raises:
            ConfigError: where wandb isn't installed or refuses.
        """
        try:
            self._wandb = importlib.import_module("wandb")
        except ImportError:
            raise ConfigError(
                f"wandb:={project}: wandb is not installed (pip install 'expo-ft-ros[wandb]')"
            ) from None
        try:
            self._run: Any = self._wandb.init(
                project=project, name=run.name, config=read_config(run), dir=str(run)
            )
        except self._wandb.Error as error:
            raise ConfigError(
                f"wandb:={project}: {error} (WANDB_MODE=offline needs no account)"
            ) from error
        self._run.define_metric("*", step_metric=UPDATES)
        for stage in STAGES:
            self._run.define_metric(f"{stage}/*", step_metric=EPISODE)

    @property
    def place(self) -> str:
        """Where it can be looked at."""
        return str(self._run.url or self._run.dir)

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Name -> value; step: critic updates, of episodes' scalars the episode's number."""
        of_episodes = {name: value for name, value in values.items() if is_of_episodes(name)}
        others = {name: value for name, value in values.items() if name not in of_episodes}
        for axis, part in ((EPISODE, of_episodes), (UPDATES, others)):
            if part:
                self._run.log({**part, axis: step})

    def close(self) -> None:
        """Waits until all is sent, or written where it is offline."""
        self._run.finish()


def scalars(folder: Path) -> dict[int, dict[str, float]]:
    """Step -> name -> value of the event files of a folder, in the order of the steps."""
    events = EventAccumulator(str(folder), size_guidance={SCALARS: 0})
    events.Reload()
    found: dict[int, dict[str, float]] = {}
    for name in events.Tags()[SCALARS]:
        for event in events.Scalars(name):
            found.setdefault(event.step, {})[name] = event.value
    return dict(sorted(found.items()))


def sync(run: Path, project: str) -> str:
    """Sends a run's scalars; gives where they are.

    Raises:
        ConfigError: where wandb isn't installed, refuses, or the run has no scalars.
    """
    if importlib.util.find_spec("wandb") is not None:
        # Before there is a run of W&B.
        steps = scalars(run / EVENTS) if (run / EVENTS).is_dir() else {}
        if not steps:
            raise ConfigError(
                f"{run / EVENTS}: no scalars (only a training that has learned has them)"
            )
    else:
        steps = {}
    sent = WandbRun(run, project)
    try:
        for step, values in steps.items():
            sent.log(values, step)
        return sent.place
    finally:
        sent.close()

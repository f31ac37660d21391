# SPDX-License-Identifier: Apache-2.0
"""The learner's TensorBoard scalars as a run of Weights & Biases, for who has the extra `wandb`."""

from __future__ import annotations

from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import SCALARS, EventAccumulator

from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.experiment.run_folder import read_config

EVENTS = "tensorboard"


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
    """Sends a run's scalars, under its folder's name; gives where they are. With WANDB_MODE=offline
    they stay in <run>/wandb until `wandb sync`.

    Raises:
        ConfigError: where wandb isn't installed, refuses, or the run has no scalars.
    """
    try:
        import wandb
    except ImportError:
        raise ConfigError(
            "report wandb:=: wandb is not installed (pip install 'expo-ft-ros[wandb]')"
        ) from None
    steps = scalars(run / EVENTS) if (run / EVENTS).is_dir() else {}
    if not steps:
        raise ConfigError(f"{run / EVENTS}: no scalars (only a training that has learned has them)")
    try:
        with wandb.init(
            project=project, name=run.name, config=read_config(run), dir=str(run)
        ) as sent:
            for step, values in steps.items():
                sent.log(values, step=step)
            return str(sent.url or sent.dir)
    except wandb.Error as error:
        raise ConfigError(
            f"report wandb:=: {error} (WANDB_MODE=offline needs no account)"
        ) from error

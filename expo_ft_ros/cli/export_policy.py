# SPDX-License-Identifier: Apache-2.0
"""`expo-ft export ... policy:=<layout>`: the policy of a run as a checkpoint of its own project."""

from pathlib import Path

import torch

from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.experiment.trained import find_trained
from expo_ft_ros.experiment.weights import Weights
from expo_ft_ros.policies.base import Exports
from expo_ft_ros.policies.registry import build_policy
from expo_ft_ros.rl.checkpoint import load_state
from expo_ft_ros.robots import load_robot


def export_policy(folder: Path, run: Path, layout: str) -> Weights:
    """Writes what acted last, with everything that was learned merged into it.

    Args:
        folder: Where to; there is nothing yet.
        run: Of a training, whose newest whole checkpoint is taken.
        layout: Of those that the run's policy knows.

    Returns:
        What was exported.

    Raises:
        ConfigError: where something is in the way, the run has no checkpoint, its policy isn't
            written for others or not in that layout, or its files aren't there.
        DiskError: where it can't be written.
    """
    if folder.exists():
        raise ConfigError(
            f"{folder}: there is something already (remove it, or name another folder)"
        )
    trained = find_trained(str(run))
    weights, config = trained.weights, trained.config.vla
    vla = build_policy(config, load_robot(trained.robot).views, torch.device("cpu"))
    if not isinstance(vla, Exports):
        raise ConfigError(
            f"policy:={layout}: {config.kind} of {run} is written for no other project"
        )
    try:
        vla.load_weights(load_state(weights.path)["vla"])
        vla.export(folder, layout)
    except (KeyError, RuntimeError, ValueError) as error:
        raise ConfigError(f"policy:={layout}: {weights.path}: {error}") from error
    return weights

# SPDX-License-Identifier: Apache-2.0
"""A trained policy by its run or its checkpoint: its weights, and all that they were trained
with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from expo_ft_ros.experiment.changes import split_changes
from expo_ft_ros.experiment.options import DEMO_POLICY, DemoOptions, EvalOptions, TrainOptions
from expo_ft_ros.experiment.run_folder import find_run, option_of
from expo_ft_ros.experiment.weights import Weights, weights_to_evaluate
from expo_ft_ros.rl.checkpoint_files import SUFFIX
from expo_ft_ros.rl.config import AgentConfig, load_preset


@dataclass(frozen=True)
class Trained:
    """What a training has left.

    Attributes:
        run: Its folder; that of the checkpoint's file where it is in no run.
        weights: The checkpoint.
        task: Name or path of what was trained on.
        robot: Name or path of what was trained with.
        config: The agent's.
    """

    run: Path
    weights: Weights
    task: str
    robot: str
    config: AgentConfig


def find_trained(source: str) -> Trained:
    """The trained policy that `source` means.

    Args:
        source: A run's folder, whose newest whole checkpoint is taken; a checkpoint's file;
            `latest`, the training that was started last; or `demo`, what comes with the package.

    Raises:
        ConfigError: where there is none, or its task, robot, preset or size isn't there any more.
    """
    if source == DEMO_POLICY:
        source = DemoOptions().checkpoint
    path = Path(source).expanduser()
    is_file = path.suffix == SUFFIX
    run = path.absolute().parent.parent if is_file else find_run(source, "train")
    defaults = TrainOptions()
    task, robot = (option_of(run, n) or str(getattr(defaults, n)) for n in ("task", "robot"))
    checkpoint = str(path if is_file else run)
    weights = weights_to_evaluate(EvalOptions(checkpoint=checkpoint, task=task, robot=robot))
    changes, _ = split_changes(option_of(run, "change") or "")
    return Trained(run, weights, task, robot, load_preset(weights.preset, weights.size, changes))

# SPDX-License-Identifier: Apache-2.0
"""Which checkpoint a run begins with: one rule for `eval` and for a run that goes on.

It is the newest version that is whole. Newer files that were cut off are skipped, and named.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.experiment.options import PolicyOptions, RunOptions, TrainOptions
from expo_ft_ros.experiment.run_folder import (
    CONFIG_FILE,
    LATEST,
    command_of,
    find_run,
    limits_of,
    option_of,
    runs_by_start,
    runs_dir,
    view_names_of,
)
from expo_ft_ros.rl.checkpoint_files import (
    SUFFIX,
    Checkpoint,
    is_intact,
    newest_whole,
    read_checkpoint,
)
from expo_ft_ros.robots import load_robot

CHECKPOINTS = "checkpoints"


@dataclass(frozen=True)
class Weights:
    """What a run begins with.

    Attributes:
        path: The checkpoint's file.
        version: Of the weights; -1 where the file doesn't say.
        algorithm: What they were trained by.
        preset: And with.
        size: And at.
        skipped: Newer files of the run that are not whole.
    """

    path: Path
    version: int
    algorithm: str
    preset: str
    size: str
    skipped: tuple[Path, ...] = ()

    @property
    def notes(self) -> list[str]:
        """What the operator is told, a line each."""
        told = f"Weights: {self.path}" + (f" (version {self.version})" if self.version >= 0 else "")
        return [f"Skipped: {path} is cut off or damaged" for path in self.skipped] + [told]


def weights_to_evaluate(options: PolicyOptions) -> Weights:
    """The weights that `checkpoint:=` means: a file, or the newest of a run.

    Raises:
        ConfigError: when there are none, when they are broken, or of another task, algorithm or
            size, or of other views or limits than the robot's.
    """
    path = Path(options.checkpoint).expanduser()
    if path.suffix == SUFFIX:
        chosen, skipped = _named(path)
    elif options.checkpoint == LATEST:
        chosen, skipped = _of_last_training(options.task_name)
    else:
        chosen, skipped = _of_run(find_run(options.checkpoint, "train", option="checkpoint"))
    run = chosen.path.parent.parent
    trained = option_of(run, "task")
    if trained is not None and Path(trained).stem != options.task_name:
        raise ConfigError(
            f"checkpoint:={options.checkpoint}: {run.name} was trained on {trained}, "
            f"not on {options.task_name} (give task:={trained})"
        )
    found = {
        name: str(option_of(run, name) or getattr(TrainOptions(), name))
        for name in ("algorithm", "preset", "size")
    }
    _require_views(run, options)
    _require_limits(run, options)
    known = (run / CONFIG_FILE).is_file()
    for name in ("algorithm", "size"):
        asked = getattr(options, name)
        if known and asked is not None and asked != found[name]:
            raise ConfigError(
                f"{name}:={asked}: {chosen.path} was trained with {found[name]} (leave {name} out, "
                "or name another checkpoint)"
            )
    given = {name: getattr(options, name) or value for name, value in found.items()}
    return Weights(chosen.path, chosen.version, **given, skipped=skipped)


def weights_to_go_on_with(run: Path, options: TrainOptions) -> Weights | None:
    """The weights that a resumed run begins with; None where it has none yet.

    Raises:
        ConfigError: when none of its checkpoints is whole, or they were trained by another
            algorithm, or with another preset or size.
    """
    chosen, skipped = newest_whole(run / CHECKPOINTS)
    if chosen is None and not skipped:
        return None
    if chosen is None:
        raise _none_whole(run, skipped)
    for name in ("algorithm", "preset", "size"):
        before, now = option_of(run, name), getattr(options, name)
        if before is not None and before != now:
            raise ConfigError(
                f"{name}:={now}: {run} has checkpoints of {before} (leave {name} out, or start a "
                "new run)"
            )
    return Weights(
        chosen.path, chosen.version, options.algorithm, options.preset, options.size, skipped
    )


def _require_views(run: Path, options: RunOptions) -> None:
    """Networks know views by their order."""
    before, now = view_names_of(run), load_robot(options.robot).view_names
    if before and before != now:
        raise ConfigError(
            f"robot:={options.robot}: its views are {', '.join(now)}, {run} has checkpoints of "
            f"{', '.join(before)} (take a robot with these, in this order, or train anew)"
        )


def _require_limits(run: Path, options: RunOptions) -> None:
    """An action of 1 is the velocity that it was learned as."""
    before, now = limits_of(run), load_robot(options.robot).limits.model_dump(mode="json")
    if before and before != now:
        raise ConfigError(
            f"robot:={options.robot}: its limits are {now}, {run} was trained with {before} (take "
            "a robot with these, or train anew)"
        )


def _named(path: Path) -> tuple[Checkpoint, tuple[Path, ...]]:
    if not path.is_file():
        raise ConfigError(f"checkpoint:={path}: no such file")
    checkpoint = read_checkpoint(path.absolute())
    if not checkpoint.whole or not is_intact(checkpoint.path):
        raise ConfigError(
            f"checkpoint:={path}: cut off or damaged (name another one, or its run: "
            "then the newest whole one is taken)"
        )
    return checkpoint, ()


def _of_run(run: Path) -> tuple[Checkpoint, tuple[Path, ...]]:
    chosen, skipped = newest_whole((run / CHECKPOINTS).absolute())
    if chosen is not None:
        return chosen, skipped
    if skipped:
        raise _none_whole(run, skipped)
    raise ConfigError(
        f"checkpoint:={run}: has no checkpoints yet (train longer, or name another run)"
    )


def _of_last_training(task: str) -> tuple[Checkpoint, tuple[Path, ...]]:
    """Of the training on the task that was started last, of those that have a checkpoint."""
    for run in reversed(runs_by_start()):
        if command_of(run) == "train" and Path(option_of(run, "task") or "").stem == task:
            chosen, skipped = newest_whole((run / CHECKPOINTS).absolute())
            if chosen is not None:
                return chosen, skipped
            if skipped:
                raise _none_whole(run, skipped)
    raise ConfigError(
        f"checkpoint:={LATEST}: no training on {task} in {runs_dir()} has a checkpoint yet "
        f"(expo-ft train task:={task}, or name a run's folder)"
    )


def _none_whole(run: Path, broken: tuple[Path, ...]) -> ConfigError:
    return ConfigError(
        f"{run / CHECKPOINTS}: none of {len(broken)} checkpoints is whole, the newest is "
        f"{broken[0].name} (copy the folder again, or move them away to learn anew)"
    )

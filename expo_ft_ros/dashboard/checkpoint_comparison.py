# SPDX-License-Identifier: Apache-2.0
"""Checkpoints of one or two runs on the same scenes, with the same noise.

    python -m expo_ft_ros.dashboard.checkpoint_comparison <file>

plays what the file of a comparison asks for, and writes what came of it into that file as it goes.
"""

from __future__ import annotations

import datetime
import json
import os
import sys
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from expo_ft_ros.configuration import Config, ConfigError
from expo_ft_ros.data.files import write_atomically
from expo_ft_ros.experiment.paired_trials import Pair, Trials, compare
from expo_ft_ros.experiment.run_folder import runs_dir
from expo_ft_ros.experiment.stages import ABLATION_SEEDS
from expo_ft_ros.parent_process import PARENT_PID_VARIABLE

FOLDER = "comparisons"
"""In the folder of the runs."""

MOST = 6
"""Checkpoints of a comparison."""

_GAMMA = 1.0  # what is compared is success


class Comparison(Config):
    """What is compared, and what came of it by now."""

    checkpoints: tuple[Path, ...] = Field(
        min_length=2, max_length=MOST, description="Files, all of one task."
    )
    scenes: int = Field(20, ge=1, le=1000, description="Trials of each.")
    first_scene: int = Field(ABLATION_SEEDS["test"], ge=0, description="Seed of the first scene.")
    rule: Literal["agent", "vla"] = Field(
        "agent", description="agent: as it was trained; vla: the VLA's first chunk, unvalued."
    )
    begun: datetime.datetime = Field(description="When it was asked for.")
    played: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="File -> `Trials.as_json` of its first scenes."
    )
    state: Literal["playing", "done", "failed"] = Field("playing", description="Where it is.")
    why: str = Field("", description="It failed.")

    def trials(self, checkpoint: Path) -> Trials:
        """What came of a checkpoint's scenes by now."""
        saved = self.played.get(str(checkpoint))
        return Trials((), (), ()) if saved is None else Trials.from_json(saved)

    def pairs(self) -> list[tuple[Path, Path, int, Pair]]:
        """Each two of them, on so many scenes that both have played; without those that have
        none."""
        found = []
        for one, other in combinations(self.checkpoints, 2):
            first, second = self.trials(one), self.trials(other)
            both = min(len(first.success), len(second.success))
            if both:
                pair = compare(first.first(both), second.first(both), _GAMMA)
                found.append((one, other, both, pair))
        return found


def new_comparison(
    checkpoints: Sequence[Path], scenes: object, rule: str
) -> tuple[Path, Comparison]:
    """A comparison that is to be played, and its file, which is written.

    Raises:
        ConfigError: in one line, for what can't be compared.
        DiskError: where the file can't be written.
    """
    if len(set(checkpoints)) != len(checkpoints):
        raise ConfigError("comparison: a checkpoint is named twice (name each once)")
    asked = {"checkpoints": checkpoints, "scenes": scenes, "rule": rule, "begun": _now()}
    try:
        made = Comparison.model_validate(asked)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise ConfigError(
            f"comparison: {'.'.join(map(str, first['loc']))}: {first['msg']} (two to {MOST} "
            "checkpoints, and 1 to 1000 scenes)"
        ) from None
    folder = runs_dir() / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{made.begun:%Y-%m-%d_%H-%M-%S-%f}.json"
    write_atomically(path, made.model_dump(mode="json"))
    return path, made


def read_comparison(path: Path) -> Comparison:
    """What a file says.

    Raises:
        ConfigError: where it is missing or broken.
    """
    try:
        return Comparison.model_validate(json.loads(path.read_bytes()))
    except (OSError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"{path}: no comparison: {reason} (compare anew)") from None


def play(path: Path) -> None:
    """Plays what is left of a comparison.

    Raises:
        ConfigError: where it can't be played; the file says so, too.
        DiskError: where the file can't be written.
    """
    # Seconds of imports, which who reads a comparison has no use for.
    from expo_ft_ros.experiment.bench_options import ChoiceOptions
    from expo_ft_ros.experiment.choice_agent import source_of
    from expo_ft_ros.experiment.trials import play_trials

    asked = read_comparison(path)
    content = asked.model_dump(mode="json")

    def write(**what: Any) -> None:
        content.update(what)
        write_atomically(path, content, durable=False)

    try:
        of = [ChoiceOptions(checkpoint=str(each), threads=1) for each in asked.checkpoints]
        sources = [source_of(each) for each in of]
        _require_one_task({str(each.weights.path): each.task_name for each in sources})
        every = range(asked.first_scene, asked.first_scene + asked.scenes)
        for checkpoint, source in zip(asked.checkpoints, sources, strict=True):
            before = asked.trials(checkpoint)

            def told(new: Trials, file: str = str(checkpoint), before: Trials = before) -> None:
                _require_parent()
                write(played={**content["played"], file: before.then(new).as_json()})

            left = every[len(before.success) :]
            if left:
                play_trials(source, left, asked.rule, told)
    except ConfigError as error:
        write(state="failed", why=str(error))
        raise
    write(state="done")


def _require_one_task(tasks: Mapping[str, str]) -> None:
    """The same scenes are of the same task."""
    if len({Path(task).stem for task in tasks.values()}) > 1:
        told = ", ".join(f"{file}: {Path(task).stem}" for file, task in tasks.items())
        raise ConfigError(f"comparison: of several tasks, which share no scene ({told})")


def _require_parent() -> None:
    """Ends this process with the one that started it."""
    parent = os.environ.get(PARENT_PID_VARIABLE)
    if parent and os.getppid() != int(parent):
        raise SystemExit(1)


def _now() -> datetime.datetime:
    return datetime.datetime.now().astimezone()


def main(words: Sequence[str]) -> int:
    """Plays the comparison of a file; returns the exit code."""
    try:
        play(Path(words[0]))
    except ConfigError as error:
        print(error)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

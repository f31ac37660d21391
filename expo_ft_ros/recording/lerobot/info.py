# SPDX-License-Identifier: Apache-2.0
"""What a dataset says of itself, read and checked: meta/info.json and meta/tasks.parquet."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from expo_ft_ros.data.types import ACTION_DIM, STATE_DIM
from expo_ft_ros.recording.lerobot.format import (
    ACTION,
    ACTION_NAMES,
    INFO,
    LIMITS,
    STATE,
    STATE_NAMES,
    TASKS,
    VERSION,
    DatasetError,
    feature_of,
    view_of,
)


class _Feature(BaseModel):
    model_config = ConfigDict(frozen=True)

    dtype: str
    shape: tuple[int, ...]
    names: Any = None

    @property
    def flat_names(self) -> tuple[str, ...]:
        """Its names, also where they lie in a mapping of one list, as {"motors": [...]}."""
        names = self.names
        if isinstance(names, Mapping) and len(names) == 1:
            (names,) = names.values()
        return tuple(str(name) for name in names) if isinstance(names, list) else ()


class _Info(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True)

    codebase_version: str
    fps: float
    total_episodes: int
    total_frames: int | None = None
    features: dict[str, _Feature] = Field(strict=False)
    action_limits: dict[str, float] | None = None


@dataclass(frozen=True)
class DatasetInfo:
    """A dataset that can be read, as far as it says itself.

    Attributes:
        folder: Where it lies.
        episodes: How many it says that it has.
        frames: How many it says that it has; None where it doesn't say.
        tasks: Task index -> instruction.
        views: View -> feature of its images, in the robot's order.
    """

    folder: Path
    episodes: int
    frames: int | None
    tasks: Mapping[int, str]
    views: Mapping[str, str]


def read_info(
    folder: Path,
    fps: float,
    view_names: Sequence[str],
    limits: Mapping[str, float] | None = None,
) -> DatasetInfo:
    """Reads what a dataset says of itself.

    Args:
        folder: The dataset's.
        fps: The rate that the task is controlled at [Hz].
        view_names: The robot's views, in order.
        limits: What an action of 1 means to the robot; None: not asked. Only our own datasets say.

    Raises:
        DatasetError: where it is no dataset, one of another format, rate, limits, state, action or
            views, one without episodes, or one whose images are videos.
    """
    path = folder / INFO
    info = _parse(folder, path)
    if info.codebase_version != VERSION:
        raise DatasetError(
            f"{path}: format {info.codebase_version}, read is {VERSION} "
            "(lerobot.datasets.v30 converts)"
        )
    if info.fps != fps:
        raise DatasetError(
            f"{path}: {info.fps:g} Hz, the task is controlled at {fps:g} Hz (record it at this "
            "rate, or change the task's control_hz)"
        )
    if info.total_episodes < 1:
        raise DatasetError(
            f"{path}: total_episodes {info.total_episodes}: it has no episodes (name another "
            "dataset, or leave it out)"
        )
    if limits and info.action_limits and dict(limits) != info.action_limits:
        raise DatasetError(
            f"{path}: {LIMITS} {info.action_limits}, the robot has the limits {dict(limits)}: it "
            "would move at another speed than was shown (take a robot with these limits)"
        )
    _check_numbers(path, info, STATE, STATE_DIM, STATE_NAMES)
    _check_numbers(path, info, ACTION, ACTION_DIM, ACTION_NAMES)
    views = _check_views(path, info, view_names)
    return DatasetInfo(folder, info.total_episodes, info.total_frames, _read_tasks(folder), views)


def _parse(folder: Path, path: Path) -> _Info:
    try:
        return _Info.model_validate(json.loads(path.read_bytes()))
    except FileNotFoundError:
        raise DatasetError(
            f"{folder}: no LeRobot dataset, it has no {INFO} (name the dataset's folder)"
        ) from None
    except OSError as error:
        raise DatasetError(f"{path}: can't be read: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = ".".join(str(part) for part in first["loc"]) or "file"
        if first["type"] == "missing":
            raise DatasetError(f"{path}: {name}: missing, not what LeRobot writes") from None
        raise DatasetError(
            f"{path}: {name}: {first['input']!r}, not what LeRobot writes ({first['msg']})"
        ) from None
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"{path}: not what LeRobot writes: {error} (cut off?)") from None


def _check_numbers(path: Path, info: _Info, name: str, size: int, meaning: Sequence[str]) -> None:
    """An equal shape doesn't say that the numbers mean the same: their names do."""
    feature = info.features.get(name)
    shape = list(feature.shape) if feature else []
    wanted = ", ".join(meaning)
    if feature is None or shape != [size]:
        raise DatasetError(f"{path}: {name} has the shape {shape}, needed is [{size}] ({wanted})")
    if feature.flat_names != tuple(meaning):
        raise DatasetError(
            f"{path}: {name} is {', '.join(feature.flat_names) or 'none by its names'}, needed is "
            f"{wanted} (convert the numbers; where they mean this already, write it as its names)"
        )


def _check_views(path: Path, info: _Info, view_names: Sequence[str]) -> dict[str, str]:
    """View -> feature of the robot's views, which are the dataset's."""
    there = [view for name in info.features if (view := view_of(name))]
    if sorted(there) != sorted(view_names):
        raise DatasetError(
            f"{path}: its views are {', '.join(there) or 'none'}, the robot's are "
            f"{', '.join(view_names)} (rename, leave out or add {feature_of('<view>')}, or name "
            "the robot's views as the dataset's)"
        )
    views = {view: feature_of(view) for view in view_names}
    for name in views.values():
        kind = info.features[name].dtype
        if kind != "image":
            raise DatasetError(
                f"{path}: {name} is {kind}, needed is image (a dataset with videos is not read: "
                "record or convert it with use_videos=False)"
            )
    return views


def _read_tasks(folder: Path) -> dict[int, str]:
    """Task index -> text; the text's column is the one that isn't the index's."""
    path = folder / TASKS
    try:
        table = pq.read_table(path)
        texts = [name for name in table.column_names if name != "task_index"]
        if "task_index" not in table.column_names or len(texts) != 1:
            raise DatasetError(f"{path}: columns {table.column_names}, not task_index and its text")
        text = texts[0]
        for name, right in (("task_index", pa.types.is_integer), (text, _is_text)):
            kind = table.schema.field(name).type
            if not right(kind):
                needed = "text" if name == text else "a whole number"
                raise DatasetError(f"{path}: column {name} is {kind}, needed is {needed}")
        numbers, words = table["task_index"].to_pylist(), table[text].to_pylist()
    except FileNotFoundError:
        raise DatasetError(f"{folder}: no {TASKS} (copied in part?)") from None
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"{path}: can't be read: {one_line(error)} (copied in part?)") from error
    tasks: dict[int, str] = {}
    for row, (number, word) in enumerate(zip(numbers, words, strict=True)):
        if number is None:
            raise DatasetError(f"{path}: row {row}: task_index is null (give each task one)")
        if not word:
            raise DatasetError(
                f"{path}: row {row}: the task's text is {'null' if word is None else 'empty'} "
                "(write the instruction)"
            )
        if number in tasks:
            raise DatasetError(
                f"{path}: row {row}: task_index {number} is there twice (number the tasks anew)"
            )
        tasks[number] = word
    return tasks


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def one_line(error: BaseException) -> str:
    """What an error says, without its line breaks."""
    return " ".join(str(error).split())

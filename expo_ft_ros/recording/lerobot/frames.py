# SPDX-License-Identifier: Apache-2.0
"""The rows of a dataset's Parquet files, each cell checked as the column that it is of."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from expo_ft_ros.data.types import ACTION_DIM, STATE_DIM
from expo_ft_ros.recording.lerobot.format import (
    ACTION,
    HUMAN,
    REWARD,
    STATE,
    SUCCESS,
    TRUNCATED,
    DatasetError,
)
from expo_ft_ros.recording.lerobot.images import image_size
from expo_ft_ros.recording.lerobot.info import DatasetInfo, one_line

EPISODE, FRAME, TASK = "episode_index", "frame_index", "task_index"
_TOLERANCE = 1e-4
_BATCH = 256


@dataclass(frozen=True)
class Frame:
    """A row.

    Attributes:
        place: File, episode and row, for a message.
        cells: Column -> value, each as its column's kind says; of the columns that a dataset may
            leave out only those that it has.
    """

    place: str
    cells: Mapping[str, Any]

    def problem(self, text: str) -> DatasetError:
        """An error about this row."""
        return DatasetError(f"{self.place}: {text}")


@dataclass(frozen=True)
class _Column:
    """What a column holds.

    Attributes:
        needed: In words.
        fits: Whether Arrow's type is of this kind.
        flaw: What is wrong with a cell that isn't null; "" where nothing is.
        single: Whether a list of length one stands for what is in it, as LeRobot writes the shape
            [1].
        optional: Whether a dataset may be without it.
    """

    needed: str
    fits: Callable[[pa.DataType], bool]
    flaw: Callable[[Any], str]
    single: bool = False
    optional: bool = False


def read_frames(info: DatasetInfo) -> Iterator[list[Frame]]:
    """The rows of one episode after the other, in the order of their frame_index.

    Raises:
        DatasetError: naming file, episode, row, column and value of what isn't as it should be.
    """
    rows: list[Frame] = []
    over: set[int] = set()
    frames = 0
    for row in _rows(info):
        episode = row.cells[EPISODE]
        if rows and episode != rows[0].cells[EPISODE]:
            over.add(rows[0].cells[EPISODE])
            yield _in_order(rows, info)
            rows = []
        if episode in over:
            raise row.problem(
                "the episode was over, and other rows came since (sort the rows by "
                f"{EPISODE} and {FRAME})"
            )
        rows.append(row)
        frames += 1
    if rows:
        over.add(rows[0].cells[EPISODE])
        yield _in_order(rows, info)
    for count, said, what in (
        (len(over), info.episodes, "episodes"),
        (frames, info.frames, "frames"),
    ):
        if said not in (None, count):
            raise DatasetError(
                f"{info.folder}: {count} {what}, meta/info.json says {said} (copied in part?)"
            )


def _in_order(rows: list[Frame], info: DatasetInfo) -> list[Frame]:
    """An episode's rows by their frame_index, all of one task and their images of one size."""
    rows = sorted(rows, key=lambda row: int(row.cells[FRAME]))
    for number, row in enumerate(rows):
        found = row.cells[FRAME]
        if found < number:
            raise row.problem(f"frame_index {found} is there twice (number the rows from 0)")
        if found > number:
            raise row.problem(
                f"frame_index {number} is missing, the next one is {found} (copied in part?)"
            )
        task = row.cells[TASK]
        if task not in info.tasks:
            raise row.problem(f"task_index {task} is not in meta/tasks.parquet (add its text)")
        if task != rows[0].cells[TASK]:
            raise row.problem(
                f"task_index {task}, the episode begins with {rows[0].cells[TASK]} (an episode has "
                "one task)"
            )
    for name in info.views.values():
        sizes = [image_size(row.cells[name]) for row in rows]
        for row, size in zip(rows, sizes, strict=True):
            if size != sizes[0]:
                raise row.problem(
                    f"{name} is {size[1]}x{size[0]}, the episode begins with "
                    f"{sizes[0][1]}x{sizes[0][0]} (give them one size)"
                )
    return rows


def _rows(info: DatasetInfo) -> Iterator[Frame]:
    """One checked row after the other, as many in memory as a batch has."""
    folder, columns = info.folder, {**_COLUMNS, **dict.fromkeys(info.views.values(), _IMAGE)}
    # file-1000 comes after file-999.
    paths = sorted((folder / "data").glob("*/*.parquet"), key=lambda path: (len(path.name), path))
    if not paths:
        raise DatasetError(f"{folder}: no data/*/*.parquet (copied in part?)")
    for path in paths:
        number = 0
        try:
            with pq.ParquetFile(path, page_checksum_verification=True) as file:
                names = _columns_of(path, file.schema_arrow, columns)
                for batch in file.iter_batches(batch_size=_BATCH, columns=names):
                    lists = [batch.column(name).to_pylist() for name in names]
                    for values in zip(*lists, strict=True):
                        cells = dict(zip(names, values, strict=True))
                        yield _frame(path, number, cells, columns)
                        number += 1
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise DatasetError(
                f"{path}: can't be read: {one_line(error)} (copied in part?)"
            ) from error


def _columns_of(path: Path, schema: pa.Schema, columns: Mapping[str, _Column]) -> list[str]:
    """The columns to read; each is there and of its kind."""
    names = []
    for name, column in columns.items():
        if name not in schema.names:
            if not column.optional:
                raise DatasetError(f"{path}: has no column {name} (needed is {column.needed})")
            continue
        kind = schema.field(name).type
        inner = kind.value_type if column.single and _is_list(kind) else kind
        if not column.fits(inner):
            raise DatasetError(f"{path}: column {name} is {kind}, needed is {column.needed}")
        names.append(name)
    return names


def _frame(path: Path, row: int, cells: dict[str, Any], columns: Mapping[str, _Column]) -> Frame:
    episode = cells[EPISODE]
    if isinstance(episode, list) and len(episode) == 1:
        (episode,) = episode
    within = "" if episode is None else f"episode {episode}, "
    frame = Frame(f"{path}: {within}row {row}", cells)
    for name, value in cells.items():
        column = columns[name]
        if column.single and isinstance(value, list):
            if len(value) != 1:
                raise frame.problem(f"{name} has {len(value)} values, needed is one")
            (value,) = value
        if value is None:
            raise frame.problem(f"{name} is null, needed is {column.needed}")
        flaw = column.flaw(value)
        if flaw:
            raise frame.problem(f"{name}{flaw}")
        cells[name] = value["bytes"] if column is _IMAGE else value
    return frame


def _is_list(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    )


def _is_numbers(kind: pa.DataType) -> bool:
    return _is_list(kind) and bool(pa.types.is_floating(kind.value_type))


def _is_image(kind: pa.DataType) -> bool:
    if not pa.types.is_struct(kind) or kind.get_field_index("bytes") < 0:
        return False
    data = kind.field("bytes").type
    return bool(pa.types.is_binary(data) or pa.types.is_large_binary(data))


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind))


def _flaw_of_numbers(values: Sequence[float | None], size: int) -> str:
    if len(values) != size:
        return f" has {len(values)} numbers, needed are {size}"
    if None in values:
        return " holds a null (leave the episode out, or mend the row)"
    return ""


def _flaw_of_state(values: Sequence[float | None]) -> str:
    bad = [value for value in values if value is not None and not math.isfinite(value)]
    flaw = _flaw_of_numbers(values, STATE_DIM)
    return flaw or (f" {bad[0]} is not finite (leave the episode out)" if bad else "")


def _flaw_of_action(values: Sequence[float | None]) -> str:
    # Not a number fails the comparison.
    bad = [value for value in values if value is not None and not abs(value) <= 1 + _TOLERANCE]
    flaw = _flaw_of_numbers(values, ACTION_DIM)
    return flaw or (
        f" {bad[0]:g} is not within [-1, 1] of the task's limits (scale it by them)" if bad else ""
    )


def _flaw_of_number(value: float) -> str:
    return "" if math.isfinite(value) else f" {value} is not finite"


def _flaw_of_count(value: int) -> str:
    return "" if value >= 0 else f" is {value}, needed is a number from 0"


def _flaw_of_image(value: Mapping[str, Any]) -> str:
    data = value["bytes"]
    if not data:
        return " has no bytes (the image lies elsewhere: embed it into the file)"
    try:
        image_size(data)
    except ValueError as error:
        return f": {error}"
    return ""


def _no_flaw(value: Any) -> str:
    return ""


_COUNT = _Column("a whole number", pa.types.is_integer, _flaw_of_count, single=True)
_IMAGE = _Column("an image with its bytes", _is_image, _flaw_of_image)
_FLAG = _Column("true or false", pa.types.is_boolean, _no_flaw, single=True, optional=True)
_COLUMNS: Mapping[str, _Column] = {
    # First: the places of all others name it.
    EPISODE: _COUNT,
    FRAME: _COUNT,
    TASK: _COUNT,
    STATE: _Column(f"a list of {STATE_DIM} numbers", _is_numbers, _flaw_of_state),
    ACTION: _Column(f"a list of {ACTION_DIM} numbers", _is_numbers, _flaw_of_action),
    REWARD: _Column("a number", _is_number, _flaw_of_number, single=True, optional=True),
    SUCCESS: _FLAG,
    TRUNCATED: _FLAG,
    HUMAN: _FLAG,
}
"""All but the images."""

# SPDX-License-Identifier: Apache-2.0
"""Writes episodes into a new dataset."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from expo_ft_ros.data.episode import Episode
from expo_ft_ros.data.files import write_atomically, writing
from expo_ft_ros.data.types import ACTION_DIM, STATE_DIM, ImageArray, Source
from expo_ft_ros.recording.lerobot.format import (
    ACTION,
    ACTION_NAMES,
    DONE,
    HUMAN,
    INFO,
    LIMITS,
    REWARD,
    STATE,
    STATE_NAMES,
    SUCCESS,
    TASKS,
    TRUNCATED,
    VERSION,
    DatasetError,
    feature_of,
)

_DATA_PATTERN = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
_EPISODES = Path("meta/episodes/chunk-000/file-000.parquet")
_FILES_A_CHUNK, _FILE_BYTES = 1000, 100 << 20  # the format's own
_COUNTERS = ("frame_index", "episode_index", "index", "task_index")
_QUANTILES = (0.01, 0.10, 0.50, 0.90, 0.99)
_EVERY = 10  # of so many frames one, and of its pixels one in 64, tells the images' statistics
_IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


class DatasetWriter:
    """Writes a new dataset; `close` makes it whole and puts it in its place. Use it in a `with`,
    which leaves nothing behind where it isn't closed.

    fps: of control [Hz], a whole number. robot: what LeRobot calls robot_type. limits: what an
    action of 1 means, by the names of a robot's file; not written where it isn't known.
    Raises DatasetError for another rate, or where there is something at `folder`; OSError when it
    can't be written.
    """

    def __init__(
        self, folder: Path, fps: float, robot: str, limits: Mapping[str, float] | None = None
    ) -> None:
        self._place, self._folder = folder, folder.with_name(f"{folder.name}.partial")
        for taken in (self._place, self._folder):
            if taken.exists():
                raise DatasetError(
                    f"{taken}: there is something already (remove it, or name another folder)"
                )
        if fps != round(fps):
            raise DatasetError(f"a dataset has a whole number of frames a second, not {fps:g}")
        self._fps, self._robot, self._limits = fps, robot, dict(limits or {})
        self._shapes: dict[str, list[int]] = {}
        self._tasks: dict[str, int] = {}
        self._episodes: list[dict[str, Any]] = []
        self._numbers: dict[str, list[NDArray[np.float32]]] = {}
        self._pixels: dict[str, NDArray[np.int64]] = {}
        self._frames, self._file, self._bytes = 0, 0, 0
        self._out: pq.ParquetWriter | None = None

    def __enter__(self) -> DatasetWriter:
        return self

    def __exit__(self, *error: object) -> None:
        if self._out is not None:
            # Of a full disk the error is told already.
            with contextlib.suppress(OSError):
                self._out.close()
        # Moved away by then where it is whole.
        shutil.rmtree(self._folder, ignore_errors=True)

    def add(self, episode: Episode) -> None:
        """Appends an episode.

        Raises:
            DatasetError: when it has other views than those before it, or images of another size.
        """
        length, number = len(episode), len(self._episodes)
        views = {feature_of(view): images[:length] for view, images in episode.views.items()}
        self._check_views(episode.outcome.episode, views)
        task = self._tasks.setdefault(episode.instruction, len(self._tasks))
        last = np.arange(length) == length - 1
        numbers: dict[str, NDArray[Any]] = {
            STATE: episode.state[:length],
            ACTION: episode.executed,
            REWARD: episode.reward,
            DONE: last,
            SUCCESS: last & episode.outcome.success,
            TRUNCATED: last & episode.outcome.truncated,
            HUMAN: episode.source == Source.HUMAN,
            "timestamp": (np.arange(length) / self._fps).astype(np.float32),
            "frame_index": np.arange(length),
            "episode_index": np.full(length, number),
            "index": self._frames + np.arange(length),
            "task_index": np.full(length, task),
        }
        # In the order of the first one's.
        columns: dict[str, pa.Array] = {name: _encode(views[name]) for name in self._shapes}
        columns |= {name: _column(values) for name, values in numbers.items()}
        self._write(pa.table(columns))
        self._episodes.append(
            {
                "episode_index": number,
                "tasks": [episode.instruction],
                "length": length,
                "data/chunk_index": self._file // _FILES_A_CHUNK,
                "data/file_index": self._file % _FILES_A_CHUNK,
                "dataset_from_index": self._frames,
                "dataset_to_index": self._frames + length,
                "meta/episodes/chunk_index": 0,
                "meta/episodes/file_index": 0,
            }
        )
        self._frames += length
        for name, values in numbers.items():
            self._numbers.setdefault(name, []).append(values.reshape(length, -1).astype(np.float32))
        for name, images in views.items():
            pixels = images[::_EVERY, ::8, ::8].reshape(-1, 3)
            counts = [np.bincount(channel, minlength=256) for channel in pixels.T]
            self._pixels[name] = self._pixels.get(name, 0) + np.stack(counts)

    def close(self) -> int:
        """Writes what the dataset says of itself; gives the number of episodes.

        Raises:
            DatasetError: when there are none.
            DiskError: when it can't be written.
        """
        if self._out is None:
            raise DatasetError("no episode to export")
        with writing(self._folder):
            self._out.close()
            self._finish()
        return len(self._episodes)

    def _finish(self) -> None:
        self._out = None
        (self._folder / _EPISODES).parent.mkdir(parents=True)
        pq.write_table(pa.Table.from_pylist(self._episodes), self._folder / _EPISODES)
        _write_tasks(self._folder / TASKS, list(self._tasks))
        stats = {
            name: _statistics(np.concatenate(parts)) for name, parts in self._numbers.items()
        } | {name: _image_statistics(counts) for name, counts in self._pixels.items()}
        write_atomically(self._folder / "meta" / "stats.json", stats)
        write_atomically(self._folder / INFO, self._info())
        self._folder.rename(self._place)

    def _check_views(self, episode: int, views: Mapping[str, ImageArray]) -> None:
        """Of the first episode they are taken as all others' have to be."""
        if not self._episodes:
            self._shapes = {name: list(images.shape[1:]) for name, images in views.items()}
        if views.keys() != self._shapes.keys():
            raise DatasetError(
                f"episode {episode}: its images are {', '.join(views)}, those of the episodes "
                f"before it {', '.join(self._shapes)} (export them into a dataset each)"
            )
        for name, images in views.items():
            before, shape = self._shapes[name], list(images.shape[1:])
            if shape != before:
                raise DatasetError(
                    f"episode {episode}: {name} is {shape[1]}x{shape[0]}, the episodes before it "
                    f"{before[1]}x{before[0]}"
                )

    def _write(self, table: pa.Table) -> None:
        with writing(self._folder):
            self._append(table)

    def _append(self, table: pa.Table) -> None:
        """One row group an episode; a new file where the present one has grown large."""
        if self._out is not None and self._bytes + table.nbytes > _FILE_BYTES:
            self._out.close()
            self._out, self._file, self._bytes = None, self._file + 1, 0
        if self._out is None:
            place = _DATA_PATTERN.format(
                chunk_index=self._file // _FILES_A_CHUNK, file_index=self._file % _FILES_A_CHUNK
            )
            (self._folder / place).parent.mkdir(parents=True, exist_ok=True)
            self._out = pq.ParquetWriter(
                self._folder / place, table.schema, write_page_checksum=True
            )
        self._out.write_table(table)
        self._bytes += table.nbytes

    def _info(self) -> dict[str, Any]:
        def feature(dtype: str, names: Sequence[str] | None = None, size: int = 1) -> Any:
            return {"dtype": dtype, "shape": [size], "names": list(names) if names else None}

        features = {
            name: {"dtype": "image", "shape": shape, "names": ["height", "width", "channels"]}
            for name, shape in self._shapes.items()
        }
        features[STATE] = feature("float32", STATE_NAMES, STATE_DIM)
        features[ACTION] = feature("float32", ACTION_NAMES, ACTION_DIM)
        features |= {REWARD: feature("float32"), "timestamp": feature("float32")}
        features |= {name: feature("bool") for name in (DONE, SUCCESS, TRUNCATED, HUMAN)}
        features |= {name: feature("int64") for name in _COUNTERS}
        return {
            "codebase_version": VERSION,
            "robot_type": self._robot,
            **({LIMITS: self._limits} if self._limits else {}),
            "total_episodes": len(self._episodes),
            "total_frames": self._frames,
            "total_tasks": len(self._tasks),
            "chunks_size": _FILES_A_CHUNK,
            "data_files_size_in_mb": _FILE_BYTES >> 20,
            "video_files_size_in_mb": 0,
            "fps": round(self._fps),
            "splits": {"train": f"0:{len(self._episodes)}"},
            "data_path": _DATA_PATTERN,
            "video_path": None,
            "features": features,
        }


def _encode(images: ImageArray) -> pa.Array:
    """(T, h, w, 3) RGB as the column of a Hugging Face image."""
    rows = []
    for image in images:
        done, data = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        if not done:
            raise DatasetError(f"an image of shape {image.shape} could not be encoded")
        rows.append({"bytes": data.tobytes(), "path": None})
    return pa.array(rows, type=_IMAGE)


def _column(values: NDArray[Any]) -> pa.Array:
    if values.ndim == 1:
        return pa.array(values)
    flat = pa.array(np.ascontiguousarray(values).reshape(-1))
    return pa.FixedSizeListArray.from_arrays(flat, values.shape[1])


def _statistics(values: NDArray[Any]) -> dict[str, Any]:
    """(T, n): as LeRobot keeps them for normalisation, (n,) each."""
    of = {
        "min": values.min(axis=0),
        "max": values.max(axis=0),
        "mean": values.mean(axis=0, dtype=np.float64),
        "std": values.std(axis=0, dtype=np.float64),
    }
    quantiles = np.quantile(values, _QUANTILES, axis=0)
    of |= {f"q{round(100 * q):02d}": v for q, v in zip(_QUANTILES, quantiles, strict=True)}
    return {key: v.tolist() for key, v in of.items()} | {"count": [len(values)]}


def _image_statistics(counts: NDArray[np.int64]) -> dict[str, Any]:
    """The same by channel, (3, 1, 1) each in [0, 1]; counts: (3, 256) pixels of each value."""
    levels = np.arange(256) / 255
    total = counts.sum(axis=1)
    share = np.cumsum(counts, axis=1) / total[:, None]
    mean = counts @ levels / total
    of = {
        "min": levels[(counts > 0).argmax(axis=1)],
        "max": levels[255 - (counts > 0)[:, ::-1].argmax(axis=1)],
        "mean": mean,
        "std": np.sqrt(np.maximum(counts @ levels**2 / total - mean**2, 0)),
    }
    of |= {f"q{round(100 * q):02d}": levels[(share >= q).argmax(axis=1)] for q in _QUANTILES}
    return {key: v[:, None, None].tolist() for key, v in of.items()} | {"count": [int(total[0])]}


def _write_tasks(path: Path, tasks: Sequence[str]) -> None:
    """LeRobot reads it with pandas: the task's text is the index, and the schema says so."""
    field = {"metadata": None, "field_name": None}
    index = "__index_level_0__"
    described = {
        "index_columns": [index],
        "column_indexes": [],
        "columns": [
            {**field, "name": "task_index", "field_name": "task_index"}
            | {"pandas_type": "int64", "numpy_type": "int64"},
            {**field, "name": None, "field_name": index}
            | {"pandas_type": "unicode", "numpy_type": "object"},
        ],
        "pandas_version": "2.2.0",
    }
    table = pa.table({"task_index": list(range(len(tasks))), index: list(tasks)})
    pq.write_table(table.replace_schema_metadata({"pandas": json.dumps(described)}), path)

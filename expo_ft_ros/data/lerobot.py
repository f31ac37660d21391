"""LeRobot datasets, format v3.0: episodes are written into one and read from one.

Images are lossless PNG inside the Parquet files, no video: what is learned from an export is what
was recorded. A frame is an observation and the action that was executed on it, so the observation
after the last step is not in a dataset; read back, the last one stands for it.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from expo_ft_ros.data.episode import Episode, EpisodeOutcome
from expo_ft_ros.data.files import write_atomically
from expo_ft_ros.data.images import resize_image
from expo_ft_ros.data.types import ACTION_DIM, STATE_DIM, ImageArray, Source

VERSION = "v3.0"
STATE_NAMES = ("x", "y", "z", "r11", "r21", "r31", "r12", "r22", "r32", "gripper_width")
"""Of observation.state: position of the tool centre point in the base frame [m], the first two
columns of its rotation, opening of the gripper [m]."""
ACTION_NAMES = ("vx", "vy", "vz", "wx", "wy", "wz", "gripper_velocity")
"""Of action: as executed, in [-1, 1] of the task's limits, in base-frame axes."""
VIEWS: Mapping[str, str] = {
    "side": "observation.images.side",
    "wrist": "observation.images.wrist",
}
"""Feature of each view."""

_STATE, _ACTION = "observation.state", "action"
_REWARD, _DONE, _SUCCESS = "next.reward", "next.done", "next.success"
_TRUNCATED = "next.truncated"
_HUMAN = "complementary_info.is_intervention"
_INFO = Path("meta/info.json")
_TASKS = Path("meta/tasks.parquet")
_DATA_PATTERN = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
_EPISODES = Path("meta/episodes/chunk-000/file-000.parquet")
_FILES_A_CHUNK, _FILE_BYTES = 1000, 100 << 20  # the format's own
_COUNTERS = ("frame_index", "episode_index", "index", "task_index")
_QUANTILES = (0.01, 0.10, 0.50, 0.90, 0.99)
_EVERY = 10  # of so many frames one, and of its pixels one in 64, tells the images' statistics
_IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


class DatasetError(ValueError):
    """A dataset that can't be written or isn't one that can be read; the text says what to do."""


class DatasetWriter:
    """Writes a new dataset; `close` makes it whole and puts it in its place. Use it in a `with`,
    which leaves nothing behind where it isn't closed.

    fps: of control [Hz], a whole number. robot: what LeRobot calls robot_type.
    Raises DatasetError for another rate, or where there is something at `folder`; OSError when it
    can't be written.
    """

    def __init__(self, folder: Path, fps: float, robot: str) -> None:
        self._place, self._folder = folder, folder.with_name(f"{folder.name}.partial")
        for taken in (self._place, self._folder):
            if taken.exists():
                raise DatasetError(
                    f"{taken}: there is something already (remove it, or name another folder)"
                )
        if fps != round(fps):
            raise DatasetError(f"a dataset has a whole number of frames a second, not {fps:g}")
        self._fps, self._robot = fps, robot
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
            self._out.close()
        # Moved away by then where it is whole.
        shutil.rmtree(self._folder, ignore_errors=True)

    def add(self, episode: Episode) -> None:
        """Appends an episode. Raises DatasetError when its images aren't of the others' size."""
        shapes = {VIEWS["side"]: episode.side.shape[1:], VIEWS["wrist"]: episode.wrist.shape[1:]}
        for name, shape in shapes.items():
            if self._shapes.setdefault(name, list(shape)) != list(shape):
                raise DatasetError(
                    f"episode {episode.outcome.episode}: {name} is {shape[1]}x{shape[0]}, the "
                    f"episodes before it {self._shapes[name][1]}x{self._shapes[name][0]}"
                )
        length, number = len(episode), len(self._episodes)
        task = self._tasks.setdefault(episode.instruction, len(self._tasks))
        last = np.arange(length) == length - 1
        numbers: dict[str, NDArray[Any]] = {
            _STATE: episode.state[:length],
            _ACTION: episode.executed,
            _REWARD: episode.reward,
            _DONE: last,
            _SUCCESS: last & episode.outcome.success,
            _TRUNCATED: last & episode.outcome.truncated,
            _HUMAN: episode.source == Source.HUMAN,
            "timestamp": (np.arange(length) / self._fps).astype(np.float32),
            "frame_index": np.arange(length),
            "episode_index": np.full(length, number),
            "index": self._frames + np.arange(length),
            "task_index": np.full(length, task),
        }
        columns: dict[str, pa.Array] = {
            VIEWS["side"]: _encode(episode.side[:length]),
            VIEWS["wrist"]: _encode(episode.wrist[:length]),
        }
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
        for name, images in ((VIEWS["side"], episode.side), (VIEWS["wrist"], episode.wrist)):
            pixels = images[:length:_EVERY, ::8, ::8].reshape(-1, 3)
            counts = [np.bincount(channel, minlength=256) for channel in pixels.T]
            self._pixels[name] = self._pixels.get(name, 0) + np.stack(counts)

    def close(self) -> int:
        """Writes what the dataset says of itself; gives the number of episodes.

        Raises DatasetError when there are none.
        """
        if self._out is None:
            raise DatasetError("no episode to export")
        self._out.close()
        self._out = None
        (self._folder / _EPISODES).parent.mkdir(parents=True)
        pq.write_table(pa.Table.from_pylist(self._episodes), self._folder / _EPISODES)
        _write_tasks(self._folder / _TASKS, list(self._tasks))
        stats = {
            name: _statistics(np.concatenate(parts)) for name, parts in self._numbers.items()
        } | {name: _image_statistics(counts) for name, counts in self._pixels.items()}
        write_atomically(self._folder / "meta" / "stats.json", stats)
        write_atomically(self._folder / _INFO, self._info())
        self._folder.rename(self._place)
        return len(self._episodes)

    def _write(self, table: pa.Table) -> None:
        """One row group an episode; a new file where the present one has grown large."""
        if self._out is not None and self._bytes + table.nbytes > _FILE_BYTES:
            self._out.close()
            self._out, self._file, self._bytes = None, self._file + 1, 0
        if self._out is None:
            place = _DATA_PATTERN.format(
                chunk_index=self._file // _FILES_A_CHUNK, file_index=self._file % _FILES_A_CHUNK
            )
            (self._folder / place).parent.mkdir(parents=True, exist_ok=True)
            self._out = pq.ParquetWriter(self._folder / place, table.schema)
        self._out.write_table(table)
        self._bytes += table.nbytes

    def _info(self) -> dict[str, Any]:
        def feature(dtype: str, names: Sequence[str] | None = None, size: int = 1) -> Any:
            return {"dtype": dtype, "shape": [size], "names": list(names) if names else None}

        features = {
            name: {"dtype": "image", "shape": shape, "names": ["height", "width", "channels"]}
            for name, shape in self._shapes.items()
        }
        features[_STATE] = feature("float32", STATE_NAMES, STATE_DIM)
        features[_ACTION] = feature("float32", ACTION_NAMES, ACTION_DIM)
        features |= {_REWARD: feature("float32"), "timestamp": feature("float32")}
        features |= {name: feature("bool") for name in (_DONE, _SUCCESS, _TRUNCATED, _HUMAN)}
        features |= {name: feature("int64") for name in _COUNTERS}
        return {
            "codebase_version": VERSION,
            "robot_type": self._robot,
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


def check_dataset(folder: Path, fps: float) -> int:
    """How many episodes `read_dataset` would give, by what the dataset says of itself; raises as
    that."""
    return int(_read_info(folder, fps)["total_episodes"])


def read_dataset(folder: Path, fps: float, image_size: int | None = None) -> Iterator[Episode]:
    """The episodes of a dataset, numbered from 1, as demonstrations: a person's steps and, without
    rewards, a success where the dataset doesn't say otherwise; what failed ran out of time.

    fps: of the task's control [Hz]; image_size: side of the images [px], None: as they are. Raises
    DatasetError for a dataset of another format, rate, robot state or action, or with its images in
    videos; OSError when it can't be read.
    """
    info = _read_info(folder, fps)
    names = _tasks_of(folder)
    paths = sorted((folder / "data").glob("*/*.parquet"))
    if not paths:
        raise DatasetError(f"{folder}: no data/*/*.parquet (copied in part?)")
    rows: list[dict[str, Any]] = []
    count = 0
    for row in _rows(paths, (_STATE, _ACTION, *VIEWS.values(), "episode_index", "task_index")):
        if rows and row["episode_index"] != rows[0]["episode_index"]:
            count += 1
            yield _episode(rows, count, names, folder, image_size)
            rows = []
        rows.append(row)
    if rows:
        count += 1
        yield _episode(rows, count, names, folder, image_size)
    if count != info["total_episodes"]:
        raise DatasetError(
            f"{folder}: {count} episodes, {_INFO} says {info['total_episodes']} (copied in part?)"
        )


def _rows(paths: Sequence[Path], needed: Sequence[str]) -> Iterator[dict[str, Any]]:
    """One frame after the other, as many in memory as a row group has."""
    for path in paths:
        try:
            with pq.ParquetFile(path) as file:
                missing = [name for name in needed if name not in file.schema_arrow.names]
                if missing:
                    raise DatasetError(f"{path}: has no column {', '.join(missing)}")
                for batch in file.iter_batches(batch_size=256):
                    yield from batch.to_pylist()
        except pa.ArrowException as error:
            raise DatasetError(f"{path}: can't be read: {error}") from error


def _read_info(folder: Path, fps: float) -> dict[str, Any]:
    path = folder / _INFO
    try:
        info = json.loads(path.read_text())
        features, version = info["features"], str(info["codebase_version"])
        rate, _ = float(info["fps"]), int(info["total_episodes"])
    except FileNotFoundError as error:
        raise DatasetError(f"{folder}: no LeRobot dataset, it has no {_INFO}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise DatasetError(f"{path}: not what LeRobot writes ({error!r})") from error
    if version != VERSION:
        raise DatasetError(
            f"{path}: format {version}, read is {VERSION} (lerobot.datasets.v30 converts)"
        )
    if rate != fps:
        raise DatasetError(f"{path}: {rate:g} Hz, the task is controlled at {fps:g} Hz")
    for name, size in ((_STATE, STATE_DIM), (_ACTION, ACTION_DIM)):
        shape = list(features.get(name, {}).get("shape", []))
        if shape != [size]:
            raise DatasetError(
                f"{path}: {name} has the shape {shape}, needed is [{size}] "
                f"({', '.join(STATE_NAMES if name == _STATE else ACTION_NAMES)})"
            )
    for name in VIEWS.values():
        kind = features.get(name, {}).get("dtype", "missing")
        if kind != "image":
            raise DatasetError(
                f"{path}: {name} is {kind}, needed is image (a dataset with videos is not read: "
                "record or convert it with use_videos=False)"
            )
    known: dict[str, Any] = info
    return known


def _episode(
    rows: Sequence[Mapping[str, Any]],
    number: int,
    tasks: Mapping[int, str],
    folder: Path,
    image_size: int | None,
) -> Episode:
    where = f"{folder}: episode {rows[0]['episode_index']}"
    length = len(rows)
    executed = np.array([row[_ACTION] for row in rows], dtype=np.float32)
    state = np.array([row[_STATE] for row in rows], dtype=np.float32)
    # Not a number fails the comparison.
    if not (np.abs(executed) <= 1 + 1e-4).all():
        raise DatasetError(f"{where}: an action is not within [-1, 1] of the task's limits")
    if not np.isfinite(state).all():
        raise DatasetError(f"{where}: a state is not finite")
    last = rows[-1]
    # Other tools' recordings of RL have rewards only, demonstrations neither.
    success = bool(last.get(_SUCCESS, last.get(_REWARD, 1.0) > 0))
    truncated = bool(last.get(_TRUNCATED, not success))
    reward = np.zeros(length, dtype=np.float32)
    reward[-1] = float(success)
    human = np.array([bool(row.get(_HUMAN, True)) for row in rows])
    task = tasks.get(int(rows[0]["task_index"]))
    if task is None:
        raise DatasetError(f"{where}: task {rows[0]['task_index']} is not in {_TASKS}")
    views = {}
    for view, name in VIEWS.items():
        images = [_decode(row[name], where) for row in rows]
        if len({image.shape for image in images}) > 1:
            raise DatasetError(f"{where}: {name} changes its size")
        if image_size is not None:
            images = [resize_image(image, image_size) for image in images]
        views[view] = np.stack([*images, images[-1]])
    return Episode(
        outcome=EpisodeOutcome(
            episode=number,
            stage="collect",
            success=success,
            terminated=not truncated,
            truncated=truncated,
            discarded=False,
            first_observation=1,
            last_observation=length + 1,
            steps=length,
            cause=f"imported from {folder.name}",
        ),
        instruction=task,
        side=views["side"],
        wrist=views["wrist"],
        state=np.concatenate([state, state[-1:]]),
        proposed=executed,
        executed=executed.clip(-1, 1),
        source=np.where(human, Source.HUMAN, Source.POLICY).astype(np.uint8),
        chunk=np.zeros(length, dtype=np.uint64),
        index=np.full(length, -1, dtype=np.int32),
        reward=reward,
    )


def _encode(images: ImageArray) -> pa.Array:
    """(T, h, w, 3) RGB as the column of a Hugging Face image."""
    rows = []
    for image in images:
        done, data = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        if not done:
            raise DatasetError(f"an image of shape {image.shape} could not be encoded")
        rows.append({"bytes": data.tobytes(), "path": None})
    return pa.array(rows, type=_IMAGE)


def _decode(cell: Mapping[str, Any], where: str) -> ImageArray:
    data = np.frombuffer(cell["bytes"] or b"", dtype=np.uint8)
    image = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    if image is None:
        raise DatasetError(f"{where}: an image does not decode")
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), dtype=np.uint8)


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


def _tasks_of(folder: Path) -> dict[int, str]:
    """Task index -> text; the text's column is the one that isn't the index's."""
    path = folder / _TASKS
    try:
        table = pq.read_table(path)
    except FileNotFoundError as error:
        raise DatasetError(f"{folder}: no {_TASKS}") from error
    except pa.ArrowException as error:
        raise DatasetError(f"{path}: can't be read: {error}") from error
    texts = [name for name in table.column_names if name != "task_index"]
    if "task_index" not in table.column_names or len(texts) != 1:
        raise DatasetError(f"{path}: columns {table.column_names}, not task_index and its text")
    numbers, words = table["task_index"].to_pylist(), table[texts[0]].to_pylist()
    return dict(zip(numbers, words, strict=True))

"""Reads the episodes of a dataset."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from expo_ft_ros.data.episode import Episode, EpisodeOutcome
from expo_ft_ros.data.images import resize_image
from expo_ft_ros.data.types import ACTION_DIM, STATE_DIM, ImageArray, Source
from expo_ft_ros.recording.lerobot.format import (
    ACTION,
    ACTION_NAMES,
    HUMAN,
    INFO,
    REWARD,
    STATE,
    STATE_NAMES,
    SUCCESS,
    TASKS,
    TRUNCATED,
    VERSION,
    VIEWS,
    DatasetError,
)


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
    for row in _rows(paths, (STATE, ACTION, *VIEWS.values(), "episode_index", "task_index")):
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
            f"{folder}: {count} episodes, {INFO} says {info['total_episodes']} (copied in part?)"
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
    path = folder / INFO
    try:
        info = json.loads(path.read_text())
        features, version = info["features"], str(info["codebase_version"])
        rate, _ = float(info["fps"]), int(info["total_episodes"])
    except FileNotFoundError as error:
        raise DatasetError(f"{folder}: no LeRobot dataset, it has no {INFO}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise DatasetError(f"{path}: not what LeRobot writes ({error!r})") from error
    if version != VERSION:
        raise DatasetError(
            f"{path}: format {version}, read is {VERSION} (lerobot.datasets.v30 converts)"
        )
    if rate != fps:
        raise DatasetError(f"{path}: {rate:g} Hz, the task is controlled at {fps:g} Hz")
    for name, size in ((STATE, STATE_DIM), (ACTION, ACTION_DIM)):
        shape = list(features.get(name, {}).get("shape", []))
        if shape != [size]:
            raise DatasetError(
                f"{path}: {name} has the shape {shape}, needed is [{size}] "
                f"({', '.join(STATE_NAMES if name == STATE else ACTION_NAMES)})"
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
    executed = np.array([row[ACTION] for row in rows], dtype=np.float32)
    state = np.array([row[STATE] for row in rows], dtype=np.float32)
    # Not a number fails the comparison.
    if not (np.abs(executed) <= 1 + 1e-4).all():
        raise DatasetError(f"{where}: an action is not within [-1, 1] of the task's limits")
    if not np.isfinite(state).all():
        raise DatasetError(f"{where}: a state is not finite")
    last = rows[-1]
    # Other tools' recordings of RL have rewards only, demonstrations neither.
    success = bool(last.get(SUCCESS, last.get(REWARD, 1.0) > 0))
    truncated = bool(last.get(TRUNCATED, not success))
    reward = np.zeros(length, dtype=np.float32)
    reward[-1] = float(success)
    human = np.array([bool(row.get(HUMAN, True)) for row in rows])
    task = tasks.get(int(rows[0]["task_index"]))
    if task is None:
        raise DatasetError(f"{where}: task {rows[0]['task_index']} is not in {TASKS}")
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


def _decode(cell: Mapping[str, Any], where: str) -> ImageArray:
    data = np.frombuffer(cell["bytes"] or b"", dtype=np.uint8)
    image = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    if image is None:
        raise DatasetError(f"{where}: an image does not decode")
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def _tasks_of(folder: Path) -> dict[int, str]:
    """Task index -> text; the text's column is the one that isn't the index's."""
    path = folder / TASKS
    try:
        table = pq.read_table(path)
    except FileNotFoundError as error:
        raise DatasetError(f"{folder}: no {TASKS}") from error
    except pa.ArrowException as error:
        raise DatasetError(f"{path}: can't be read: {error}") from error
    texts = [name for name in table.column_names if name != "task_index"]
    if "task_index" not in table.column_names or len(texts) != 1:
        raise DatasetError(f"{path}: columns {table.column_names}, not task_index and its text")
    numbers, words = table["task_index"].to_pylist(), table[texts[0]].to_pylist()
    return dict(zip(numbers, words, strict=True))

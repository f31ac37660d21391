# SPDX-License-Identifier: Apache-2.0
"""Reads the episodes of a dataset."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from expo_ft_ros.data.episode import Episode, EpisodeOutcome
from expo_ft_ros.data.images import resize_image
from expo_ft_ros.data.types import ImageArray, Source
from expo_ft_ros.recording.lerobot.format import (
    ACTION,
    HUMAN,
    REWARD,
    STATE,
    SUCCESS,
    TRUNCATED,
)
from expo_ft_ros.recording.lerobot.frames import TASK, Frame, read_frames
from expo_ft_ros.recording.lerobot.images import decode_image
from expo_ft_ros.recording.lerobot.info import DatasetInfo, read_info


@dataclass(frozen=True)
class DatasetSize:
    """How much a dataset holds: episodes, and frames of all of them."""

    episodes: int
    frames: int


def check_dataset(
    folder: Path,
    fps: float,
    view_names: Sequence[str],
    limits: Mapping[str, float] | None = None,
    told: Callable[[int, int], None] | None = None,
) -> DatasetSize:
    """Checks every cell that `read_dataset` would read; gives how much that would be.

    Args:
        folder: The dataset's.
        fps: The rate that the task is controlled at [Hz].
        view_names: The robot's views.
        limits: As in `read_info`.
        told: Is called with the number of episodes that were checked, and of all.

    Raises:
        DatasetError: as `read_dataset`, in the same words, and for other limits.
    """
    info = read_info(folder, fps, view_names, limits)
    lengths: list[int] = []
    for rows in read_frames(info):
        lengths.append(len(rows))
        if told is not None:
            told(len(lengths), info.episodes)
    return DatasetSize(len(lengths), sum(lengths))


def read_dataset(
    folder: Path, fps: float, view_names: Sequence[str], image_size: int | None = None
) -> Iterator[Episode]:
    """The episodes of a dataset, numbered from 1, as demonstrations: a human's steps and, without
    rewards, a success where the dataset doesn't say otherwise; what failed ran out of time.

    Args:
        folder: The dataset's.
        fps: The rate that the task is controlled at [Hz].
        view_names: The robot's views, in the order in which the episodes have them.
        image_size: Side of the images [px]; None: as they are.

    Raises:
        DatasetError: for a dataset of another format, rate, robot state, action or views, with its
            images in videos, or with a cell that can't be learned from; names file, episode, row.
    """
    info = read_info(folder, fps, view_names)
    for number, rows in enumerate(read_frames(info), start=1):
        yield _episode(rows, number, info, image_size)


def _episode(
    rows: Sequence[Frame], number: int, info: DatasetInfo, image_size: int | None
) -> Episode:
    length, last = len(rows), rows[-1].cells
    executed = np.array([row.cells[ACTION] for row in rows], dtype=np.float32)
    state = np.array([row.cells[STATE] for row in rows], dtype=np.float32)
    # Other tools' recordings of RL have rewards only, demonstrations neither.
    success: bool = last.get(SUCCESS, last.get(REWARD, 1.0) > 0)
    truncated: bool = last.get(TRUNCATED, not success)
    reward = np.zeros(length, dtype=np.float32)
    reward[-1] = float(success)
    human = np.array([row.cells.get(HUMAN, True) for row in rows])
    views = {view: _images(rows, name, image_size) for view, name in info.views.items()}
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
            cause=f"imported from {info.folder.name}",
        ),
        instruction=info.tasks[last[TASK]],
        views=views,
        state=np.concatenate([state, state[-1:]]),
        proposed=executed,
        executed=executed.clip(-1, 1),
        source=np.where(human, Source.HUMAN, Source.POLICY).astype(np.uint8),
        chunk=np.zeros(length, dtype=np.uint64),
        index=np.full(length, -1, dtype=np.int32),
        reward=reward,
    )


def _images(rows: Sequence[Frame], name: str, size: int | None) -> ImageArray:
    """(T+1, h, w, 3) uint8 RGB of a view; the last one stands for what came after it, too."""
    images = []
    for row in rows:
        try:
            image = decode_image(row.cells[name])
        except ValueError as error:
            raise row.problem(f"{name}: {error}") from error
        images.append(image if size is None else resize_image(image, size))
    return np.stack([*images, images[-1]])

"""One file an episode: arrays in .npz (never pickled), images as lossless PNG.

A file appears whole or not at all: it is written beside its place and renamed into it.
"""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from expo_ft_ros.data.episode import Episode, EpisodeOutcome
from expo_ft_ros.data.types import ImageArray

_ARRAYS = ("state", "proposed", "executed", "source", "chunk", "index", "reward")
_VIEWS = ("side", "wrist")
# Lossless and quick: unfiltered takes half the time and hardly more room.
_PNG = [
    cv2.IMWRITE_PNG_COMPRESSION,
    1,
    cv2.IMWRITE_PNG_FILTER,
    cv2.IMWRITE_PNG_FILTER_NONE,
]
_BROKEN = (OSError, EOFError, KeyError, TypeError, ValueError, zipfile.BadZipFile)


def episode_path(directory: Path, episode: int) -> Path:
    """Where the episode of that number lies."""
    return directory / f"{episode:06d}.npz"


def save_episode(directory: Path, episode: Episode) -> Path:
    """Writes the episode atomically and gives its path."""
    directory.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, NDArray[np.generic]] = {n: getattr(episode, n) for n in _ARRAYS}
    for view in _VIEWS:
        blob, ends = _encode(getattr(episode, view))
        arrays[view], arrays[f"{view}_ends"] = blob, ends
    header = {"outcome": asdict(episode.outcome), "instruction": episode.instruction}
    arrays["header"] = np.frombuffer(json.dumps(header).encode(), dtype=np.uint8)
    path = episode_path(directory, episode.outcome.episode)
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    return path


def load_episode(path: Path) -> Episode:
    """Reads one episode. Raises ValueError naming the file when it is not a whole one."""
    try:
        with np.load(path, allow_pickle=False) as file:
            header = json.loads(file["header"].tobytes().decode())
            arrays: dict[str, Any] = {n: file[n] for n in _ARRAYS}
            arrays |= {v: _decode(file[v], file[f"{v}_ends"]) for v in _VIEWS}
        outcome = EpisodeOutcome(**header["outcome"])
        return Episode(outcome=outcome, instruction=header["instruction"], **arrays)
    except _BROKEN as error:
        raise ValueError(f"{path}: not a whole episode file ({error}); remove it") from error


def load_episodes(directory: Path, before: int | None = None) -> Iterator[Episode]:
    """The episodes of a folder, in order, those with numbers below `before`; none when there is no
    such folder."""
    for path in sorted(directory.glob("*.npz")):
        if before is None or int(path.stem) < before:
            yield load_episode(path)


def set_aside_from(directory: Path, first: int) -> None:
    """Renames the files of episodes from `first` on: an interrupted run recorded but never counted
    them, and their numbers are given again."""
    for path in directory.glob("*.npz"):
        if int(path.stem) >= first:
            path.replace(path.with_suffix(".uncounted"))


def _encode(images: ImageArray) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    blobs = []
    for image in images:
        ok, blob = cv2.imencode(".png", image[..., ::-1], _PNG)
        if not ok:
            raise ValueError(f"image of shape {image.shape} could not be encoded as PNG")
        blobs.append(blob.ravel())
    return np.concatenate(blobs), np.cumsum([len(b) for b in blobs])


def _decode(blob: NDArray[np.uint8], ends: NDArray[np.int64]) -> ImageArray:
    images = []
    for start, end in zip([0, *ends[:-1]], ends, strict=True):
        image = cv2.imdecode(blob[start:end], cv2.IMREAD_COLOR)
        if image is None:
            raise ValueError("a PNG image in it is broken")
        images.append(image[..., ::-1])
    return np.ascontiguousarray(np.stack(images), dtype=np.uint8)

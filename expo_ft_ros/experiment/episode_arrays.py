# SPDX-License-Identifier: Apache-2.0
"""Episodes of a run without ROS, as arrays in one .npz each; never pickle.

A run with a graph records MCAP files in their place (`recording.episode_store`).
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np

from expo_ft_ros.data.episode import Episode, EpisodeOutcome
from expo_ft_ros.data.files import replacing

_ARRAYS = ("state", "proposed", "executed", "source", "chunk", "index", "reward")
_LEFT = "steps_left"
_VIEW = "view/"


def write_episode(run: Path, episode: Episode) -> Path:
    """Writes an episode into a run's folder.

    Raises:
        DiskError: where it can't be written.
    """
    folder = run / "episodes"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{episode.outcome.episode:06d}.npz"
    about = {
        "outcome": asdict(episode.outcome),
        "instruction": episode.instruction,
        "robot": episode.robot,
    }
    arrays = {name: getattr(episode, name) for name in _ARRAYS}
    arrays |= {_VIEW + name: images for name, images in episode.views.items()}
    if episode.steps_left is not None:
        arrays[_LEFT] = episode.steps_left
    partial = path.with_suffix(".partial")
    with replacing(partial, path), partial.open("wb") as file:
        np.savez_compressed(file, about=np.array(json.dumps(about)), **arrays)
    return path


def kept_episodes(run: Path) -> list[Path]:
    """The files of a run's episodes, in order."""
    return sorted((run / "episodes").glob("*.npz"))


def read_episodes(run: Path) -> Iterator[Episode]:
    """The episodes that were written into a run's folder, in order.

    Raises:
        ValueError: naming a file that isn't a whole one.
    """
    for path in kept_episodes(run):
        try:
            with np.load(path, allow_pickle=False) as file:
                about = json.loads(str(file["about"]))
                yield Episode(
                    outcome=EpisodeOutcome(**about["outcome"]),
                    instruction=about["instruction"],
                    views={
                        name.removeprefix(_VIEW): file[name]
                        for name in file.files
                        if name.startswith(_VIEW)
                    },
                    **{name: file[name] for name in _ARRAYS},
                    # Files from before it was kept are read, too.
                    steps_left=file[_LEFT] if _LEFT in file.files else None,
                    robot=about.get("robot", ""),
                )
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
            raise ValueError(
                f"{path}: not a whole episode: {' '.join(str(error).split())} (remove it)"
            ) from error

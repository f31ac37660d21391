# SPDX-License-Identifier: Apache-2.0
"""What each camera sees now beside what it saw as demonstrations were given."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.data.episode import Episode
from expo_ft_ros.data.files import writing
from expo_ft_ros.data.types import ImageArray
from expo_ft_ros.experiment.run_folder import find_run
from expo_ft_ros.monitor.overlay import enlarged, write_below
from expo_ft_ros.monitor.paths import box_edges
from expo_ft_ros.monitor.projection import Camera, Vector, project
from expo_ft_ros.recording.episode_store import load_episode, whole_files
from expo_ft_ros.recording.lerobot import DatasetError, read_dataset
from expo_ft_ros.robots import RobotConfig, Workspace
from expo_ft_ros.tasks import TaskConfig

SHIFTED = 3.0
"""From so many pixels on it is said that a picture is shifted."""
ALIKE = 0.1
"""Response of the phase correlation below which two pictures have too little in common for it."""

_BOX_COLOUR = (120, 200, 120)


class Shift(NamedTuple):
    """By how much a picture lies beside another: to the right and down [px], and how clear that is,
    in [0, 1]."""

    right: float
    down: float
    response: float

    @property
    def size(self) -> float:
        """[px]"""
        return float(np.hypot(self.right, self.down))


def first_frames(source: str, robot: RobotConfig, task: TaskConfig) -> dict[str, ImageArray]:
    """View -> the first image (h, w, 3) RGB of a recorded demonstration: of the first that
    succeeded, else of the first that there is.

    Args:
        source: A run's folder, `latest`, or the folder of a LeRobot dataset.
        robot: Whose views.
        task: At whose rate it was recorded.

    Raises:
        ConfigError: where there is none, or none of this robot's views.
    """
    episode = _of_dataset(source, robot, task) or _of_run(source)
    missing = [name for name in robot.view_names if name not in episode.views]
    if missing:
        raise ConfigError(
            f"demos:={source}: has no view {', '.join(missing)} (has: {', '.join(episode.views)}; "
            "name demonstrations of this robot)"
        )
    return {name: np.asarray(episode.views[name][0]) for name in robot.view_names}


def _of_dataset(source: str, robot: RobotConfig, task: TaskConfig) -> Episode | None:
    folder = Path(source).expanduser()
    if not (folder / "meta" / "info.json").is_file():
        return None
    try:
        return next(read_dataset(folder, task.control_hz, robot.view_names))
    except (DatasetError, OSError) as error:
        raise ConfigError(f"demos:={error}") from None
    except StopIteration:
        raise ConfigError(f"demos:={source}: the dataset has no episode (name another)") from None


def _of_run(source: str) -> Episode:
    path = find_run(source, option="demos")
    found: Episode | None = None
    flaw = "has no recorded episode"
    for file in whole_files(path / "episodes"):
        try:
            episode = load_episode(file)
        except (OSError, ValueError) as error:
            flaw = str(error)
            continue
        if episode.outcome.stage != "collect":
            continue
        if episode.outcome.success:
            return episode
        found = found or episode
    if found is None:
        raise ConfigError(f"demos:={path}: no demonstration: {flaw} (name another run)")
    return found


def shift_of(image: ImageArray, before: ImageArray) -> Shift:
    """By how much a picture is shifted against an earlier one, by phase correlation.

    Args:
        image: (h, w, 3) RGB.
        before: (H, W, 3) RGB; is scaled to the size of `image`.
    """
    height, width = image.shape[:2]
    now, then = _grey(image), _grey(_resized(before, width, height))
    window = cv2.createHanningWindow((width, height), cv2.CV_64F)
    (right, down), response = cv2.phaseCorrelate(then, now, window)
    return Shift(float(right), float(down), float(np.clip(response, 0.0, 1.0)))


def _grey(image: ImageArray) -> Vector:
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.float64)


def _resized(image: ImageArray, width: int, height: int) -> ImageArray:
    scaled = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(scaled, np.uint8)


def blended(image: ImageArray, before: ImageArray) -> ImageArray:
    """Half of each, and below it the upper half of the one over the lower half of the other; both
    (h, w, 3) RGB, the second is scaled to the first's size."""
    height, width = image.shape[:2]
    other = _resized(before, width, height)
    both = (image.astype(np.uint16) + other) // 2
    halves = np.concatenate([image[: height // 2], other[height // 2 :]])
    left, right = enlarged(both.astype(np.uint8)), enlarged(halves)
    write_below(left, "now and demonstration, half of each")
    write_below(right, "above: now; below: demonstration")
    return np.concatenate([left, right], axis=1)


def outlined(
    image: ImageArray, camera: Camera, box: Workspace, tool: Vector, quaternion: Vector
) -> ImageArray:
    """A new image with the edges of the workspace, where the camera sees them.

    Args:
        image: (h, w, 3) RGB.
        camera: Whose it is.
        box: Of the base frame.
        tool: (3,) where the tool is [m].
        quaternion: (4,) x, y, z, w of the tool.
    """
    drawn = enlarged(image)
    scale = len(drawn) / len(image)
    edges = box_edges(box.low, box.high).reshape(-1, 2, 3)
    for start, end in project(camera, edges, tool, quaternion)[0]:
        ends = [
            tuple(np.round((point + 0.5) * scale - 0.5).astype(int).tolist())
            for point in (start, end)
        ]
        cv2.line(drawn, ends[0], ends[1], _BOX_COLOUR, 1, cv2.LINE_AA)
    write_below(drawn, "the edges of the workspace")
    return drawn


def plain(image: ImageArray) -> ImageArray:
    """A new image, enlarged where it is small. image: (h, w, 3) RGB."""
    return enlarged(image)


def save(path: Path, image: ImageArray) -> None:
    """As a PNG. Raises DiskError where it can't be written. image: (h, w, 3) RGB."""
    done, data = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    if not done:
        raise ValueError(f"{path}: an image of shape {image.shape} can't be written as a PNG")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.tobytes())


def in_words(shift: Shift) -> str:
    """What a shift means to the operator."""
    if shift.response < ALIKE:
        return "the pictures have too little in common to be compared (look at them)"
    where = f"{shift.right:+.1f} px to the right, {shift.down:+.1f} px down"
    if shift.size < SHIFTED:
        return f"as the demonstration's: {where}"
    return (
        f"shifted against the demonstration's: {where} (turn the camera back, or demonstrate anew)"
    )

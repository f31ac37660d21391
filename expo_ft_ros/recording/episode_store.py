# SPDX-License-Identifier: Apache-2.0
"""One MCAP file an episode, under <run>/episodes/: written as it happens, read into an Episode.

`nodes.recorder.EpisodeFiles` writes what is said in the graph; replay is built from these files and
from live messages by the same code (`recording.episode_builder`). The images of an observation lie
beside it under the cameras' topics, where every viewer finds them.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any

from expo_ft_ros.data.episode import Episode
from expo_ft_ros.data.files import sync_folder, write_atomically
from expo_ft_ros.recording.episode_builder import PARTS, EpisodeGatherer
from expo_ft_ros.recording.mcap_file import CutOffError, read_bag
from expo_ft_ros.recording.messages import BadMessage, nanoseconds, views_of

_IMAGE_TOPIC = re.compile(r"camera/([^/]+)/image_raw")

LABELS: Mapping[str, bool] = {"success": True, "failure": False}
"""What an operator can label an episode as -> whether it is a success."""

DISCARD, RESTORE = "discard", "restore"
"""What else an operator can say of one."""

UNCOUNTED, DISCARDED, INCOMPLETE = "uncounted", "discarded", "incomplete"
"""Why a file is set aside: the session was interrupted before it counted the episode, the episode
is not to be learned from, or parts of it never came."""


def episode_path(directory: Path, episode: int) -> Path:
    """Where the episode of that number lies."""
    return directory / f"{episode:06d}.mcap"


def image_topic(view: str) -> str:
    """Where the images of a view lie in a file."""
    return f"camera/{view}/image_raw"


def load_episode(path: Path, image_size: int | None = None) -> Episode:
    """Reads one episode. image_size: side of the images [px]; None: as they were recorded.

    Raises ValueError naming the file when it holds no whole episode.
    """
    gatherer, cause = _gather(path, image_size)
    for episode in gatherer.pop_complete():
        if not episode.outcome.discarded:
            return _labelled(path, episode)
        cause = f"it is discarded: {episode.outcome.cause}"
    raise ValueError(
        f"{path}: not a whole episode: {cause} (expo-ft episodes discard {path.stem} leaves it out)"
    )


def rescue_episode(path: Path, image_size: int | None = None) -> Episode | None:
    """As `load_episode`, also what is not to be learned from (outcome.discarded): an episode that
    was discarded, and of a file that was cut off the whole steps that it has. None where there is
    none. Raises ValueError when it can't be read."""
    gatherer, cause = _gather(path, image_size)
    for episode in gatherer.pop_complete():
        return _labelled(path, episode)
    return gatherer.pop_cut_off(f"incomplete: {cause}")


def load_episodes(
    directory: Path, before: int | None = None, image_size: int | None = None
) -> Iterator[Episode]:
    """The episodes of a folder, in order, those with numbers below `before`; none when there is no
    such folder. Raises as `load_episode`."""
    for path in files_before(directory, before):
        yield load_episode(path, image_size)


def files_before(directory: Path, before: int | None) -> list[Path]:
    """As `whole_files`, those with numbers below `before`; None: all."""
    files = whole_files(directory)
    return [path for path in files if before is None or int(path.stem) < before]


def relabel(path: Path, success: bool) -> None:
    """The operator's word on a recorded episode, over the classifier's: it ended, as this. The file
    itself stays as it was recorded; the word lies beside it."""
    write_atomically(_label_path(path), {"success": success})


def label_of(path: Path) -> bool | None:
    """The operator's label of an episode's file: whether it is a success; None without one. Raises
    ValueError where what lies there is no label."""
    place = _label_path(path)
    if not place.exists():
        return None
    try:
        success = json.loads(place.read_bytes())["success"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"{place}: not a label ({error}); remove it or label anew") from error
    if not isinstance(success, bool):
        raise ValueError(
            f"{place}: not a label (success is {success!r}, needed is true or false); remove it or "
            "label anew"
        )
    return success


def whole_files(directory: Path) -> list[Path]:
    """Paths of the episodes of a folder that were not set aside, in order."""
    return sorted(path for path in directory.glob("*.mcap") if path.stem.isdecimal())


def set_aside(path: Path, why: str) -> Path:
    """Renames an episode's file, so that replay leaves it out, and gives the new path. Nothing is
    overwritten, nothing removed. why: UNCOUNTED, DISCARDED or INCOMPLETE."""
    places = (path.with_suffix(f".{why}{again or ''}.mcap") for again in count())
    place = next(place for place in places if not place.exists())
    # The label first: its number may be given again, and the word was on this one.
    if _label_path(path).exists():
        _label_path(path).replace(_label_path(place))
    path.replace(place)
    sync_folder(path.parent)
    return place


def set_aside_last(path: Path, why: str) -> Path | None:
    """Where `set_aside` has put an episode's file, the last one of its number; None for none."""
    found = path.parent.glob(f"{path.stem}.{why}*.mcap")
    return max(found, key=lambda file: (len(file.name), file.name), default=None)


def bring_back(path: Path, why: str) -> Path:
    """Takes back what `set_aside` did last to an episode's file, and gives the path that it had.

    Raises:
        FileExistsError: where there is such an episode.
        FileNotFoundError: where none of its number was set aside for that.
    """
    if path.exists():
        raise FileExistsError(path)
    place = set_aside_last(path, why)
    if place is None:
        raise FileNotFoundError(path)
    place.replace(path)
    if _label_path(place).exists():
        _label_path(place).replace(_label_path(path))
    sync_folder(path.parent)
    return place


def _label_path(path: Path) -> Path:
    return path.with_suffix(".label.json")


def _labelled(path: Path, episode: Episode) -> Episode:
    """The episode with the operator's label, where there is one."""
    label = label_of(path)
    return episode if label is None else episode.labelled(label)


def _gather(path: Path, image_size: int | None) -> tuple[EpisodeGatherer, str]:
    """A gatherer that has taken the file's messages, and why it may have no whole episode."""
    gatherer = EpisodeGatherer(None, image_size, with_discarded=True)
    images: dict[str, Any] = {}
    try:
        for recorded in read_bag(path, lambda name: name in PARTS or bool(_view_of(name))):
            topic, message = recorded.topic, recorded.message
            if topic not in PARTS:
                images[_view_of(topic)] = message
                continue
            with contextlib.suppress(BadMessage):
                # Dropped by every node that heard it, too; it is in the file as evidence.
                if topic == "observation":
                    _put_back(images, message)
                gatherer.take(topic, message)
    except CutOffError as error:
        return gatherer, str(error)
    except OSError as error:
        raise ValueError(f"{path}: can't be read: {error}") from error
    return gatherer, "parts of it are missing"


def _view_of(topic: str) -> str:
    """The view whose images lie there; "" where it is no such topic."""
    found = _IMAGE_TOPIC.fullmatch(topic)
    return found[1] if found else ""


def _put_back(images: Mapping[str, Any], message: Any) -> None:
    """Puts the images that were written before an observation into it; it has kept their headers.

    Raises:
        BadMessage: for one that wasn't the robot's: it was written whole.
        CutOffError: where an image is missing.
    """
    if not hasattr(message, "view_names"):
        # Recordings from before views had names: a field each.
        message.view_names = [name for name in message.__slots__ if _is_image(message, name)]
        message.views = [getattr(message, name) for name in message.view_names]
    for view, kept in views_of(message).items():
        if len(kept.data):
            raise BadMessage(f"observation {message.number} is of other views than the robot's")
        image = images.get(view)
        if image is None or nanoseconds(image.header.stamp) != nanoseconds(kept.header.stamp):
            raise CutOffError(f"{image_topic(view)}: an observation's image is missing")
    message.views = [images[view] for view in message.view_names]


def _is_image(message: Any, field: str) -> bool:
    return hasattr(getattr(message, field), "encoding")

# SPDX-License-Identifier: Apache-2.0
"""Writes every episode to <run_dir>/episodes while it happens; replay is rebuilt from there."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rclpy.serialization import serialize_message
from sensor_msgs.msg import Image

from expo_ft_ros.data.episode import Episode
from expo_ft_ros.experiment.run_folder import first_uncounted
from expo_ft_ros.graph.topics import topic as topic_entry
from expo_ft_ros.msg import EpisodeRecorded, Observation
from expo_ft_ros.recording.episode_builder import PARTS, EpisodeGatherer
from expo_ft_ros.recording.episode_store import (
    DISCARDED,
    INCOMPLETE,
    UNCOUNTED,
    episode_path,
    image_topic,
    set_aside,
    whole_files,
)
from expo_ft_ros.recording.mcap_file import BagWriter, TopicType
from expo_ft_ros.recording.messages import nanoseconds
from expo_ft_ros.recording.rosbag2 import EpisodeBag
from expo_ft_ros.robots import load_robot
from expo_ft_ros.ros.episode_subscriber import EpisodeFeed
from expo_ft_ros.ros.frames import HAS_TF, tf_message
from expo_ft_ros.ros.graph_node import GraphNode, NodeParameters
from expo_ft_ros.ros.message_definitions import message_definition
from expo_ft_ros.ros.process import main as run_nodes

TF_TOPICS = ("/tf", "/tf_static") if HAS_TF else ()
_SHADOWS = ("shadow/twist_cmd", "shadow/gripper_cmd")
BESIDE = (
    "policy/chunk",
    "policy/candidates",
    "teleop/command",
    "joint_states",
    *_SHADOWS,
    *TF_TOPICS,
)
"""What is written besides an episode's parts."""

# Images of this side [px] tell that a snapshot came, which is all that the gatherer is for here.
_TINY = 8
_CONFIG = "config.yaml"


@dataclass(frozen=True)
class RecorderParameters(NodeParameters):
    """Parameters of the recorder node."""


class RecorderNode(GraphNode[RecorderParameters]):
    """Sorts messages by episode in the executor's thread, writes in one of its own."""

    NAME = "recorder"
    PARAMETERS = RecorderParameters

    def _setup(self) -> None:
        if not self.parameters.run_dir:
            raise ValueError("run_dir is empty: the recorder has nowhere to write to")
        run = Path(self.parameters.run_dir)
        folder = run / "episodes"
        folder.mkdir(parents=True, exist_ok=True)
        first = first_uncounted(run)
        for path in whole_files(folder):
            if int(path.stem) >= first:
                set_aside(path, UNCOUNTED)
        config = run / _CONFIG
        views = load_robot(self.parameters.robot).view_names
        self._files = EpisodeFiles(folder, config.read_text() if config.is_file() else "", views)
        self._newest = first - 1
        self._open: set[int] = set()
        self._queue: queue.Queue[Callable[[], None] | None] = queue.Queue()
        self._failure: Exception | None = None
        self._recorded_out = self.publisher("episode/recorded")
        self._writer = threading.Thread(target=self._write, name="writer")
        self._writer.start()
        gatherer = EpisodeGatherer(views, _TINY)
        self._feed = EpisodeFeed(
            self, gatherer, self._on_whole, self._on_dropped, on_message=self._on_message
        )
        for name in BESIDE:
            record = self._fix if name == "/tf_static" else self._beside(name)
            self.subscription(name, record, needed=False)
        self.wall_timer(1.0, self._check)

    def _teardown(self) -> None:
        writer = getattr(self, "_writer", None)
        if writer is not None and writer.is_alive():
            for episode in sorted(self._open):
                self._queue.put(partial(self._leave, episode))
            self._queue.put(None)
            writer.join()
        if getattr(self, "_failure", None) is not None:
            self.get_logger().error(f"an episode was not written: {self._failure}")

    # -- the executor's thread ------------------------------------------------------------------
    def _on_message(self, topic: str, message: Any) -> None:
        episode = int(message.episode)
        if topic == "session/plan" and message.redone:
            self._queue.put(partial(self._files.discard, int(message.redone)))
        if episode > self._newest:
            self._newest = episode
            self._open.add(episode)
        if episode in self._open:
            self._put(episode, topic, message)

    def _beside(self, topic: str) -> Callable[[Any], None]:
        def record(message: Any) -> None:
            if self._newest in self._open:
                self._put(self._newest, topic, message)

        return record

    def _put(self, episode: int, topic: str, message: Any) -> None:
        now = self.now_ns()
        self._queue.put(lambda: self._files.write(episode, topic, message, now))

    def _fix(self, message: Any) -> None:
        """Frames that stay: each file begins with them."""
        self._queue.put(lambda: self._files.fix(message.transforms))

    def _on_whole(self, episode: Episode) -> None:
        self._close(episode.outcome.episode, "")

    def _on_dropped(self, number: int, cause: str) -> None:
        self._close(number, cause)

    def _close(self, episode: int, aside: str) -> None:
        self._open.discard(episode)
        self._queue.put(lambda: self._finish(episode, aside))

    def _check(self) -> None:
        if self._failure is not None:
            raise RuntimeError(
                f"an episode could not be written: {self._failure}"
            ) from self._failure

    # -- the writer's thread --------------------------------------------------------------------
    def _write(self) -> None:
        while (work := self._queue.get()) is not None:
            try:
                work()
            except Exception as error:  # noqa: BLE001 (raised again in the executor's thread)
                self._failure = error
                return

    def _leave(self, episode: int) -> None:
        """The run ends in the middle of an episode, which nobody counts."""
        path = self._files.close(episode)
        if path is not None:
            set_aside(path, INCOMPLETE)
            self._files.refresh()

    def _finish(self, episode: int, aside: str) -> None:
        path = self._files.close(episode)
        if path is not None:
            path = set_aside(path, aside) if aside else path
            self._files.refresh()
            self.get_logger().info(f"wrote {path.name}")
        word = EpisodeRecorded(episode=episode, lost=aside == INCOMPLETE)
        word.header.stamp = self.get_clock().now().to_msg()
        self._recorded_out.publish(word)


class EpisodeFiles:
    """The open files of a folder."""

    def __init__(self, folder: Path, config: str, view_names: Sequence[str]) -> None:
        """Opens none yet.

        Args:
            folder: Where they lie.
            config: Text of the run's configuration, kept in each; empty: none.
            view_names: The robot's views.
        """
        self.folder, self._config = folder, config
        self._views = sorted(view_names)
        self._writers: dict[int, BagWriter] = {}
        self._bag = EpisodeBag(folder)
        self._bag.refresh()
        self._fixed: dict[str, Any] = {}
        topics = (*PARTS, *BESIDE, *map(image_topic, view_names))
        self._topics = {name: _type_of(name) for name in topics}

    def write(self, episode: int, topic: str, message: Any, now: int) -> None:
        """Appends a message; the images of an observation under topics of their own, before it. An
        observation of other views than the robot's stays whole, as evidence."""
        writer = self._writers.get(episode)
        if writer is None:
            writer = BagWriter(episode_path(self.folder, episode), self._topics)
            self._writers[episode] = writer
            if self._config:
                writer.note("run", {_CONFIG: self._config})
            if self._fixed:
                frames = tf_message(list(self._fixed.values()))
                writer.write("/tf_static", serialize_message(frames), now, _stamp_of(frames))
        if topic == "observation" and sorted(message.view_names) == self._views:
            for view, image in zip(message.view_names, message.views, strict=False):
                stamp = nanoseconds(image.header.stamp)
                writer.write(image_topic(view), serialize_message(image), now, stamp)
            message = _without_images(message)
        writer.write(topic, serialize_message(message), now, _stamp_of(message))

    def fix(self, transforms: Sequence[Any]) -> None:
        """Takes frames that stay where they are, for the files that are begun from now on."""
        self._fixed.update({each.child_frame_id: each for each in transforms})

    def refresh(self) -> None:
        """Brings the folder's metadata up to date, by which rosbag2 opens it as one bag."""
        self._bag.refresh()

    def discard(self, episode: int) -> None:
        """Sets an episode aside that was whole, and is to be learned from no more."""
        path = episode_path(self.folder, episode)
        if path.is_file():
            set_aside(path, DISCARDED)
            self.refresh()

    def close(self, episode: int) -> Path | None:
        """Ends an episode's file; None where nothing of it came."""
        writer = self._writers.pop(episode, None)
        if writer is None:
            return None
        writer.close()
        return episode_path(self.folder, episode)


def _stamp_of(message: Any) -> int:
    """[ns] of the header; of frames, of the newest; 0 where there is none."""
    headed = [message] if hasattr(message, "header") else message.transforms
    return max((nanoseconds(each.header.stamp) for each in headed), default=0)


def _type_of(name: str) -> TopicType:
    type_name = topic_entry(name).type
    return TopicType(type_name, message_definition(type_name))


def _without_images(message: Observation) -> Observation:
    return Observation(
        header=message.header,
        number=message.number,
        episode=message.episode,
        chunk_wanted=message.chunk_wanted,
        view_names=message.view_names,
        views=[Image(header=image.header) for image in message.views],
        proprio=message.proprio,
        instruction=message.instruction,
        steps_left=message.steps_left,
    )


def main() -> None:
    """Runs the recorder node."""
    run_nodes(RecorderNode)


if __name__ == "__main__":
    main()

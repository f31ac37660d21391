"""Writes every finished episode to <run_dir>/episodes; replay is rebuilt from there."""

from __future__ import annotations

import queue
import threading
from dataclasses import dataclass
from pathlib import Path

from expo_ft_ros.data.episode import Episode, EpisodeAssembler
from expo_ft_ros.data.episode_store import save_episode, set_aside_from
from expo_ft_ros.nodes.assembling import EpisodeFeed
from expo_ft_ros.nodes.base import GraphNode, NodeParameters, parameter
from expo_ft_ros.nodes.process import main as run_nodes
from expo_ft_ros.nodes.run_files import first_uncounted


@dataclass(frozen=True)
class RecorderParameters(NodeParameters):
    """Parameters of the recorder node."""

    image_size: int = parameter(
        0, "Side of the images kept [px]; 0: as they come.", low=0, high=1024
    )


class RecorderNode(GraphNode[RecorderParameters]):
    """Assembles in the executor's thread, compresses and writes in one of its own."""

    NAME = "recorder"
    PARAMETERS = RecorderParameters

    def _setup(self) -> None:
        if not self.parameters.run_dir:
            raise ValueError("run_dir is empty: the recorder has nowhere to write to")
        self._directory = Path(self.parameters.run_dir) / "episodes"
        set_aside_from(self._directory, first_uncounted(Path(self.parameters.run_dir)))
        self._queue: queue.Queue[Episode | None] = queue.Queue()
        self._failure: Exception | None = None
        self._writer = threading.Thread(target=self._write, name="writer")
        self._writer.start()
        assembler = EpisodeAssembler(self.parameters.image_size or None)
        self._feed = EpisodeFeed(self, assembler, self._queue.put)
        self.wall_timer(1.0, self._check)

    def _teardown(self) -> None:
        writer = getattr(self, "_writer", None)
        if writer is not None and writer.is_alive():
            self._queue.put(None)
            writer.join()
        if getattr(self, "_failure", None) is not None:
            self.get_logger().error(f"an episode was not written: {self._failure}")

    def _write(self) -> None:
        while (episode := self._queue.get()) is not None:
            try:
                path = save_episode(self._directory, episode)
            except Exception as error:  # noqa: BLE001 (raised again in the executor's thread)
                self._failure = error
                return
            self.get_logger().info(f"wrote {path.name}: {len(episode)} steps")

    def _check(self) -> None:
        if self._failure is not None:
            raise RuntimeError(f"an episode could not be written: {self._failure}")


def main() -> None:
    """Runs the recorder node."""
    run_nodes(RecorderNode)


if __name__ == "__main__":
    main()

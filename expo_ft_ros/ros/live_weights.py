# SPDX-License-Identifier: Apache-2.0
"""What a learner in another process publishes, read beside acting."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from expo_ft_ros.rl.agent import Agent
from expo_ft_ros.rl.checkpoint import load_state


class LiveWeights:
    """Reads the file of the newest weights in a thread of its own; the agent takes them up when it
    is asked to, between two chunks. All else is called from one thread.

    Args:
        path: The file, which may not be there yet; it is replaced as a whole.
        agent: That acts by them.
    """

    def __init__(self, path: Path, agent: Agent) -> None:
        self._path, self._agent = path, agent
        self._newest = agent.version
        self._reader = ThreadPoolExecutor(1, "weights")
        self._reading: Future[dict[str, Any]] | None = None

    @property
    def behind(self) -> int:
        """Versions that were told of and aren't taken up yet."""
        return self._newest - self._agent.version

    @property
    def ready(self) -> bool:
        """Whether there are weights to take up without waiting."""
        return self._reading is not None and self._reading.done()

    def hear_of(self, version: int) -> None:
        """Has newer weights read; the file is there before its version is told."""
        if version > self._newest:
            self._newest = version
            self._read()

    def take(self) -> None:
        """The agent takes up what is being read, waiting for it; its lock is held. What was told of
        meanwhile is read next.

        Raises:
            ValueError: naming a file that isn't whole, or of another configuration.
        """
        if self._reading is None:
            return
        state, self._reading = self._reading.result(), None
        self._agent.take_weights(self._path, state)
        self._newest = max(self._newest, self._agent.version)
        if self.behind:
            self._read()

    def take_newest(self) -> None:
        """The agent takes up what the file holds now, told of or not, waiting for it; as `take`."""
        self.take()
        self._read()
        self.take()

    def close(self) -> None:
        """Ends the thread."""
        self._reader.shutdown()

    def _read(self) -> None:
        # One at a time: a learner that is quicker than the disk would have none taken up.
        if self._reading is None and self._path.exists():
            self._reading = self._reader.submit(load_state, self._path)

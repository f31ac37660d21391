# SPDX-License-Identifier: Apache-2.0
"""A process that comes into a graph that runs, and says on every topic what could be meant there.

python -m support.stranger FOLDER, in the graph's domain, until SIGTERM

It says what was said before: again, late, with a field of an older message, with a number a little
off, and what is no number. At its end FOLDER has stranger.json: `Heard`.
"""

from __future__ import annotations

import inspect
import itertools
import json
import random
import signal
import sys
from collections import Counter, deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import rclpy
from expo_ft_ros.msg import EpisodeState
from rclpy.serialization import deserialize_message, serialize_message
from rclpy.signals import SignalHandlerOptions
from rclpy.task import Future
from std_srvs.srv import Trigger

from expo_ft_ros.graph.topics import topic
from expo_ft_ros.ros.process import make_executor
from expo_ft_ros.ros.qos import message_type, qos_of
from support import mischief
from support.meddled import COMMANDS, MINE

KINDS = (*mischief.COPIES, *mischief.PLAUSIBLE)
MEANT = (*COMMANDS, "step", "reward")
FILE = "stranger.json"
HE_LISTENS = "listens\n"
_PAUSE = 0.03
_WITH_INFO = inspect.signature(lambda message, info: None)


@dataclass
class Heard:
    """said: (topic, kind) -> how many it said. meant: what the publishers of MEANT said,
    serialised, without the commands that are marked as not meant."""

    said: Counter[tuple[str, str]] = field(default_factory=Counter)
    meant: dict[str, list[bytes]] = field(default_factory=lambda: {name: [] for name in MEANT})

    def save(self, path: Path) -> None:
        """As JSON."""
        said = [[*key, count] for key, count in self.said.items()]
        meant = {name: [data.hex() for data in all_] for name, all_ in self.meant.items()}
        path.write_text(json.dumps({"said": said, "meant": meant}))

    @classmethod
    def load(cls, path: Path) -> Heard:
        """What `save` has written."""
        kept = json.loads(path.read_text())
        said = Counter({(topic_, kind): count for topic_, kind, count in kept["said"]})
        meant = {n: [bytes.fromhex(data) for data in all_] for n, all_ in kept["meant"].items()}
        return cls(said, meant)

    def of(self, name: str) -> list[Any]:
        """The messages of a topic."""
        type_ = message_type(topic(name).type)
        return [deserialize_message(data, type_) for data in self.meant[name]]


class Stranger:
    """Hears all topics of `names`, and speaks on two of them at a time."""

    def __init__(self, names: list[str]) -> None:
        self.node = rclpy.create_node("stranger")
        self.heard = Heard()
        self._kept: dict[str, deque[Any]] = {}
        self._senders: dict[str, bytes] = {}
        self._out: dict[str, Any] = {}
        self._plan = itertools.cycle(mischief.drawn(mischief.mischief(*KINDS), 2000))
        self._rng = random.Random(0)
        self._running = False
        for name in names:
            self._listen(name)
        self._knows = self.node.create_client(Trigger, "teleop/acknowledge")
        self._asked: Future[Any] | None = None

    def _listen(self, name: str) -> None:
        entry = topic(name)

        def hear(*given: Any) -> None:
            message, info = given if len(given) == 2 else given[0]
            gid = info["publisher_gid"]["data"]
            # It came later than the topic's own sender.
            if entry.publishers != ("every",) and gid != self._senders.setdefault(name, gid):
                return
            self._kept.setdefault(name, deque(maxlen=mischief.KEPT)).append(message)
            if name in MEANT and message.header.frame_id != MINE:
                self.heard.meant[name].append(serialize_message(message))
            if isinstance(message, EpisodeState):
                self._running |= message.state == EpisodeState.RUNNING

        hear.__signature__ = _WITH_INFO  # type: ignore[attr-defined]
        self.node.create_subscription(message_type(entry.type), name, hear, qos_of(entry))

    def meddle(self) -> None:
        """Once an episode has begun: says two things, and that the device is known to be lost.

        Readings that are no numbers are a device that is gone; the arm stands until then.
        """
        if not self._running:
            return
        for name in self._rng.sample(sorted(self._kept), 2):
            what = next(self._plan)
            message = mischief.made(self._kept[name], what, name)
            if message is not None:
                self._speaker(name).publish(message)
                self.heard.said[name, what.kind] += 1
        if self._knows.service_is_ready() and (self._asked is None or self._asked.done()):
            self._asked = self._knows.call_async(Trigger.Request())

    def _speaker(self, name: str) -> Any:
        if name not in self._out:
            entry = topic(name)
            type_ = message_type(entry.type)
            self._out[name] = self.node.create_publisher(type_, name, qos_of(entry))
        return self._out[name]


def main(folder: Path, names: list[str]) -> None:
    """Meddles until SIGTERM, then tells."""
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    over: Future[None] = Future()
    signal.signal(signal.SIGTERM, lambda *_: over.set_result(None))
    stranger = Stranger(names)
    executor = make_executor()
    executor.add_node(stranger.node)
    print(HE_LISTENS, end="", flush=True)
    while not over.done():
        executor.spin_until_future_complete(over, timeout_sec=_PAUSE)
        stranger.meddle()
    stranger.heard.save(folder / FILE)
    rclpy.shutdown()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])

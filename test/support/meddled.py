# SPDX-License-Identifier: Apache-2.0
"""A node out of whose own mouth come messages that it doesn't mean, beside those that it means.

EXPO_FT_MEDDLED=module python -m support.meddled ARGUMENTS of the node

In its run's folder it finds mischief.json (`mischief.save`), and keeps there mischief-PROCESS.csv,
a line "topic,kind" each, and replay.npz, what the learner had at its end.
"""

from __future__ import annotations

import copy
import itertools
import os
import runpy
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from expo_ft_ros.graph.node_spec import NodeSpec
from expo_ft_ros.graph.topics import topic
from expo_ft_ros.ros.graph_node import GraphNode
from support import mischief

if TYPE_CHECKING:
    # Ten nodes of eleven are there without torch, which takes seconds.
    from expo_ft_ros.rl.replay_buffer import ReplayBuffer

MODULE = "EXPO_FT_MEDDLED"
COMMANDS, MINE = ("robot/twist_cmd", "robot/gripper_cmd"), "meddled"
STOPS = ("robot/fault", "policy/lost")
"""What is said there holds the arm, whoever says it."""
GAP, EVERY = 0.6, 6
"""Between two on one topic: so long at least in real time [s], and in lock-step, which a machine
goes through at its own pace, one of so many. What a thousand in a short run takes."""
_REPLAY = ("images", "state", "action", "reward", "source", "success")


def meddled(specs: list[NodeSpec]) -> list[NodeSpec]:
    """The graph with such nodes in the place of its own."""
    return [
        replace(spec, module="support.meddled", env={**spec.env, MODULE: spec.module})
        for spec in specs
    ]


def count_of(folder: Path) -> dict[tuple[str, str], int]:
    """(topic, kind) -> how many were said in a run."""
    said: dict[tuple[str, str], int] = {}
    for path in folder.glob("mischief-*.csv"):
        for line in path.read_text().splitlines():
            topic, kind = line.split(",")
            said[topic, kind] = said.get((topic, kind), 0) + 1
    return said


def replay_arrays(replay: ReplayBuffer) -> Mapping[str, np.ndarray]:
    """What is learned from."""
    slots = replay.slots
    return {name: getattr(replay, name)[slots] for name in _REPLAY}


class Meddling:
    """A publisher that says a thing of its own after what it was given.

    In real time a state is never said late: there subscribers go by the order of its one sender.
    """

    def __init__(self, publisher: Any, name: str, node: GraphNode[Any]) -> None:
        self._publisher, self._name = publisher, name
        self._folder = Path(node.parameters.run_dir)
        plan = mischief.load(self._folder / "mischief.json")
        if not node.parameters.lockstep and topic(name).durability == "transient_local":
            plan = [what for what in plan if what.kind != "late"]
        start = sum(f"{node.get_name()} {name}".encode()) % len(plan)
        self._lockstep = node.parameters.lockstep
        self._plan = itertools.cycle(plan[start:] + plan[:start])
        self._heard: deque[Any] = deque(maxlen=mischief.KEPT)
        self._last, self._number = 0.0, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._publisher, name)

    def publish(self, message: Any) -> None:
        """Says it, and now and then something that nobody means."""
        self._publisher.publish(message)
        self._heard.append(message)
        now, number = time.monotonic(), self._number
        self._number += 1
        if number % EVERY if self._lockstep else now - self._last < GAP:
            return
        self._last, what = now, next(self._plan)
        wrong = mischief.made(self._heard, what, self._name)
        if wrong is None:
            return
        if self._name in COMMANDS:
            wrong = copy.deepcopy(wrong)
            wrong.header.frame_id = MINE
        self._publisher.publish(wrong)
        with (self._folder / f"mischief-{os.getpid()}.csv").open("a") as file:
            file.write(f"{self._name},{what.kind}\n")


def _meddle() -> None:
    """Has every publisher of this process meddle, and every learner tell what it had."""
    publisher, close = GraphNode.publisher, GraphNode.close

    def meddling(node: GraphNode[Any], name: str, **more: Any) -> Any:
        made = publisher(node, name, **more)
        # These stop the robot, whether it is meant or not.
        return made if name in STOPS else Meddling(made, name, node)

    def closing(node: GraphNode[Any]) -> None:
        close(node)
        if node.get_name() == "learner":
            folder = Path(node.parameters.run_dir)
            np.savez(folder / "replay.npz", **replay_arrays(node._agent.memory.replay))

    GraphNode.publisher, GraphNode.close = meddling, closing  # type: ignore[method-assign]


if __name__ == "__main__":
    _meddle()
    runpy.run_module(os.environ[MODULE], run_name="__main__", alter_sys=True)

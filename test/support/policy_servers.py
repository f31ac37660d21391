# SPDX-License-Identifier: Apache-2.0
"""Policy servers of a few lines, and what a client of theirs is for."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from websockets.sync.server import ServerConnection, serve

from expo_ft_ros.data.rotation import TOOL_DOWN
from expo_ft_ros.data.types import Observation, Proprio
from expo_ft_ros.robots import load_robot
from expo_ft_ros.serving.config import load_server_config
from expo_ft_ros.serving.server import PolicyServer
from expo_ft_ros.tasks import load_task

TASK, ROBOT, KEYS = load_task("cube_pick"), load_robot("sim"), load_server_config("openpi")
HORIZON = 16
GENTLE = np.full((HORIZON, 7), 0.02, np.float32)

Infer = Callable[[Mapping[str, Any]], Mapping[str, Any]]


def gentle(observation: Mapping[str, Any]) -> dict[str, Any]:
    """A slow motion, whatever is seen."""
    return {"actions": GENTLE}


@contextlib.contextmanager
def serving(
    infer: Infer = gentle, metadata: Mapping[str, Any] | None = None, port: int = 0
) -> Iterator[PolicyServer]:
    server = PolicyServer(infer, metadata or {}, port=port)
    try:
        yield server
    finally:
        server.close()


@contextlib.contextmanager
def other_server(handle: Callable[[ServerConnection], None]) -> Iterator[str]:
    """Somebody else's server; handle: called with each connection."""
    made = serve(handle, "127.0.0.1", 0)
    thread = threading.Thread(target=made.serve_forever)
    thread.start()
    try:
        yield f"ws://127.0.0.1:{made.socket.getsockname()[1]}"
    finally:
        made.shutdown()
        thread.join()


def answering(actions: Any) -> Infer:
    return lambda observation: {"actions": actions}


def observation(number: int = 1, side: int = 224) -> Observation:
    rng = np.random.default_rng(number)
    views = {
        name: rng.integers(0, 255, (side, side, 3), dtype=np.uint8) for name in ROBOT.view_names
    }
    proprio = Proprio(np.array([0.45, 0.1, 0.2]), TOOL_DOWN, 0.05, joints=np.arange(7.0))
    return Observation(number, 0.0, views, proprio, TASK.instruction, 30)


if __name__ == "__main__":
    # As a program, so that a test can kill it: tells its port, then serves until its input ends.
    with serving() as made:
        print(made.address, flush=True)
        sys.stdin.read()

# SPDX-License-Identifier: Apache-2.0
"""A run that collects a demonstration on a robot, and the operator's part in it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from geometry_msgs.msg import Twist

from support.motion import let_move
from support.probe import PATIENCE


def collect(graph: Any, robot: Any, run: Path, **more: Any) -> subprocess.Popen[bytes]:
    """Starts the collection of one demonstration on a robot, in a process.

    Args:
        graph: Whose domain it is in.
        robot: Name or file.
        run: Folder of the run.
        more: Further arguments of the command.
    """
    arguments = {
        "robot": robot,
        "realtime": "true",
        "operator": "spacemouse",
        "scene_reset": "operator",
        "demos": 1,
        "run_dir": run,
        **more,
    }
    words = [f"{name}:={value}" for name, value in arguments.items()]
    runs = graph.folder / "runs"
    let_move(runs, robot, more.get("robot_ip", ""))
    return subprocess.Popen(
        [sys.executable, "-m", "expo_ft_ros.cli", "collect", *words],
        env={
            **os.environ,
            "ROS_DOMAIN_ID": str(graph.domain),
            "EXPO_FT_RUNS": str(runs),
        },
        stdin=subprocess.DEVNULL,
    )


def begin(probe: Any, state: list[Any], timeout: float = 180.0) -> None:
    """Says that the scene is set, once that is asked for; again where the word before was given
    less than a second ago, which is the same one."""
    probe.until(lambda: state and state[-1].state == "resetting", "the scene", timeout=timeout)

    def is_taken() -> bool:
        answer = probe.call("/reset_episode")
        return answer.success and "asked of the operator" not in answer.message

    probe.until(is_taken, "the word")


def push(probe: Any, spacemouse: Any, x: float = 0.0, z: float = 0.0) -> None:
    """A reading of the device, and the time until the next one."""
    reading = Twist()
    reading.linear.x, reading.linear.z = x, z
    spacemouse.publish(reading)
    probe.spin(0.05)


def push_until(
    probe: Any, spacemouse: Any, until: Callable[[], Any], what: str, x: float = 0.0, z: float = 0.0
) -> None:
    """Goes on pushing until the condition holds; fails with `what` when it doesn't in time."""
    end = time.monotonic() + PATIENCE
    while not until():
        assert time.monotonic() < end, what
        push(probe, spacemouse, x, z)


def let_go(probe: Any, spacemouse: Any, x: float = 0.0, z: float = 0.0) -> None:
    """The device's way back to its middle. x, z: where it is let go."""
    for share in (0.4, 0.1, 0.0):
        push(probe, spacemouse, share * x, share * z)


def demonstrate(probe: Any, state: list[Any], spacemouse: Any) -> None:
    """Sets the scene, pushes forward for a while, lets go, and calls it a success."""
    for _ in range(5):
        begin(probe, state)
        # Counted by what was done: where the machine halts somebody, the arm stands meanwhile.
        driven = lambda: state[-1].human_steps >= 20 or state[-1].state == "ended"  # noqa: E731
        push_until(probe, spacemouse, driven, "nobody drives", 0.8)
        let_go(probe, spacemouse, 0.8)
        if probe.call("episode/mark_success").success:
            return
        # Its time was over before that.
        probe.until(lambda: state[-1].state != "running", "its end")
    raise AssertionError("no demonstration could be called a success")

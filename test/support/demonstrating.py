# SPDX-License-Identifier: Apache-2.0
"""A run that collects a demonstration on a robot, and the operator's part in it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from geometry_msgs.msg import Twist


def collect(graph: Any, robot: Any, run: Path) -> subprocess.Popen[bytes]:
    """Starts the collection of one demonstration on a robot, in a process."""
    arguments = {
        "robot": robot,
        "realtime": "true",
        "operator": "spacemouse",
        "scene_reset": "operator",
        "demos": 1,
        "run_dir": run,
    }
    words = [f"{name}:={value}" for name, value in arguments.items()]
    return subprocess.Popen(
        [sys.executable, "-m", "expo_ft_ros.cli", "collect", *words],
        env={**os.environ, "ROS_DOMAIN_ID": str(graph.domain)},
        stdin=subprocess.DEVNULL,
    )


def begin(probe: Any, state: list[Any], timeout: float = 60.0) -> None:
    """Says that the scene is set, once that is asked for."""
    probe.until(lambda: state and state[-1].state == "resetting", "the scene", timeout=timeout)
    assert probe.call("/reset_episode").success


def push(probe: Any, spacemouse: Any, x: float) -> None:
    """A reading of the device, and the time until the next one."""
    reading = Twist()
    reading.linear.x = x
    spacemouse.publish(reading)
    probe.spin(0.05)


def demonstrate(probe: Any, state: list[Any], spacemouse: Any) -> None:
    """Sets the scene, pushes forward for a while, lets go, and calls it a success."""
    begin(probe, state)
    pushed = 0
    while pushed < 40:
        push(probe, spacemouse, 0.8)
        pushed += state[-1].state == "running"
    for x in (0.3, 0.1, 0.0):
        push(probe, spacemouse, x)
    assert probe.call("episode/mark_success").success

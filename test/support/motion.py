# SPDX-License-Identifier: Apache-2.0
"""That somebody has said yes to a robot's first run with motion."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from expo_ft_ros.experiment.motion import MOVED_FILE, target_of
from expo_ft_ros.experiment.options import RunOptions
from expo_ft_ros.robots import load_robot


def let_move(runs: Path, robot: Any, robot_ip: Any = "") -> str:
    """Runs of that folder may move the robot; gives its line."""
    options = RunOptions.model_construct(robot=str(robot), robot_ip=str(robot_ip), namespace="")
    target = target_of(options, load_robot(str(robot)))
    runs.mkdir(parents=True, exist_ok=True)
    with (runs / MOVED_FILE).open("a") as file:
        file.write(f"{target}\n")
    return target

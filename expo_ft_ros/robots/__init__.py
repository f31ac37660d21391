# SPDX-License-Identifier: Apache-2.0
"""Robots: limits, frames, joints, cameras and adapter of each (config/robots/*.yaml)."""

from expo_ft_ros.robots.config import (
    Capabilities,
    Frames,
    RobotConfig,
    RobotLimits,
    ViewConfig,
    Workspace,
)
from expo_ft_ros.robots.registry import DEFAULT_ROBOT, ROBOTS, known_robots, load_robot

__all__ = [
    "DEFAULT_ROBOT",
    "ROBOTS",
    "Capabilities",
    "Frames",
    "RobotConfig",
    "RobotLimits",
    "ViewConfig",
    "Workspace",
    "known_robots",
    "load_robot",
]

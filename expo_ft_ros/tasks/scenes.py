# SPDX-License-Identifier: Apache-2.0
"""The simulated scene of a task."""

from __future__ import annotations

from collections.abc import Sequence

from expo_ft_ros.robots import RobotLimits
from expo_ft_ros.sim.scene import Scene
from expo_ft_ros.sim.world import CAMERAS, World
from expo_ft_ros.tasks.config import TaskConfig
from expo_ft_ros.tasks.registry import load_part


def make_scene(task: TaskConfig) -> Scene:
    """A new scene; raises ConfigError as `load_part`."""
    made: Scene = load_part(task, "scene", "Scene")()
    return made


def make_world(
    task: TaskConfig,
    limits: RobotLimits,
    render_size: int = 224,
    seed: int = 0,
    cameras: Sequence[str] = CAMERAS,
    perturbations: Sequence[str] = (),
) -> World:
    """The simulated cell with the task's scene in it; raises as `make_scene` and `World`."""
    return World(limits, make_scene(task), render_size, seed, cameras, perturbations)

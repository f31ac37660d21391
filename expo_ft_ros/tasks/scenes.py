"""Scenes by name. A new task adds its file and one line here."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from expo_ft_ros.robots import RobotLimits
from expo_ft_ros.sim.scene import Scene
from expo_ft_ros.sim.world import World
from expo_ft_ros.tasks.candy_scoop.scene import CandyScoop
from expo_ft_ros.tasks.cube_pick.scene import CubePick

if TYPE_CHECKING:
    from expo_ft_ros.tasks import TaskConfig

SCENES: dict[str, Callable[[], Scene]] = {
    "candy_scoop": CandyScoop,
    "cube_pick": CubePick,
}


def make_scene(name: str) -> Scene:
    """Returns a new scene; raises ValueError with the known names for another one."""
    if name not in SCENES:
        raise ValueError(f"unknown scene {name!r}; known: {', '.join(sorted(SCENES))}")
    return SCENES[name]()


def make_world(
    task: TaskConfig, limits: RobotLimits, render_size: int = 224, seed: int = 0
) -> World:
    """Returns the simulated cell with the task's scene in it; raises as `make_scene`."""
    return World(limits, make_scene(task.scene), render_size, seed)

"""Scenes by name. A new task adds its file and one line here."""

from __future__ import annotations

from collections.abc import Callable

from expo_ft_ros.sim.scenes.base import Scene
from expo_ft_ros.sim.scenes.candy_scoop import CandyScoop
from expo_ft_ros.sim.scenes.cube_pick import CubePick

SCENES: dict[str, Callable[[], Scene]] = {
    "candy_scoop": CandyScoop,
    "cube_pick": CubePick,
}


def make_scene(name: str) -> Scene:
    """Returns a new scene; raises ValueError with the known names for another one."""
    if name not in SCENES:
        raise ValueError(f"unknown scene {name!r}; known: {', '.join(sorted(SCENES))}")
    return SCENES[name]()

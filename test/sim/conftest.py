"""One task and one world for the tests of a module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from expo_ft_ros.sim.world import World
from expo_ft_ros.tasks import TaskConfig, load_task
from expo_ft_ros.tasks.scenes import make_world


@pytest.fixture(scope="session")
def task() -> TaskConfig:
    return load_task("cube_pick")


@pytest.fixture(scope="module")
def world(task: TaskConfig) -> Iterator[World]:
    made = make_world(task)
    yield made
    made.close()

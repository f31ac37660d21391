"""What holds for all tests, and the fixtures that they share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from expo_ft_ros.experiment.environment import ros_environment
from expo_ft_ros.robots import load_robot
from expo_ft_ros.sim.world import World
from expo_ft_ros.tasks import TaskConfig, load_task
from expo_ft_ros.tasks.scenes import make_world

if TYPE_CHECKING:
    from support.nodes import Graph

# A machine that is busy is no finding; how fast things are is measured in benchmarks/.
settings.register_profile("expo_ft", deadline=None)
settings.load_profile("expo_ft")

# For processes that run a module of `support`.
os.environ["PYTHONPATH"] = os.pathsep.join(
    [str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
)


@pytest.fixture(scope="session", autouse=True)
def _middleware(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A test that speaks for itself does so over the same middleware as the nodes."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ros_environment(tmp_path_factory.mktemp("ros")).items():
            patch.setenv(name, value)
        yield


@pytest.fixture
def graph(tmp_path: Path) -> Iterator[Graph]:
    """Starts nodes, each in a process, in a ROS domain of the test's own."""
    from support.nodes import Graph

    made = Graph(tmp_path)
    yield made
    made.close()


@pytest.fixture(scope="session")
def task() -> TaskConfig:
    """Cube Pick."""
    return load_task("cube_pick")


@pytest.fixture(scope="module")
def world(task: TaskConfig) -> Iterator[World]:
    """One world for the tests of a module."""
    made = make_world(task, load_robot("sim").limits)
    yield made
    made.close()

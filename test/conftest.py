# SPDX-License-Identifier: Apache-2.0
"""What holds for all tests: their marks, their environment, and the fixtures that they share."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if "PYTEST_XDIST_WORKER" in os.environ:
    # Before anything imports torch or NumPy: the others have the other core.
    os.environ["OMP_NUM_THREADS"] = "1"

import pytest
from hypothesis import settings

from expo_ft_ros.experiment.environment import ros_environment
from expo_ft_ros.robots import load_robot
from expo_ft_ros.sim.world import World
from expo_ft_ros.tasks import TaskConfig, load_task
from expo_ft_ros.tasks.scenes import make_world
from support.browser import chromium
from support.domains import own_domain

if TYPE_CHECKING:
    from support.nodes import Graph

# A machine that is busy is no finding; how fast things are is measured in benchmarks/.
settings.register_profile("expo_ft", deadline=None)
settings.load_profile("expo_ft")

# What is drawn in a terminal isn't to depend on that of whoever runs the tests.
os.environ["TERM"] = "xterm-256color"

# For processes that run a module of `support`.
os.environ["PYTHONPATH"] = os.pathsep.join(
    [str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
)

MARKS = {"domain": ("process",), "browser": ("process", "browser")}
"""Fixture -> marks of the tests that use it; other tests bear theirs themselves."""

_without_processes = False


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks tests by their fixtures, and has the slow ones begin: no worker is to end with one."""
    for item in items:
        for fixture, marks in MARKS.items():
            if fixture in item.fixturenames:
                for mark in marks:
                    item.add_marker(mark)
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture(autouse=True)
def _honestly_marked(request: pytest.FixtureRequest) -> Iterator[None]:
    """A test that isn't marked `process` can't start one."""
    global _without_processes
    _without_processes = request.node.get_closest_marker("process") is None
    yield
    _without_processes = False


def _refuse_processes(event: str, given: tuple[Any, ...]) -> None:
    if _without_processes and event == "subprocess.Popen" and sys.executable in given[1]:
        raise RuntimeError("the test starts a process: it is to be marked with pytest.mark.process")


sys.addaudithook(_refuse_processes)


@pytest.fixture(autouse=True)
def _domains_of_its_own(
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """A test that starts no graph has no domain taken by one of another worker's."""
    if request.node.get_closest_marker("process") is None:
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path_factory.getbasetemp()))


@pytest.fixture(scope="session", autouse=True)
def _middleware(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A test that speaks for itself does so over the same middleware as the nodes."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ros_environment(tmp_path_factory.mktemp("ros")).items():
            patch.setenv(name, value)
        yield


@pytest.fixture
def domain() -> Iterator[int]:
    """A ROS domain of the test's own."""
    with own_domain() as number:
        yield number


@pytest.fixture
def graph(tmp_path: Path, domain: int) -> Iterator[Graph]:
    """Starts nodes, each in a process, in that domain."""
    from support.nodes import Graph

    made = Graph(tmp_path, domain)
    yield made
    made.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless Chromium."""
    with chromium() as found:
        yield found


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

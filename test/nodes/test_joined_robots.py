# SPDX-License-Identifier: Apache-2.0
"""Two simulated robots practise for one learner; one of them is killed, and comes back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from expo_ft_ros.data.episode import Episode
from expo_ft_ros.experiment.options import TrainOptions
from expo_ft_ros.experiment.run_folder import first_uncounted, lock_folder, write_config
from expo_ft_ros.recording.episode_store import load_episodes
from expo_ft_ros.tasks import load_task
from support.probe import Probe
from support.tiny_training import least, run

pytestmark = pytest.mark.slow

STEPS = 350
LONGEST = 70


class Robot:
    """`expo-ft robot` in a process of its own, as an operator starts it."""

    def __init__(self, run: Path, name: str, domain: int) -> None:
        self.folder, self._run, self._name = run / "robots" / name, run, name
        self._environment = {**os.environ, "ROS_DOMAIN_ID": str(domain)}
        self._process: subprocess.Popen[bytes] | None = None
        self._parameters = run / "shorter.yaml"
        self._parameters.write_text(
            yaml.safe_dump({"/**": {"ros__parameters": {"max_steps": LONGEST}}})
        )

    def start(self) -> None:
        words = ["robot", f"join:={self._run}", f"name:={self._name}"]
        words.append(f"params_file:={self._parameters}")
        with (self._run / f"{self._name}.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "expo_ft_ros.cli", *words],
                env=self._environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self._process = None

    def end(self, timeout: float) -> int:
        """Its exit code; it is killed where it doesn't end in time."""
        assert self._process is not None
        try:
            return self._process.wait(timeout)
        finally:
            if self._process.poll() is None:
                self.kill()

    @property
    def counted(self) -> list[Episode]:
        return list(load_episodes(self.folder / "episodes", first_uncounted(self.folder)))


def status_of(folder: Path) -> dict:
    path = folder / "status.json"
    return json.loads(path.read_text()) if path.exists() else {}


def lines_of(folder: Path) -> list[dict]:
    path = folder / "metrics.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


class Story:
    """What happens meanwhile: called now and then while the run goes on.

    The run's own robot pauses where it would be through before the other has started.
    """

    def __init__(self, run: Path, left: Robot, probe: Probe) -> None:
        self._run, self._left, self._probe = run, left, probe
        self._acts = [
            self._begins,
            self._own_pauses,
            self._is_killed,
            self._own_goes_on_alone,
            self._is_back,
        ]
        self._online_at_kill = 0
        self.counted_at_kill: list[Episode] = []

    def go_on(self) -> None:
        if self._acts and self._acts[0]():
            print("act", self._acts[0].__name__)
            del self._acts[0]

    @property
    def is_told(self) -> bool:
        return not self._acts

    @property
    def _online(self) -> int:
        return sum(line["stage"] == "rl" for line in lines_of(self._run))

    def _begins(self) -> bool:
        """Before there is anything to practise: it waits."""
        self._left.start()
        return True

    def _own_pauses(self) -> bool:
        return status_of(self._run).get("stage") == "rl" and self._call("episode/pause")

    def _is_killed(self) -> bool:
        """In an episode, when another of its was counted."""
        counted = lines_of(self._left.folder)
        status = status_of(self._left.folder)
        steps = sum(line["steps"] for line in counted)
        if not counted or status["state"] != "running" or status["env_steps"] <= steps:
            return False
        self._left.kill()
        self._online_at_kill, self.counted_at_kill = self._online, self._left.counted
        return self._call("episode/resume")

    def _own_goes_on_alone(self) -> bool:
        if self._online == self._online_at_kill:
            return False
        self._left.start()
        return self._call("episode/pause")

    def _is_back(self) -> bool:
        if len(lines_of(self._left.folder)) <= len(self.counted_at_kill):
            return False
        return self._call("episode/resume")

    def _call(self, service: str) -> bool:
        assert self._probe.call(service).success, service
        return True


def test_a_robot_that_is_killed_leaves_the_run_going_and_comes_back(graph):
    folder = graph.folder
    options = TrainOptions(**least("async", steps=STEPS))
    task = load_task(options.task)
    write_config(folder, "train", options, task, options.budget(task))
    left = Robot(folder, "left", graph.domain)
    story = Story(folder, left, graph.probe)
    with lock_folder(folder):
        done = run(folder, graph.domain, "async", story.go_on, steps=STEPS)
        code = left.end(60.0)
    print((folder / "left.log").read_text())
    print((folder / "logs" / "learner.log").read_text())
    assert done.code == 0, f"{done.cause}\n{done.tail}"
    assert not done.warnings
    assert story.is_told
    assert code == 0
    own = sum(line["steps"] for line in lines_of(folder) if line["stage"] == "rl")
    joined = json.loads((folder / "summary.json").read_text())["env_steps"] - own
    before, of_left = sum(map(len, story.counted_at_kill)), sum(map(len, left.counted))
    # What came last may have come after the stage.
    assert before < joined <= of_left
    assert {episode.robot for episode in left.counted} == {"left"}
    assert list((left.folder / "episodes").glob("*.incomplete*.mcap")), "where it was killed"
    assert {episode.robot for episode in load_episodes(folder / "episodes")} == {""}
    numbers = [line["episode"] for line in lines_of(left.folder)]
    assert numbers == list(range(1, len(numbers) + 1))

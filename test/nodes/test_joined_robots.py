# SPDX-License-Identifier: Apache-2.0
"""Two simulated robots practise for one learner; one of them is killed, and comes back."""

from __future__ import annotations

import json
import os
import signal
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
from support.tiny_training import least, run

pytestmark = pytest.mark.slow

STEPS = 1500
LONGEST = 70


class Robot:
    """`expo-ft robot` in a process of its own, as an operator starts it."""

    def __init__(self, run: Path, name: str, domain: int) -> None:
        self.folder, self._run, self._name = run / "robots" / name, run, name
        self._environment = {**os.environ, "ROS_DOMAIN_ID": str(domain)}
        self._process: subprocess.Popen[bytes] | None = None
        self._parameters = run / "shorter.yaml"
        self._parameters.write_text(yaml.safe_dump({"/**": {"ros__parameters": {"max_steps": 70}}}))

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
    def status(self) -> dict:
        path = self.folder / "status.json"
        return json.loads(path.read_text()) if path.exists() else {}

    @property
    def counted(self) -> list[Episode]:
        return list(load_episodes(self.folder / "episodes", first_uncounted(self.folder)))


def lines_of(folder: Path) -> list[dict]:
    path = folder / "metrics.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


class Story:
    """What happens meanwhile: called now and then while the run goes on."""

    def __init__(self, run: Path, left: Robot) -> None:
        self._run, self._left = run, left
        self._acts = [self._begins, self._practises, self._goes_on_alone, self._is_back]
        self.online_at_kill = self.counted_at_kill = 0

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

    def _practises(self) -> bool:
        """It is killed in an episode, when others of its were counted."""
        status = self._left.status
        on = status.get("state") == "running" and status.get("env_steps", 0) > LONGEST
        if not on or len(lines_of(self._left.folder)) < 2:
            return False
        self._left.kill()
        self.online_at_kill, self.counted_at_kill = self._online, len(self._left.counted)
        return True

    def _goes_on_alone(self) -> bool:
        """The run's own robot does, before it comes back."""
        if self._online < self.online_at_kill + 2:
            return False
        self._left.start()
        return True

    def _is_back(self) -> bool:
        return len(lines_of(self._left.folder)) > self.counted_at_kill + 1


def test_a_robot_that_is_killed_leaves_the_run_going_and_comes_back(graph):
    folder = graph.folder
    options = TrainOptions(**least("async", steps=STEPS))
    task = load_task(options.task)
    write_config(folder, "train", options, task, options.budget(task))
    left = Robot(folder, "left", graph.domain)
    story = Story(folder, left)
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
    of_left = [len(episode) for episode in left.counted]
    summary = json.loads((folder / "summary.json").read_text())
    # What came last may have come after the stage.
    assert sum(of_left[:-2]) <= summary["env_steps"] - own <= sum(of_left)
    assert {episode.robot for episode in left.counted} == {"left"}
    assert {episode.robot for episode in load_episodes(folder / "episodes")} == {""}
    numbers = [line["episode"] for line in lines_of(left.folder)]
    assert numbers == list(range(1, len(numbers) + 1))

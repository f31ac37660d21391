# SPDX-License-Identifier: Apache-2.0
"""A tiny training whose nodes say what they don't mean (`meddled.py`), and what must hold of it.

python -m support.meddled_training FOLDER ROS_DOMAIN_ID realtime|lockstep
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from expo_ft_ros.bringup.runner import Runner
from expo_ft_ros.data.episode import Episode
from expo_ft_ros.experiment.environment import ros_environment
from expo_ft_ros.experiment.run_folder import first_uncounted
from expo_ft_ros.graph.topics import ROBOT, topics_of
from expo_ft_ros.recording.episode_store import load_episodes
from expo_ft_ros.recording.messages import twist_array
from expo_ft_ros.rl.replay_buffer import ReplayBuffer
from expo_ft_ros.robots import DEFAULT_ROBOT, load_robot
from expo_ft_ros.ros.frames import HAS_TF
from support import mischief
from support.meddled import STOPS, count_of, meddled, replay_arrays
from support.tiny_training import specs

ROBOT_CONFIG = load_robot("sim")
LIMITS = ROBOT_CONFIG.limits

ROOT = Path(__file__).parents[2]
NODES = {name for spec in specs(ROOT, "sync") for name in spec.node_names} | {ROBOT}
SPOKEN_ON = [
    name
    for name, t in topics_of(ROBOT_CONFIG.view_names).items()
    if (NODES & {*t.publishers} or t.publishers == ("every",))
    and name not in STOPS
    # Said once; with motion on never; in sync mode never.
    and name not in ("robot/motion", "shadow/twist_cmd", "shadow/gripper_cmd", "robots/present")
    and (HAS_TF or name not in ("/tf", "/tf_static"))
]
LEAST = 1000


class MeddledTraining:
    """A run of it, in a process of its own."""

    def __init__(self, folder: Path, domain: int, *, realtime: bool) -> None:
        self.folder = folder
        plan = mischief.drawn(mischief.mischief(*mischief.COPIES), 500)
        mischief.save(plan, folder / "mischief.json")
        words = [str(folder), str(domain), "realtime" if realtime else "lockstep"]
        self._output = folder / "output.log"
        with self._output.open("wb") as file:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "support.meddled_training", *words],
                cwd=ROOT,
                stdout=file,
                stderr=file,
            )

    def until_its_end(self, meanwhile: Callable[[], None], patience: float) -> None:
        """Calls `meanwhile` again and again; the run must end well."""
        end = time.monotonic() + patience
        try:
            while self._process.poll() is None and time.monotonic() < end:
                meanwhile()
        finally:
            if self._process.poll() is None:
                self._process.terminate()
            code = self._process.wait(60)
        output = self._output.read_text()
        assert code == 0, output[-3000:]
        # Nobody has died of it, the monitor included, whose end would end nothing.
        assert "ended early" not in output, output[-3000:]

    def said(self) -> dict[tuple[str, str], int]:
        """(topic, kind) -> how many were said by nodes; a thousand or more."""
        said = count_of(self.folder)
        assert sum(said.values()) >= LEAST, said
        return said

    def episodes(self) -> dict[int, Episode]:
        """Number -> what is recorded; all that counts is there, whole and sound."""
        text = (self.folder / "metrics.jsonl").read_text()
        counted = [x for line in text.splitlines() if not (x := json.loads(line))["discarded"]]
        before = first_uncounted(self.folder)
        episodes = {
            episode.outcome.episode: episode
            for episode in load_episodes(self.folder / "episodes", before)
        }
        assert list(episodes) == [line["episode"] for line in counted]
        for line in counted:
            episode = episodes[line["episode"]]
            assert 0 < len(episode) <= episode.outcome.steps == line["steps"]
            assert episode.outcome.success == line["success"]
            for values in (episode.state, episode.executed, episode.reward):
                assert np.isfinite(values).all()
            assert np.abs(episode.executed).max() <= 1
            assert not episode.reward[:-1].any()
        return episodes

    def replay_is_what_is_recorded(self) -> None:
        """What the learner had at its end is what a restart would rebuild."""
        learned = np.load(self.folder / "replay.npz")
        replay = ReplayBuffer(
            len(learned["state"]) + 1,
            learned["images"].shape[-1],
            load_robot(DEFAULT_ROBOT).view_names,
            gamma=1.0,
        )
        for episode in self.episodes().values():
            if episode.outcome.stage in ("collect", "rl"):
                replay.add(episode)
        rebuilt = replay_arrays(replay)
        assert len(rebuilt["state"]) > 0
        for name, values in rebuilt.items():
            np.testing.assert_array_equal(learned[name], values, err_msg=name)


def within_limits(twists: list[Any], grippers: list[Any]) -> None:
    """Of commands: finite, and none faster than the task allows."""
    scale = LIMITS.scale()
    for twist in twists:
        assert (np.abs(twist_array(twist.twist)) <= scale[:6] + 1e-6).all(), twist
    for gripper in grippers:
        assert abs(gripper.velocity[0]) <= scale[6] + 1e-6, gripper
    assert twists
    assert grippers


if __name__ == "__main__":
    folder, domain, how = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    if how == "realtime":
        # Who is held for a while needs longer for a demonstration.
        graph = [
            replace(spec, parameters={**spec.parameters, "max_steps": 120})
            for spec in specs(folder, "sync", realtime=True, demos=1, steps=30)
        ]
    else:
        graph = [
            replace(spec, parameters={**spec.parameters, "console_port": 0})
            if spec.name == "monitor"
            else spec
            for spec in specs(folder, "sync", demos=1, steps=80, console=True)
        ]
    result = Runner(
        meddled(graph),
        folder,
        env={**ros_environment(folder), "ROS_DOMAIN_ID": domain},
    ).run()
    print(result.cause, result.tail, *result.warnings, sep="\n", file=sys.stderr)
    sys.exit(result.code)

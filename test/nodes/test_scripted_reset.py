"""The arm resets the scene by itself, in real time: what it has lifted is put down elsewhere."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from expo_ft_ros.control.episode import SAME_WORD
from expo_ft_ros.control.safety import SafetyConfig
from expo_ft_ros.data.episode_store import load_episodes
from expo_ft_ros.data.messages import nanoseconds
from expo_ft_ros.tasks import load_task

TASK = load_task("cube_pick")


@pytest.mark.timeout(240)
def test_between_episodes_the_arm_puts_down_what_it_lifted_and_goes_to_a_new_start(graph):
    run = graph.folder / "run"
    words = ["scene_reset:=scripted", "realtime:=true", "demos:=2", "seed:=1", f"run_dir:={run}"]
    process = subprocess.Popen(
        [sys.executable, "-m", "expo_ft_ros.cli", "collect", *words],
        env={**os.environ, "ROS_DOMAIN_ID": str(graph.domain)},
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        resets = follow(graph.probe, process)
    finally:
        process.terminate()
        process.wait(30)
    assert process.returncode == 0
    episodes = list(load_episodes(run / "episodes", image_size=8))
    assert sum(e.outcome.success for e in episodes) == 2
    won = next(e.outcome.episode for e in episodes if e.outcome.success)
    assert len(resets[won + 1]) > 10, "after a success something is to be put down"
    limit = np.concatenate(
        [
            [SafetyConfig.load().linear_acceleration] * 3,
            [SafetyConfig.load().angular_acceleration] * 3,
        ]
    )
    for number, commands in resets.items():
        twists = np.array(commands)
        assert np.abs(twists).max() <= TASK.reset_script[0].speed * TASK.limits.scale().max() + 1e-6
        # A stop may be sharper.
        change = np.abs(np.diff(twists, axis=0))[twists[1:].any(axis=1)]
        assert (change <= limit * TASK.period + 1e-6).all(), f"episode {number}"


def follow(probe, process) -> dict[int, list[list[float]]]:
    """To the end of the run; the commands that were sent while each episode's scene was reset."""
    states, truths = probe.gather("episode/state"), probe.gather("sim/state")
    resets: dict[int, list[list[float]]] = {}

    def note(message) -> None:
        if states and states[-1].state == "resetting" and not states[-1].asked:
            linear, angular = message.twist.linear, message.twist.angular
            twist = [linear.x, linear.y, linear.z, angular.x, angular.y, angular.z]
            resets.setdefault(states[-1].episode, []).append(twist)

    probe.on("robot/twist_cmd", note)
    probe.until(lambda: states and states[-1].state == "resetting", "the reset", timeout=60)
    assert states[-1].asked == "look at the scene: the run starts"
    before = nanoseconds(states[-1].header.stamp)
    probe.spin(SAME_WORD)
    assert not resets, "nothing moves before a person has looked"
    assert probe.call("/reset_episode").success
    probe.until(lambda: process.poll() is not None, "the run's end", timeout=150)
    assert nanoseconds(states[-1].header.stamp) > before
    # The scene is what the arm has made of it: nobody put anything in place.
    assert {message.resets for message in truths} == {1}
    return resets

# SPDX-License-Identifier: Apache-2.0
"""The arm resets the scene by itself, in real time: what it has lifted is put down elsewhere."""

from __future__ import annotations

import os
import subprocess
import sys
from bisect import bisect_right

import numpy as np
import pytest

from expo_ft_ros.control.episode_machine import DEBOUNCE
from expo_ft_ros.control.safety_filter import SafetyConfig
from expo_ft_ros.recording.episode_store import load_episodes
from expo_ft_ros.recording.messages import nanoseconds, twist_array
from expo_ft_ros.robots import load_robot
from expo_ft_ros.tasks import load_task

pytestmark = [pytest.mark.realtime, pytest.mark.slow]

LIMITS = load_robot("sim").limits

TASK, SAFETY = load_task("cube_pick"), SafetyConfig.load()


@pytest.mark.timeout(700)
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
        resets, heights = follow(graph.probe, process)
    finally:
        process.terminate()
        process.wait(90)
    assert process.returncode == 0
    episodes = list(load_episodes(run / "episodes", image_size=8))
    assert sum(e.outcome.success for e in episodes) == 2
    speed = LIMITS.scale()[:6] * max(point.speed for point in TASK.reset_script)
    acceleration = np.repeat([SAFETY.linear_acceleration, SAFETY.angular_acceleration], 3)
    for number, commands in resets.items():
        twists = np.array(commands)
        assert twists.any(), f"episode {number}"
        assert (np.abs(twists) <= speed + 1e-6).all(), f"episode {number}"
        # A stop may be sharper.
        change = np.abs(np.diff(twists, axis=0))[twists[1:].any(axis=1)]
        assert (change <= acceleration * TASK.period + 1e-6).all(), f"episode {number}"
    won = next(e.outcome.episode for e in episodes if e.outcome.success)
    lifted, low = heights[won], heights[won + 1]
    assert lifted[-1] > 0.06
    assert min(low) < 0.03, "what it had lifted it has put down"
    falls = -np.diff([*lifted[-1:], *low])
    assert falls.max() < 0.04, "and not let fall"


def follow(probe, process) -> tuple[dict[int, list[list[float]]], dict[int, list[float]]]:
    """To the end of the run; the commands that were sent while each episode's scene was reset, and
    how high the cube was in each episode, its reset included [m]."""
    states, truths = probe.gather("episode/state"), probe.gather("sim/state")
    commands = probe.gather("robot/twist_cmd")
    probe.until(lambda: states and states[-1].state == "resetting", "the reset", timeout=180)
    assert states[-1].asked == "look at the scene: the run starts"
    probe.spin(DEBOUNCE)
    moving = [message for message in commands if twist_array(message.twist).any()]
    assert not moving, "nothing moves before the operator has looked"
    assert probe.call("/reset_episode").success
    probe.until(lambda: process.poll() is not None, "the run's end", timeout=400)
    # By their stamps: each topic is heard for itself.
    since = [nanoseconds(state.header.stamp) for state in states]

    def at(message):
        """The state at the time of a message; None before the first."""
        place = bisect_right(since, nanoseconds(message.header.stamp)) - 1
        return states[place] if place >= 0 else None

    resets: dict[int, list[list[float]]] = {}
    heights: dict[int, list[float]] = {}
    for message in commands:
        state = at(message)
        if state is not None and state.state == "resetting" and not state.asked:
            resets.setdefault(state.episode, []).append(twist_array(message.twist).tolist())
    for message in truths:
        state = at(message)
        if state is not None:
            height = message.poses[message.names.index("cube")].position.z
            heights.setdefault(state.episode, []).append(height)
    # The scene is what the arm has made of it: nobody put anything in place.
    assert {message.resets for message in truths} == {1}
    return resets, heights

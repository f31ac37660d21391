# SPDX-License-Identifier: Apache-2.0
"""The scripted operator in real time: how his hand lets go."""

from __future__ import annotations

import time

import numpy as np
from expo_ft_ros.msg import EpisodeState, Proprio, SessionPlan, SimState
from geometry_msgs.msg import Pose

from expo_ft_ros.devices.teleop import TeleopConfig
from expo_ft_ros.recording.messages import twist_array
from expo_ft_ros.ros.messages import header_of


def test_an_episodes_end_is_no_fall_to_zero_which_would_be_a_lost_device(graph):
    probe = graph.probe
    spoken_on = ("session/plan", "episode/state", "proprio", "sim/state", "step")
    out = {name: probe.publisher(name) for name in spoken_on}
    probe.gather("spacenav/joy")
    heard: list[tuple[float, bool]] = []

    def hear(message, info) -> None:
        """With the time at which it was sent [s]: this process may hear of it late."""
        heard.append((1e-9 * info["source_timestamp"], bool(twist_array(message).any())))

    probe.on("spacenav/twist", hear)
    graph.start("operator", operator_rate=1.0)
    probe.ready("operator")
    probe.matched()

    def say(name: str, message) -> None:
        message.header = header_of(time.time_ns(), "base")
        out[name].publish(message)

    def look() -> None:
        """What he sees at this moment: the cube aside of the tool."""
        proprio = Proprio(gripper_width=0.08, joint_positions=[0.0] * 7)
        proprio.pose.position.x, proprio.pose.position.z = 0.45, 0.25
        proprio.pose.orientation.x, proprio.pose.orientation.w = 1.0, 0.0
        say("proprio", proprio)
        cube = Pose()
        cube.position.x, cube.position.y, cube.position.z = 0.5, 0.1, 0.02
        say("sim/state", SimState(names=["cube"], poses=[cube]))

    for episode in range(1, 6):
        plan = {"policy": "none", "operator_mode": "demonstrate", "max_steps": 100}
        say("session/plan", SessionPlan(stage="collect", episode=episode, seed=1, **plan))
        say("episode/state", EpisodeState(episode=episode, state="running"))
        pushes = len(heard)
        while not any(pushed for _, pushed in heard[pushes:]):
            look()
            probe.spin(0.1)
        look()
        known = len(heard)
        probe.until(lambda: len(heard) > known, "a push")  # noqa: B023
        say("episode/state", EpisodeState(episode=episode, state="ended"))
        probe.spin(0.1)
        look()
        probe.until(lambda: not heard[-1][1], "letting go")
    times = np.array([at for at, _ in heard])
    falls = [
        after - before
        for before, after, (_, pushed), (_, still) in zip(
            times, times[1:], heard, heard[1:], strict=False
        )
        if pushed and not still
    ]
    assert len(falls) >= 5
    assert min(falls) > TeleopConfig.load().spring_back

# SPDX-License-Identifier: Apache-2.0
"""The doctor and the drivers of a robot, over DDS."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytest.importorskip("rclpy", reason="ROS 2's rclpy is not installed")

from support.controllers import UR5E, Controlled
from support.foreign_interfaces import environment_with, foreign_interfaces

pytestmark = [pytest.mark.process, pytest.mark.slow, pytest.mark.timeout(400)]


def examine(domain: int, robot: str) -> str:
    """The report, by the command."""
    words = [sys.executable, "-m", "expo_ft_ros.cli", "doctor", f"robot:={robot}", "seconds:=3"]
    environment = {**os.environ, "ROS_DOMAIN_ID": str(domain)}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert not done.stderr, done.stderr
    return done.stdout


@pytest.mark.parametrize("kind", ["crisp", "franka_ros2", "servo", UR5E])
def test_the_drivers_of_a_robot_are_examined(graph, monkeypatch, kind):
    for name, value in environment_with(foreign_interfaces()).items():
        monkeypatch.setenv(name, value)
    it = Controlled(graph, kind, alone=False)
    said = examine(graph.domain, kind)
    config = it.robot.controller
    for topic in filter(None, (getattr(config, "pose", ""), config.joints)):
        (line,) = [line for line in said.splitlines() if f"  {topic}: " in line]
        assert " Hz, " in line
        assert " ms old" in line
    target = it.robot.controller.target
    assert f"ok       controller  {target}: listened to, nobody else commands" in said
    assert said.count("ok       action") == {"crisp": 2, "franka_ros2": 3}.get(kind, 1)
    # It looks, and says nothing itself: nothing has come to the controller, or to the gripper.
    it.probe.until(lambda: "goals" in it.heard, "the peer's word")
    assert not it.targets
    assert not it.heard["goals"]
    if kind != "crisp":
        return
    it.do("silent")
    said = examine(graph.domain, kind)
    assert f"{it.robot.controller.pose}: 0 messages came" in said
    assert "Not ready: " in said


def test_where_nobody_is_there_it_says_what_to_start(domain):
    said = examine(domain, "external")
    assert "discovery  " in said
    assert "start the drivers, in this domain" in said
    assert "joint_states: nobody publishes it" in said

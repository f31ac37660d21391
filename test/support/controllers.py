# SPDX-License-Identifier: Apache-2.0
"""An adapter, its controller's peer, and the test's own end of both."""

from __future__ import annotations

import importlib.util
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from geometry_msgs.msg import PoseStamped, TwistStamped
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray, String

from expo_ft_ros.recording.messages import nanoseconds, twist_array
from expo_ft_ros.robots import load_robot
from expo_ft_ros.robots.joint_group_config import VELOCITY_GUARD
from expo_ft_ros.ros.messages import header_of
from support import commander
from support.domains import own_domain
from support.nodes import Graph
from support.peer_topics import DO, HEARD, TOOL
from support.probe import PATIENCE

PEER_MODULE = "support.controller_peers"
KINDS = ("crisp", "franka_ros2", "servo")
UR5E = pytest.param(
    "ur5e",
    marks=pytest.mark.skipif(
        importlib.util.find_spec("pinocchio") is None,
        reason="Pinocchio is not installed (requirements/dev.lock)",
    ),
)
ROOM = 500
"""Messages that wait while this process is halted."""


@dataclass(frozen=True)
class JointTarget:
    """What a controller of joints was sent, and when [ns]: the message has no stamp."""

    numbers: tuple[float, ...]
    stamp_ns: int


@contextmanager
def following(kind: str, folder: Path) -> Iterator[Controlled]:
    """An adapter of that kind that follows commands, in a graph and a domain of its own."""
    with own_domain() as domain:
        graph = Graph(folder, domain)
        try:
            it = Controlled(graph, kind)
            it.take_command()
            yield it
        finally:
            graph.close()


class Controlled:
    """A running adapter of a shipped robot, before its peer."""

    def __init__(self, graph: Any, kind: str, *, wanders: bool = False, alone: bool = True) -> None:
        """wanders: the arm moves by itself; alone: there is no graph that starts the adapter."""
        self.graph, self.probe, self.kind = graph, graph.probe, kind
        self.robot = load_robot(kind)
        node = self.probe.node
        self.words = node.create_publisher(String, DO, 10)
        self.heard: dict[str, Any] = {}
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        node.create_subscription(
            String, HEARD, lambda m: self.heard.update(json.loads(m.data)), latched
        )
        self.tools: list[Any] = []
        node.create_subscription(PoseStamped, TOOL, self.tools.append, ROOM)
        self.targets: list[Any] = []
        target, joints = self.robot.controller.target, self.robot.joint_group
        if joints is None:
            self.target_type: Any = TwistStamped if kind == "servo" else PoseStamped
            node.create_subscription(self.target_type, target, self.targets.append, ROOM)
        else:
            self.target_type = Float64MultiArray
            node.create_subscription(self.target_type, target, self._on_joints, ROOM)
        self.poses = self.probe.gather("robot/tcp_pose", reliable=False)
        self.twists = self.probe.gather("robot/tcp_twist", reliable=False)
        self.joints = self.probe.gather("joint_states", reliable=False)
        self.faults = self.probe.gather("robot/fault")
        self.health = self.probe.gather("/diagnostics")
        self.ready = self.probe.gather("nodes/ready")
        self.peer = graph.start("peer", module=PEER_MODULE, kind=kind)
        self.probe.until(lambda: self.tools, "the peer", timeout=60.0)
        self.probe.until(lambda: self.words.get_subscription_count(), "the peer's ear")
        if wanders:
            self.do("wander")
        if alone:
            self.adapter = graph.start("robot", module=self.robot.adapter, robot=kind)
            if joints is not None and joints.needs_guard:
                self.guard = graph.start(VELOCITY_GUARD, robot=kind)
        self.twist = self.gripper = None

    def _on_joints(self, message: Any, info: Any) -> None:
        stamp_ns = int(info["source_timestamp"])
        self.targets.append(JointTarget(tuple(message.data), stamp_ns))

    @staticmethod
    def stamp(target: Any) -> int:
        """When a target was sent [ns]."""
        return target.stamp_ns if hasattr(target, "stamp_ns") else nanoseconds(target.header.stamp)

    @property
    def takes_velocities(self) -> bool:
        """Whether a target is a velocity, which zeros end."""
        return self.kind == "servo" or self.robot.joint_group is not None

    @staticmethod
    def is_zero(target: Any) -> bool:
        """Whether a velocity is one of zeros."""
        return not any(getattr(target, "numbers", ())) and not (
            hasattr(target, "twist") and twist_array(target.twist).any()
        )

    def take_command(self) -> None:
        """The test itself is the graph's side, and waits until the adapter is ready."""
        self.twist = self.probe.publisher("robot/twist_cmd")
        self.gripper = self.probe.publisher("robot/gripper_cmd")
        self.until_ready()
        self.probe.matched()

    def until_ready(self) -> None:
        self.probe.until(lambda: [m for m in self.ready if m.data == "robot"], "the adapter")

    def start_commander(self, x: float = 0.08) -> Any:
        """A process that commands; waits until the arm moves."""
        node = self.graph.start(
            "commander", module=commander.__name__, frame=self.robot.frames.base, x=x
        )
        self.until_ready()
        start = self.x
        self.probe.until(lambda: self.x > start + 0.02, "the arm's motion")
        return node

    def do(self, words: str) -> None:
        """Returns once the peer has done so."""
        before = self.heard.get("words", 0)
        self.words.publish(String(data=words))
        self.probe.until(lambda: self.heard.get("words", 0) > before, f"peer: {words}")

    def begin_anew(self) -> None:
        """Brings peer and adapter back to where they follow, whatever a test before has left."""
        self.do("speak")
        self.do(f"frame {self.robot.frames.base}")
        self.do("cancel_quickly")
        if self.kind == "servo":
            self.do("free")
        if self.kind == "franka_ros2":
            self.do("recoverable")
            self.do("go")
        self.probe.until(lambda: not (self.faults and self.faults[-1].data), "no fault")
        if self.robot.joint_group is not None:
            self.do("as_loaded")
            self.do("described")
            self.do("home")
        self.move()
        self.drive(self.is_open, "the open hand", grip=0.12)
        self.health.clear()

    @property
    def opening(self) -> float:
        """Of the gripper, as the graph is told [m]."""
        return sum(self.joints[-1].position[len(self.robot.joints) :])

    def is_open(self) -> bool:
        return self.opening > 0.97 * self.robot.limits.gripper_max_width

    def is_closing(self) -> bool:
        return self.opening < 0.875 * self.robot.limits.gripper_max_width

    @property
    def x(self) -> float:
        """Where the tool really is."""
        return float(self.tools[-1].pose.position.x)

    def command(self, x: float = 0.0, *, grip: float = 0.0) -> None:
        header = header_of(time.time_ns(), self.robot.frames.base)
        self.gripper.publish(JointState(header=header, name=["gripper"], velocity=[grip]))
        message = TwistStamped(header=header)
        message.twist.linear.x = x
        self.twist.publish(message)

    def drive(self, until: Any, what: str, x: float = 0.0, grip: float = 0.0) -> None:
        """Commands at the control rate until the condition holds."""
        end = time.monotonic() + PATIENCE
        while not until():
            if time.monotonic() > end:
                raise AssertionError(f"{what} did not come")
            self.command(x, grip=grip)
            self.probe.spin(0.1)

    def move(self, distance: float = 0.02) -> None:
        """Drives along x, away from the nearer face of the workspace."""
        start = self.x
        sign = 1.0 if start < 0.6 else -1.0
        self.drive(lambda: sign * (self.x - start) > distance, "its motion", x=sign * 0.08)

    def insist(self, x: float = 0.08) -> None:
        """Commands a motion for half a second."""
        for _ in range(5):
            self.command(x)
            self.probe.spin(0.1)

    def rest(self) -> float:
        """Where the tool is once its lag is over: for a while of its own time it has stood."""
        self.probe.spin(0.3)
        seen = len(self.tools)

        def stands() -> bool:
            new = self.tools[seen:][-10:]
            return len(new) == 10 and float(np.ptp([m.pose.position.x for m in new])) < 2e-5

        self.probe.until(stands, "the tool's rest")
        return self.x

    def x_at(self, time_ns: int) -> float:
        """Where the tool was then."""
        before = [m for m in self.tools if nanoseconds(m.header.stamp) <= time_ns]
        return float(before[-1].pose.position.x)

    def largest_gap(self, since_ns: int) -> float:
        """The longest that the adapter was late by, by the stamps of its targets [s]."""
        stamps = np.array([self.stamp(m) for m in self.targets])
        return 1e-9 * float(np.diff(stamps[stamps > since_ns - 200_000_000]).max(initial=0))

    def stalls(self) -> int:
        """How often it has reported that no command came."""
        said = [status.message for m in self.health for status in m.status]
        return sum("no command: the arm stands" in words for words in said)

    def told(self, words: str) -> bool:
        return any(words in status.message for m in self.health for status in m.status)

    def hears(self, words: str) -> None:
        self.health.clear()
        self.probe.until(lambda: self.told(words), words)

    def moves_last(self) -> int:
        """When the last target that moves was sent [ns]: of poses, the last that differs from the
        one before; of twists, the last that isn't zero."""
        if self.takes_velocities:
            return self.stamp([m for m in self.targets if not self.is_zero(m)][-1])
        places = np.array(
            [[getattr(m.pose.position, axis) for axis in "xyz"] for m in self.targets]
        )
        changed = np.flatnonzero(np.abs(np.diff(places, axis=0)).max(axis=1) > 1e-9)
        return nanoseconds(self.targets[changed[-1] + 1].header.stamp)

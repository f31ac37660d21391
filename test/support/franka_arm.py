# SPDX-License-Identifier: Apache-2.0
"""The graph's side of the Franka adapter, before the server of `franka_sim`."""

from __future__ import annotations

import time

import numpy as np
from geometry_msgs.msg import TwistStamped
from sensor_msgs.msg import JointState

from expo_ft_ros.configuration import config_dir
from expo_ft_ros.ros.messages import header_of
from support.franka_sim import ADDRESS
from support.processes import processes_naming

LATE = (
    "hasn't changed for",
    "is stamped",
    "communication_constraints_violation",
    "joint_acceleration_discontinuity",
)
"""Of a fault that a busy machine may cause: the arm's process got no time. The last two are the
arm's own words, once the process goes on. That a discontinuity comes of nothing else isn't shown:
the ten thousand cycles allow none."""


class Arm:
    """The graph's side of the adapter, and the processes behind it."""

    def __init__(self, graph, *, alone=True):
        """alone: the test starts the adapter and commands it; else the graph does."""
        self.graph, self.probe = graph, graph.probe
        text = (config_dir() / "robots" / "franka_fci.yaml").read_text()
        text = text.replace("realtime: required", "realtime: if allowed")
        text = text.replace("high: [0.75, 0.50, 0.70]", "high: [0.75, 0.50, 0.80]")
        self.file = graph.folder / "robots" / "franka_fci.yaml"
        self.file.parent.mkdir()
        self.file.write_text(text)
        self.poses = self.probe.gather("robot/tcp_pose", reliable=False)
        self.twists = self.probe.gather("robot/tcp_twist", reliable=False)
        self.joints = self.probe.gather("joint_states", reliable=False)
        self.faults = self.probe.gather("robot/fault")
        self.health = self.probe.gather("/diagnostics")
        if alone:
            self.twist = self.probe.publisher("robot/twist_cmd")
            self.gripper = self.probe.publisher("robot/gripper_cmd")
            self.start()

    def start(self):
        self.node = self.graph.start("franka_fci", robot=str(self.file), robot_ip=ADDRESS)
        self.probe.ready("franka_fci")
        self.probe.matched()
        self.fresh_state()

    def fresh_state(self):
        seen = len(self.poses)
        self.probe.until(lambda: len(self.poses) > seen + 5, "the arm's state")

    @property
    def position(self):
        place = self.poses[-1].pose.position
        return np.array([place.x, place.y, place.z])

    @property
    def speed(self):
        """Of the tool [m/s]. (The server's last joint trembles, so its rotation tells nothing.)"""
        linear = self.twists[-1].twist.linear
        return float(np.linalg.norm([linear.x, linear.y, linear.z]))

    @property
    def fault(self):
        return self.faults[-1].data if self.faults else ""

    @property
    def width(self):
        return sum(self.joints[-1].position[7:])

    def process(self, module):
        (pid,) = processes_naming(f"-m expo_ft_ros.fci.{module} {self.file}")
        return pid

    def processes(self):
        """Those of arm and hand."""
        return processes_naming(f"_process {self.file}")

    def command(self, twist=(0.0,) * 6, grip=0.0):
        header = header_of(time.time_ns(), "base")
        self.gripper.publish(JointState(header=header, name=["gripper"], velocity=[float(grip)]))
        message = TwistStamped(header=header)
        v = [float(x) for x in twist]
        message.twist.linear.x, message.twist.linear.y, message.twist.linear.z = v[:3]
        message.twist.angular.x, message.twist.angular.y, message.twist.angular.z = v[3:]
        self.twist.publish(message)

    def drive(self, until, what, twist=(0.0,) * 6, grip=0.0, timeout=40.0, faults=False):
        """Commands at the control rate until the condition holds.

        faults: whether a fault is what it waits for; else a late one is recovered.
        """
        end = time.monotonic() + timeout
        while not until():
            if not faults:
                self.recovers_from_lateness()
            assert time.monotonic() < end, f"{what} (fault: {self.fault!r})"
            self.command(twist, grip)
            self.probe.spin(0.1)

    def stands(self):
        self.probe.until(lambda: self.speed < 0.005, "rest", timeout=20.0)

    def recovers(self, most=3):
        """As an operator does, who confirms each fault that comes up; the faults."""
        seen = []
        while self.fault:
            assert len(seen) < most, seen
            seen.append(self.fault)
            # It is refused while a recovery is under way, which may end it meanwhile.
            asked = lambda: not self.fault or self.probe.call("robot/recover").success  # noqa: E731
            self.probe.until(asked, f"a recovery of {seen}")
            self.probe.until(lambda: self.fault != seen[-1], f"the end of {seen}")
        self.fresh_state()
        return seen

    def is_late(self):
        """Whether the fault is that the arm's process gets no time, or is frozen."""
        return any(word in self.fault for word in LATE)

    def recovers_from_lateness(self):
        """Whether this machine was too busy for a while; any other fault fails the test."""
        if not self.fault:
            return False
        assert self.is_late(), self.fault
        self.recovers()
        return True

    def figures(self):
        """What the adapter has said last of its loop."""
        told = [{v.key: v.value for v in s.values} for m in self.health for s in m.status]
        return next((values for values in reversed(told) if "cycles" in values), {})

    def cycles(self):
        """Control cycles, states that came late, and the longest of ours [ms]."""
        self.probe.until(self.figures, "the loop's figures")
        values = self.figures()
        return int(values["cycles"]), int(values["missed"]), float(values["slowest_ms"])

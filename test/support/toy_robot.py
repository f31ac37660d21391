# SPDX-License-Identifier: Apache-2.0
"""A robot that nobody has built, and its adapter: what a package of one's own would hold.

python -m support.toy_robot --ros-args -p robot:=PATH
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from geometry_msgs.msg import Twist
from sensor_msgs.msg import Image
from std_msgs.msg import Float64

from expo_ft_ros.data.rotation import TOOL_DOWN
from expo_ft_ros.data.types import Proprio
from expo_ft_ros.robots.gripper import GripperGoal
from expo_ft_ros.robots.twist_follower import Target
from expo_ft_ros.ros.graph_node import parameter
from expo_ft_ros.ros.messages import array_to_image, header_of, twist_of
from expo_ft_ros.ros.process import main as run_nodes
from expo_ft_ros.ros.robot_adapter import AdapterParameters, PoseAdapter

FILE = """\
name: toy
adapter: external
node: toy_adapter
frames: {base: toy_base, tool: toy_tool}
joints: [turn, lift, reach]
fingers: [jaw]
home: [0.0, 0.2, 0.45]
limits:
  linear_velocity: 0.2
  angular_velocity: 0.8
  gripper_velocity: 0.1
  gripper_max_width: 0.06
workspace: {low: [0.25, -0.4, 0.0], high: [0.7, 0.4, 0.5]}
state_rate: 100
views:
  - {name: front, topic: /toy/front/image_raw, frame: front_optical, rate: 20}
"""
TRUTH = "/toy/x"
"""Where the tool really is along x [m], whatever its driver says."""

HAND = "/toy/hand"
"""Where somebody's hand brings the tool along x, once [m]."""

TARGET_SPEED = "/toy/target_speed"
"""The velocity of each target that the controller was given."""

START = np.array([0.45, 0.0, 0.2])
JAW_SPEED = 0.1
FOLLOWS = 0.3
"""Share of the way to its target that the tool does in a cycle."""


@dataclass(frozen=True)
class ToyParameters(AdapterParameters):
    """Parameters of the toy's adapter."""

    fault_beyond: float = parameter(10.0, "x from which it stops itself [m].", low=0.0, high=10.0)
    broken_beyond: float = parameter(
        10.0, "x from which it measures no numbers [m].", low=0.0, high=10.0
    )
    frozen_beyond: float = parameter(
        10.0, "x from which its driver gives what it measured last [m].", low=0.0, high=10.0
    )
    no_rotation: bool = parameter(False, "Its driver gives zeros in place of a quaternion.")
    lost_beyond: float = parameter(
        10.0, "x from which its driver gives nothing [m].", low=0.0, high=10.0
    )


class ToyAdapter(PoseAdapter[ToyParameters]):
    """Follows its target with a lag, and gives images of its cameras as drivers would."""

    NAME = "toy_adapter"
    PARAMETERS = ToyParameters

    def _setup(self) -> None:
        super()._setup()
        self._position, self._quaternion = START.copy(), TOOL_DOWN.copy()
        self._linear, self._target = np.zeros(3), START.copy()
        self._carried_on = np.zeros(3)
        self._measured_last: tuple[Proprio, int] | None = None
        self._width = self._goal = self.robot.limits.gripper_max_width
        self._views = {
            view.frame: self.create_publisher(Image, view.topic, 1) for view in self.robot.views
        }
        self._truth = self.create_publisher(Float64, TRUTH, 1)
        self._speeds = self.create_publisher(Twist, TARGET_SPEED, 100)
        self.create_subscription(Float64, HAND, self._on_hand, 1)
        self.wall_timer(1.0 / self.robot.views[0].rate, self._show_images)

    def read_state(self) -> tuple[Proprio, int] | None:
        self._move(1.0 / self.robot.state_rate)
        x = float(self._position[0])
        self._truth.publish(Float64(data=x))
        self.report_fault("lift at its end" if x > self.parameters.fault_beyond else "")
        if x > self.parameters.lost_beyond:
            return None
        if self._measured_last is None or x <= self.parameters.frozen_beyond:
            self._measured_last = self._measure(), time.time_ns()
        return self._measured_last

    def _measure(self) -> Proprio:
        x = self._position[0]
        return Proprio(
            position=self._position + (np.nan if x > self.parameters.broken_beyond else 0.0),
            quaternion=np.zeros(4) if self.parameters.no_rotation else self._quaternion,
            gripper_width=self._width,
            linear=self._linear,
            joints=np.array([0.0, self._position[2], x]),
        )

    def send_target(self, target: Target) -> None:
        self._target, self._quaternion = target.position, target.quaternion
        self._carried_on = target.twist[:3]
        self._speeds.publish(twist_of(target.twist[:3], target.twist[3:]))

    def hold_blindly(self) -> None:
        self._carried_on = np.zeros(3)

    def _on_hand(self, message: Float64) -> None:
        self._position = np.array([message.data, *self._position[1:]])

    def send_gripper(self, goal: GripperGoal) -> None:
        self._goal = self.robot.limits.gripper_max_width if goal is GripperGoal.OPEN else 0.0

    def _move(self, dt: float) -> None:
        """As controllers do that know the target's velocity: without a new target they go on."""
        self._target = self._target + dt * self._carried_on
        step = FOLLOWS * (self._target - self._position)
        self._position, self._linear = self._position + step, step / dt
        self._width += float(np.clip(self._goal - self._width, -JAW_SPEED * dt, JAW_SPEED * dt))

    def _show_images(self) -> None:
        grey = np.full((48, 64, 3), 90, np.uint8)
        for frame, publisher in self._views.items():
            publisher.publish(array_to_image(grey, header_of(self.now_ns(), frame)))


def main() -> None:
    run_nodes(ToyAdapter)


if __name__ == "__main__":
    main()

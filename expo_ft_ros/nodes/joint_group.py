# SPDX-License-Identifier: Apache-2.0
"""Adapter to a controller of ros2_control that takes a velocity or a position for each joint.

Facts are those of forward_command_controller, and of the velocity and position controllers on top
of it (ros2_controllers, forward_controllers_base.cpp at 0206ee6): `~/commands` is a
Float64MultiArray by SystemDefaultsQoS, taken in the order of the parameter `joints` and ignored
where it is of another length. It has no stamp and no time-out: the last is kept for ever, so that a
velocity needs the node velocity_guard beside this one.
"""

from __future__ import annotations

import math
import time
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rcl_interfaces.srv import GetParameters
from rclpy.client import Client
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.task import Future
from std_msgs.msg import Float64MultiArray, String

from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.data.types import Proprio
from expo_ft_ros.recording.messages import BadMessage
from expo_ft_ros.robots.arm_model import ArmModel, urdf_of
from expo_ft_ros.robots.braking import brake_at_faces
from expo_ft_ros.robots.joint_group_config import VELOCITY_GUARD, JointGroupConfig
from expo_ft_ros.robots.joint_motion import JointMotion, JointReference
from expo_ft_ros.robots.twist_follower import Target
from expo_ft_ros.ros.controller_adapter import ControllerAdapter
from expo_ft_ros.ros.process import main as run_nodes
from expo_ft_ros.ros.robot_adapter import AdapterParameters

Vector = NDArray[np.float64]

_LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
_ASK_PERIOD = 1.0
"""The controller is asked what it takes so often: it may be another by now [s]."""

_MOST_CYCLES = 2.0
"""Cycles that one which comes late stands for, at most."""


class _Takes(NamedTuple):
    """What a controller's numbers are: fields are its parameters."""

    joints: tuple[str, ...] = ()
    interface_name: str = ""


class JointGroupAdapter(ControllerAdapter[AdapterParameters]):
    """Turns the smoothed velocity of the tool into joint commands each cycle; the tool's pose is
    that of the measured joints."""

    PARAMETERS = AdapterParameters
    TARGET_TYPE = Float64MultiArray
    GUARD = VELOCITY_GUARD

    @property
    def needs_guard(self) -> bool:
        """See ControllerAdapter."""
        return self._config.needs_guard

    def _setup(self) -> None:
        super()._setup()
        config = self.controller(JointGroupConfig)
        self._config = config
        self._motion: JointMotion | None = None
        self._measured_joints = np.zeros(len(self.robot.joints))
        self._reference: JointReference | None = None
        self._moves = False
        self._sent_at = -math.inf
        self._urdf, self._is_new = "", False
        self._why_no_model = f"{config.description}: no URDF has come (start its publisher)"
        if config.urdf is not None:
            self._read_model(urdf_of(config.urdf, "joint_group.urdf"))
        else:
            heard = self.create_subscription(
                String, str(config.description), self._on_description, _LATCHED
            )
            self._entities.append((self.destroy_subscription, heard))
        self._takes = _Takes()
        self._asked_at = -math.inf
        self._answer: Future[Any] | None = None
        self._asking: Client[Any, Any] = self.create_client(
            GetParameters, f"{config.controller}/get_parameters"
        )
        self._entities.append((self.destroy_client, self._asking))

    # -- the arm's model ------------------------------------------------------------------------
    def _read_model(self, urdf: str) -> None:
        self._model = ArmModel(urdf, self.robot.joints, self.robot.frames.base, self._config.tip)
        self._motion = JointMotion(self.robot, self._config, self._model)
        self._reference = JointReference(self._motion.limits, self._config.joint_lead)

    def _on_description(self, message: String) -> None:
        """Another model than the one before stops the arm, and holds once it stands. One that isn't
        this arm's is waited out: another may come."""
        if message.data == self._urdf:
            return
        self._motion, self._reference = None, None
        self._urdf, self._is_new = message.data, True
        self._why_no_model = f"{self._config.description}: another URDF has come"

    def _read_description(self) -> None:
        self._is_new = False
        try:
            self._read_model(self._urdf)
        except ConfigError as error:
            self._why_no_model = f"{self._config.description}: {error}"

    # -- state ----------------------------------------------------------------------------------
    def tool_pose(self, joints: Vector, stamp_ns: int) -> tuple[Vector, Vector, int]:
        """See ControllerAdapter; by forward kinematics."""
        if self._is_new and self._stands:
            self._read_description()
        if self._motion is None:
            raise BadMessage(self._why_no_model)
        self._measured_joints = joints
        return *self._model.pose(joints), stamp_ns

    def read_state(self) -> tuple[Proprio, int] | None:
        """See ControllerAdapter."""
        self._ask_what_it_takes()
        return super().read_state()

    def blocked_reason(self, state: Proprio) -> str:
        """See PoseAdapter; numbers in another order, or of another kind, would be other motions."""
        return self._unfit or super().blocked_reason(state)

    @property
    def is_silent(self) -> bool:
        """See PoseAdapter."""
        return super().is_silent or bool(self._unfit)

    def _is_ready(self) -> bool:
        return super()._is_ready() and not self._unfit

    def status_note(self) -> str:
        """See RobotAdapter: what slows the arm down."""
        return (self._motion.note if self._motion else "") or super().status_note()

    @property
    def _unfit(self) -> str:
        """Why the controller isn't the one of the robot's file; "" where it is."""
        controller, config = self._config.controller, self._config
        if not self._takes.joints:
            return (
                f"{controller}: tells no parameter joints (is it loaded, and is target its topic?)"
            )
        if self._takes.joints != self.robot.joints:
            return (
                f"{controller}: its joints are {', '.join(self._takes.joints)} (set joints "
                "of the robot's file so, and home and limits in the same order)"
            )
        if self._takes.interface_name != config.interface:
            return (
                f"{controller}: its interface_name is {self._takes.interface_name!r}, interface of "
                f"the robot's file is {config.interface!r} (set that, or another target)"
            )
        return ""

    def _ask_what_it_takes(self) -> None:
        now = time.monotonic()
        if not self._asking.service_is_ready():
            # One that comes again on this topic may be another.
            self._takes = _Takes()
            return
        if now - self._asked_at < _ASK_PERIOD:
            return
        self._asked_at = now
        if self._answer is not None:
            self._asking.remove_pending_request(self._answer)
        self._answer = self._asking.call_async(GetParameters.Request(names=[*_Takes._fields]))
        self.when_done(self._answer, self._told_what_it_takes)

    def _told_what_it_takes(self, future: Future[Any]) -> None:
        self._answer = None
        answer = future.result()
        if answer is None or len(answer.values) != len(_Takes._fields):
            return
        joints, interface = answer.values
        self._takes = _Takes(tuple(joints.string_array_value), interface.string_value)

    # -- commands -------------------------------------------------------------------------------
    def send_target(self, target: Target) -> None:
        """See PoseAdapter; only its velocity counts. None at all is a stop, which is at once."""
        if not self._has_stood or self._motion is None or self._reference is None:
            return
        now = time.monotonic()
        dt = min(max(now - self._sent_at, 1e-3), _MOST_CYCLES / self.robot.state_rate)
        self._sent_at = now
        if target.twist.any():
            twist = self.braked(target, self._config.brake)
            if self._reference.angles is not None:
                # What is commanded is ahead of an arm that lags: neither may leave the workspace.
                ahead, _ = self._model.pose(self._reference.angles)
                twist[:3] = brake_at_faces(
                    twist[:3], ahead, self.robot.workspace, self._config.brake
                )
            speeds = self._motion.step(twist, self._measured_joints, dt)
        else:
            self._motion.stop()
            speeds = np.zeros(len(self.robot.joints))
        if self._config.interface == "position":
            self._publish(self._reference.advance(speeds, self._measured_joints, dt))
        else:
            self._publish(speeds)

    def stand(self) -> None:
        """See PoseAdapter; a velocity is ended also where nothing else is to be sent, and what was
        commanded before is forgotten: the next motion begins from rest, where the arm is then."""
        super().stand()
        if self._motion is not None:
            self._motion.stop()
        if self.is_silent and self._reference is not None:
            self._reference.forget()
        if self._moves:
            self._publish(np.zeros(len(self.robot.joints)))

    def hold_blindly(self) -> None:
        """See PoseAdapter: zero velocities; a position is kept, and the next is where the arm is
        then."""
        if self._motion is not None:
            self._motion.stop()
        if self._reference is not None:
            self._reference.forget()
        if self._config.interface == "velocity" and self._has_stood and not self.is_silent:
            self._publish(np.zeros(len(self.robot.joints)))

    def _publish(self, numbers: Vector) -> None:
        self._moves = self._config.interface == "velocity" and bool(numbers.any())
        self._target_out.publish(Float64MultiArray(data=numbers.tolist()))


def main() -> None:
    """Runs the adapter."""
    run_nodes(JointGroupAdapter)


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: Apache-2.0
"""Adapter to moveit_servo, which takes velocities.

Facts are those of moveit_servo, branch jazzy at 4d84106: a command counts until it is 0.1 s old by
its stamp (`incoming_command_timeout`), so ours go out each cycle; the command type has to be chosen
by a service before any is taken; a command in another frame than the planning frame is turned into
it by TF, and `command_in_type` must be `speed_units`.
"""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np
from geometry_msgs.msg import TwistStamped
from numpy.typing import NDArray
from rclpy.client import Client
from rclpy.task import Future

from expo_ft_ros.data.types import Proprio
from expo_ft_ros.recording.messages import BadMessage
from expo_ft_ros.robots.ros2_control import MOVEIT_MSGS, ServoConfig
from expo_ft_ros.robots.twist_follower import Target
from expo_ft_ros.ros.controller_adapter import CartesianAdapter
from expo_ft_ros.ros.messages import header_of, twist_of
from expo_ft_ros.ros.optional_interfaces import foreign_interface
from expo_ft_ros.ros.process import main as run_nodes
from expo_ft_ros.ros.robot_adapter import AdapterParameters

_HALTS = (-1, 2, 5, 6)
"""Codes of moveit_msgs/ServoStatus with which servo moves no further: invalid, singularity,
collision, joint bound. It leaves singularity and joint bound by itself once it is commanded away;
in a collision halt it scales every direction by 0. They are reported and are no faults."""

_COLLISION = 5
_COLLISION_REMEDY = (
    "no command leads out of it: stop the graph, then move the obstacle, or the arm by hand"
)

_SWITCH_PERIOD, _SWITCH_HOLDS = 1.0, 3.0
"""Servo is switched to velocities so often, and counts as switched for so long after it has said
so [s]."""


class ServoAdapter(CartesianAdapter[AdapterParameters]):
    """Sends the smoothed velocity each cycle, zero where the arm is to stand."""

    PARAMETERS = AdapterParameters
    TARGET_TYPE = TwistStamped

    def _setup(self) -> None:
        super()._setup()
        config = self.controller(ServoConfig)
        self._command_type = foreign_interface(MOVEIT_MSGS, "srv", "ServoCommandType")
        status = foreign_interface(MOVEIT_MSGS, "msg", "ServoStatus")
        self._status = self._newest(status, f"{config.node}/status")
        self._switch: Client[Any, Any] = self.create_client(
            self._command_type, f"{config.node}/switch_command_type"
        )
        self._entities.append((self.destroy_client, self._switch))
        self._asked_at = self._switched_at = -math.inf
        self._answer: Future[Any] | None = None

    def read_state(self) -> tuple[Proprio, int] | None:
        """See ControllerAdapter."""
        self._ask_for_twists()
        return super().read_state()

    def blocked_reason(self, state: Proprio) -> str:
        """See PoseAdapter."""
        if not self._has_switched:
            return (
                f"{self._switch.srv_name}: moveit_servo has not been switched to velocities (is it "
                "up, and is that its name?)"
            )
        return super().blocked_reason(state)

    def send_target(self, target: Target) -> None:
        """See PoseAdapter; only its velocity counts, and towards a face of the workspace it
        falls."""
        if not (self._has_stood and self._has_switched):
            return
        self._publish(self.braked(target, self.controller(ServoConfig).brake))

    def hold_blindly(self) -> None:
        """See PoseAdapter: zeros, which stop servo sooner than its time-out does."""
        if self._has_stood and self._has_switched and not self.is_silent:
            self._publish(np.zeros(6))

    def _publish(self, twist: NDArray[np.float64]) -> None:
        header = header_of(time.time_ns(), self.robot.frames.base)
        self._target_out.publish(TwistStamped(header=header, twist=twist_of(twist[:3], twist[3:])))

    def _is_ready(self) -> bool:
        return super()._is_ready() and self._has_switched

    @property
    def _has_switched(self) -> bool:
        return time.monotonic() - self._switched_at < _SWITCH_HOLDS

    def _ask_for_twists(self) -> None:
        """Again and again: servo may have been started anew, which nobody tells."""
        now = time.monotonic()
        if now - self._asked_at < _SWITCH_PERIOD or not self._switch.service_is_ready():
            return
        self._asked_at = now
        if self._answer is not None:
            self._switch.remove_pending_request(self._answer)
        request = self._command_type.Request(command_type=self._command_type.Request.TWIST)
        self._answer = self._switch.call_async(request)
        self.when_done(self._answer, self._switched)

    def _switched(self, future: Future[Any]) -> None:
        self._answer = None
        answer = future.result()
        if answer is not None and answer.success:
            self._switched_at = time.monotonic()

    def status_note(self) -> str:
        """See RobotAdapter: why servo moves no further."""
        try:
            status = self._status.read()
        except BadMessage:
            return super().status_note()  # Before its first word.
        if status.code in _HALTS:
            remedy = f" ({_COLLISION_REMEDY})" if status.code == _COLLISION else ""
            return f"moveit_servo: {status.message or status.code}{remedy}"
        return super().status_note()


def main() -> None:
    """Runs the adapter."""
    run_nodes(ServoAdapter)


if __name__ == "__main__":
    main()

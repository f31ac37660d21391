# SPDX-License-Identifier: Apache-2.0
"""Adapter to a Franka arm by franka_ros2's Cartesian impedance controller.

Facts are those of franka_ros2, branch jazzy at 29cb85a: `~/equilibrium_pose` is taken without a
look at its frame and has no time-out; `franka_robot_state_broadcaster` tells `current_pose` best
effort, and `robot_state` a thousand times a second.
"""

from __future__ import annotations

import time
from typing import Any

from action_msgs.msg import GoalStatus
from rclpy.action.client import ActionClient
from rclpy.task import Future
from std_srvs.srv import Trigger

from expo_ft_ros.data.types import Proprio
from expo_ft_ros.recording.messages import BadMessage, nanoseconds
from expo_ft_ros.robots.franka_mode import MOVE, STOPPED, fault_of, mode_in_words
from expo_ft_ros.robots.ros2_control import FRANKA_MSGS, FrankaRos2Config
from expo_ft_ros.robots.watchdog import StateWatch
from expo_ft_ros.ros.controller_adapter import CartesianAdapter
from expo_ft_ros.ros.graph_node import ERROR
from expo_ft_ros.ros.optional_interfaces import foreign_interface
from expo_ft_ros.ros.process import main as run_nodes
from expo_ft_ros.ros.robot_adapter import AdapterParameters


class FrankaRos2Adapter(CartesianAdapter[AdapterParameters]):
    """Tells a reflex, the user stop and the arm's errors as faults; `robot/recover` recovers."""

    PARAMETERS = AdapterParameters

    def _setup(self) -> None:
        super()._setup()
        config = self.controller(FrankaRos2Config)
        state = foreign_interface(FRANKA_MSGS, "msg", "FrankaRobotState")
        self._robot_state = self._newest(state, config.robot_state)
        self._mode_watch = StateWatch(self.robot.following.state_timeout)
        self._recovery = foreign_interface(FRANKA_MSGS, "action", "ErrorRecovery")
        self._recovery_client: ActionClient[Any, Any, Any] = ActionClient(
            self, self._recovery, config.recovery
        )
        self._mode: int | None = None
        self.service("robot/recover", self._on_recover)

    def _teardown(self) -> None:
        client = getattr(self, "_recovery_client", None)
        if client is not None:
            client.destroy()
            del self._recovery_client
        super()._teardown()

    def read_state(self) -> tuple[Proprio, int] | None:
        """See ControllerAdapter; faults are told first, whatever else is missing."""
        message = self._robot_state.read()
        stamp_ns = nanoseconds(message.header.stamp)
        old = self._mode_watch.check(stamp_ns, time.time_ns(), time.monotonic())
        if old:
            raise BadMessage(f"{self._robot_state.topic}: the newest {old}: the arm stands")
        self._mode = message.robot_mode
        self.report_fault(fault_of(message))
        return super().read_state()

    def blocked_reason(self, state: Proprio) -> str:
        """See PoseAdapter; a fault isn't told here."""
        if self._mode != MOVE and self._mode not in STOPPED:
            return (
                f"the robot's mode is {mode_in_words(self._mode)}: no controller moves it "
                f"({self._activation})"
            )
        return super().blocked_reason(state)

    def _is_ready(self) -> bool:
        return super()._is_ready() and self._mode == MOVE

    def _on_recover(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        if not self._fault:
            response.message = f"there is nothing to recover from: {mode_in_words(self._mode)}"
        elif not self._recovery_client.server_is_ready():
            response.message = "no action server for it (recovery in the robot's file)"
        else:
            asked = self._recovery_client.send_goal_async(self._recovery.Goal())
            self.when_done(asked, self._recovery_answered)
            response.success = True
            response.message = (
                "asked for. Where the hardware has been deactivated: ros2 control "
                f"set_hardware_component_state -c {self._manager} FrankaHardwareInterface active, "
                f"then {self._activation}"
            )
        return response

    def _recovery_answered(self, future: Future[Any]) -> None:
        handle = future.result()
        if handle is None or not handle.accepted:
            self._recovery_failed("was refused")
        else:
            self.when_done(handle.get_result_async(), self._recovery_ended)

    def _recovery_ended(self, future: Future[Any]) -> None:
        answer = future.result()
        if answer is None or answer.status != GoalStatus.STATUS_SUCCEEDED:
            self._recovery_failed("was broken off")

    def _recovery_failed(self, how: str) -> None:
        words = (
            f"recovery {how} by {self.controller(FrankaRos2Config).recovery} (see the driver's log "
            "and Desk, then ask again)"
        )
        self._warn(words)
        self.report(ERROR, f"fault: {self._fault}: {words}" if self._fault else words)

    @property
    def _manager(self) -> str:
        return self.controller(FrankaRos2Config).manager

    @property
    def _activation(self) -> str:
        return f"ros2 control switch_controllers -c {self._manager} --activate <controller>"


def main() -> None:
    """Runs the adapter."""
    run_nodes(FrankaRos2Adapter)


if __name__ == "__main__":
    main()

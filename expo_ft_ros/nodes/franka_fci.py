# SPDX-License-Identifier: Apache-2.0
"""Adapter of a Franka arm that is driven through libfranka (fci/, docs/real_robot.md).

It passes commands to the processes of arm and hand, and publishes what they measure. Whatever goes
wrong in one of them, and a process that is frozen or dead, is a fault, which stays until a human
calls `robot/recover` and the robot has recovered.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
from std_srvs.srv import Trigger

from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.control.thread_priority import TICK_PRIORITY
from expo_ft_ros.data.rotation import quaternion_of
from expo_ft_ros.data.types import Proprio
from expo_ft_ros.fci import arm_process, hand_process
from expo_ft_ros.fci.child import Child
from expo_ft_ros.fci.health import (
    ArmHealth,
    Confirmations,
    HandHealth,
    Now,
    fault_of,
    hangs,
    is_reported,
    is_running,
)
from expo_ft_ros.fci.messages import (
    ARM_COMMAND,
    ARM_STATE,
    HAND_COMMAND,
    HAND_STATE,
    ArmCommand,
    ArmState,
    HandCommand,
    HandState,
)
from expo_ft_ros.recording.messages import BadMessage
from expo_ft_ros.robots.fci_config import require_pylibfranka
from expo_ft_ros.robots.gripper import GripperGoal, GripperGoals
from expo_ft_ros.ros.graph_node import ERROR, parameter
from expo_ft_ros.ros.process import main as run_nodes
from expo_ft_ros.ros.robot_adapter import TWIST, AdapterParameters, RobotAdapter

_REST = 2.0
"""Time that the arm's process has to come to rest and end [s]; the hand's finishes its motion."""


@dataclass(frozen=True)
class FrankaParameters(AdapterParameters):
    """Parameters of the Franka adapter."""

    robot_ip: str = parameter("", "Address of the control box; empty: that of the robot's file.")


class FrankaAdapter(RobotAdapter[FrankaParameters]):
    """Between the graph's topics and the processes of arm and hand."""

    NAME = "franka_fci"
    PARAMETERS = FrankaParameters
    URGENT = TICK_PRIORITY

    _arm: Child | None = None
    _hand: Child | None = None
    _figures: Mapping[str, object] = MappingProxyType({})

    def _setup(self) -> None:
        super()._setup()
        require_pylibfranka()
        if self.robot.fci is None:
            raise ConfigError(f"robot {self.robot.name}: fci: the section is missing")
        self._address = self.parameters.robot_ip or self.robot.fci.address
        self._grips = GripperGoals(self.robot.limits.gripper_velocity)
        self._confirmed = Confirmations()
        self._goal = HandCommand(0, 0, 0)
        self._own_fault = ""
        self._told_ns = 0
        self._seen = False
        self._start_arm()
        self._start_hand()
        self.service("robot/recover", self._on_recover)
        self.wall_timer(1.0 / self.robot.state_rate, self._cycle)

    def _start_arm(self) -> None:
        name, robot = arm_process.__name__, self.parameters.robot
        rest = ArmCommand(float("-inf"), (0.0,) * 6, self._confirmed.count)
        self._arm = Child(name, robot, self._address, ARM_COMMAND, ARM_STATE, rest)
        self._arm_health = ArmHealth(self.robot.following.state_timeout, time.monotonic())

    def _start_hand(self) -> None:
        name, robot = hand_process.__name__, self.parameters.robot
        self._hand = Child(name, robot, self._address, HAND_COMMAND, HAND_STATE, self._goal)
        self._hand_health = HandHealth(self.robot.limits, time.monotonic())

    def _is_ready(self) -> bool:
        return self._seen

    def report(self, level: bytes, message: str, **values: object) -> None:
        """See GraphNode; with the loop's figures."""
        super().report(level, message, **{**self._figures, **values})

    def stand(self) -> None:
        """See RobotAdapter: the arm's process comes to rest within its limits, in 0.3 s. The hand
        finishes its motion; none follows."""
        self._command[:] = 0.0
        self._grips.update(0.0)
        self._command_arm()
        self._withdraw()

    def _teardown(self) -> None:
        for child, patience in ((self._arm, _REST), (self._hand, _REST)):
            if child is not None:
                child.end(patience)
        self._arm = self._hand = None

    # -- commands -------------------------------------------------------------------------------
    def _commanded(self, kind: str, stamp_ns: int) -> None:
        """A twist goes on at once, with the time at which it came."""
        if kind == TWIST:
            self._command_arm()

    def _command_arm(self) -> None:
        if self._arm is None:
            return
        twist = (0.0,) * 6 if self.must_stand else tuple(self._command[:6])
        ArmCommand(time.monotonic(), twist, self._confirmed.count).write(self._arm.commands)

    def _on_recover(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        """A human has seen the fault and what has caused it."""
        if not self._fault:
            response.success, response.message = False, "there is no fault to recover from"
            return response
        now, arm, hand = _now(), self._arm_state(), self._hand_state()
        arm_trouble, hand_trouble = self._arm_trouble(arm, now), self._hand_trouble(hand, now)
        reported = any(is_reported(state, self._confirmed) for state in (arm, hand))
        if not (reported or self._own_fault or arm_trouble or hand_trouble):
            response.success, response.message = False, "a recovery is under way: wait for its end"
            return response
        self._own_fault = ""
        self._confirmed = self._confirmed.more(now.steady)
        self._goal = replace(self._goal, recover=self._confirmed.count)
        if self._arm is None or self._arm.death or (arm_trouble and hangs(arm, now)):
            self._replace_arm()
        else:
            self._command_arm()
        if self._hand is None or hand_trouble:
            self._replace_hand()
        else:
            self._goal.write(self._hand.commands)
        response.success = True
        response.message = "asked for; robot/fault is empty once the robot has recovered"
        return response

    def _arm_state(self) -> ArmState | None:
        return None if self._arm is None else ArmState.read(self._arm.states)

    def _hand_state(self) -> HandState | None:
        return None if self._hand is None else HandState.read(self._hand.states)

    def _replace_arm(self) -> None:
        if self._arm is not None:
            self._arm.end(0.0)
        self._start_arm()

    def _replace_hand(self) -> None:
        if self._hand is not None:
            self._hand.end(0.0)
        self._start_hand()

    # -- a cycle --------------------------------------------------------------------------------
    def _cycle(self) -> None:
        command = self.due_command()
        if self._arm is None or self._hand is None:
            return
        now, arm, hand = _now(), self._arm_state(), self._hand_state()
        trouble = self._arm_trouble(arm, now) or self._hand_trouble(hand, now)
        self._own_fault = self._own_fault or trouble
        fault = fault_of("arm", arm) or fault_of("hand", hand) or self._own_fault
        fault = fault or self._unconfirmed(arm, hand)
        if fault and not self._fault:
            self.report_fault(fault)
            self.stand()
        else:
            self.report_fault(fault)
        if arm is not None and hand is not None and arm.stamp_ns != self._told_ns:
            self._told_ns = arm.stamp_ns
            try:
                self.show_state(self._proprio(arm, hand), arm.stamp_ns)
                self._seen = True
            except BadMessage as error:
                self.report(ERROR, str(error))
                self.stand()
                return
            self._figures = {
                "cycles": arm.cycles,
                "missed": arm.missed,
                "slowest_ms": round(1e3 * arm.slowest, 2),
                "priority": arm.priority,
            }
        if self.must_stand or not command.any():  # An emergency stop sends zeros.
            self._grips.update(0.0)
            self._withdraw()
        else:
            self._grip(command[6])

    def _arm_trouble(self, state: ArmState | None, now: Now) -> str:
        death = "" if self._arm is None else self._arm.death
        return self._arm_health.trouble(death, state, self._confirmed, now)

    def _hand_trouble(self, state: HandState | None, now: Now) -> str:
        death = "" if self._hand is None else self._hand.death
        return self._hand_health.trouble(death, state, self._confirmed, now)

    def _unconfirmed(self, arm: ArmState | None, hand: HandState | None) -> str:
        """While a recovery goes on, the fault stays what it was."""
        return "" if is_running(arm) and is_running(hand) else self._fault

    def _proprio(self, arm: ArmState, hand: HandState) -> Proprio:
        pose = np.array(arm.pose).reshape(4, 4).T
        limits = self.robot.limits
        width = hand.width_at(time.monotonic(), limits.gripper_velocity, limits.gripper_max_width)
        return Proprio(
            position=pose[:3, 3],
            quaternion=quaternion_of(pose[:3, :3]),
            gripper_width=width,
            linear=np.array(arm.twist[:3]),
            angular=np.array(arm.twist[3:]),
            joints=np.array(arm.joints),
        )

    def _grip(self, velocity: float) -> None:
        goal = self._grips.update(velocity)
        if goal is None or self._hand is None:
            return
        self._give(1 if goal is GripperGoal.OPEN else -1)

    def _withdraw(self) -> None:
        """A goal that waits for the end of the hand's motion isn't begun any more."""
        if self._goal.direction:
            self._give(0)

    def _give(self, direction: int) -> None:
        self._goal = HandCommand(self._goal.number + 1, direction, self._confirmed.count)
        if self._hand is not None:
            self._goal.write(self._hand.commands)


def _now() -> Now:
    return Now(time.monotonic(), time.time_ns())


def main() -> None:
    """Entry point."""
    run_nodes(FrankaAdapter)


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: Apache-2.0
"""The arm's control loop: a process that does nothing else.

python -m expo_ft_ros.fci.arm_process ROBOT ADDRESS COMMAND_FD STATE_FD

libfranka gives a state a thousand times a second and wants a command within the same millisecond.
What this loop waits for is that state, and nothing else:

- The process has one Python thread. pylibfranka keeps the interpreter's lock while it waits for the
  robot, so another thread would wait for the loop, and the loop for it. The ROS node, its executor
  and the middleware's threads are in the adapter's process, the hand in a third.
- Commands and states go through memory without a lock (`SharedRecord`). A reader or writer that is
  frozen or killed holds nobody up; the loop sees it by the command's age.
- Numerics use one thread, garbage is not collected, memory is locked where the user may do so, and
  the process has a real-time priority where it may.
- Words are written when the arm stands.

A fault, also one that was there before, is reported and waits until the adapter passes a human's
confirmation on. SIGTERM, which the kernel sends when the adapter dies, brings the arm to rest.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import os
import sys
import time
from typing import Any

import numpy as np

from expo_ft_ros.control.thread_priority import set_fifo_priority
from expo_ft_ros.fci.child_process import Confirmations, one_line, run_loop
from expo_ft_ros.fci.messages import ARM_COMMAND, ARM_STATE, ArmCommand, ArmState, Phase
from expo_ft_ros.fci.motion import CartesianMotion
from expo_ft_ros.fci.shared_record import SharedRecord
from expo_ft_ros.robots import RobotConfig
from expo_ft_ros.robots.fci_config import FciConfig, require_pylibfranka

LOOP_PRIORITY = 80
"""Real-time priority with which the process begins: above all of the graph. libfranka raises it
once it is connected; `ArmState.priority` is what it has got."""

_TELL_EVERY = 5
"""Control cycles from one told state to the next."""

_CYCLE = 1e-3
_LONGEST = 0.02
"""A robot that has got no command for so long has stopped itself [s]."""

_WARM_UP = 20
"""Cycles before the first."""

_RETRY = 0.5
"""Between attempts to reach a robot that doesn't answer [s]."""

_MCL_CURRENT, _MCL_FUTURE = 1, 2


class ArmLoop:
    """Connects, drives until a fault or the end, and waits in a fault for a confirmation."""

    def __init__(
        self, robot: RobotConfig, fci: FciConfig, commands: SharedRecord, states: SharedRecord
    ) -> None:
        """Tells that it is there. The robot is reached by `run`."""
        require_pylibfranka()
        self._franka: Any = importlib.import_module("pylibfranka")
        # The kinds of the first are kinds of the second to Python.
        self._errors = (self._franka.FrankaException, RuntimeError)
        self._robot, self._fci = robot, fci
        self._commands, self._states = commands, states
        self._arm: Any = None
        self._model: Any = None
        self._stopping = False
        self._confirmations = Confirmations(lambda: ArmCommand.read(commands).recover)
        self._cycles = self._missed = 0
        self._slowest = 0.0
        self._told = ArmState(
            0, (0.0,) * 7, (0.0,) * 16, (0.0,) * 6, Phase.STARTING, 0, 0, 0, 0.0, 0, ""
        )
        self._priority = 0

    def stop(self) -> None:
        """Comes to rest and ends."""
        self._stopping = True

    def run(self) -> None:
        """Until `stop`."""
        while not self._stopping:
            cause = self._attempt()
            # The exception is gone here, and with it the ended motion, which libfranka sends a
            # stop for and whose connection it keeps: only then a recovery can begin.
            if cause and not self._stopping:
                self._wait_in_fault(cause)

    def _attempt(self) -> str:
        """Drives; why it has ended, "" after a `stop`."""
        try:
            if self._arm is None:
                self._connect()
            self._require_no_fault()
            self._set_thresholds()
            self._drive()
        except self._errors as error:
            return one_line(error)
        return ""

    def _connect(self) -> None:
        required = self._fci.realtime == "required"
        config = self._franka.RealtimeConfig
        arm = self._franka.Robot(self._fci.address, config.kEnforce if required else config.kIgnore)
        self._priority = os.sched_getparam(0).sched_priority
        self._model = arm.load_model()
        self._arm = arm

    def _set_thresholds(self) -> None:
        """Of collisions; a robot that has stopped itself may refuse them."""
        torque, force = list(self._fci.collision_torque), list(self._fci.collision_force)
        self._arm.set_collision_behavior(torque, torque, force, force)

    def _require_no_fault(self) -> None:
        """Raises RuntimeError for a robot that isn't at rest and ready."""
        state = self._arm.read_once()
        mode = self._franka.RobotMode
        if state.robot_mode == mode.UserStopped:
            raise RuntimeError("the user stop is pressed")
        if state.current_errors or state.robot_mode == mode.Reflex:
            raise RuntimeError(f"the robot has stopped itself: {state.current_errors}")
        if state.robot_mode != mode.Idle:
            raise RuntimeError(f"the robot isn't idle but in the mode {state.robot_mode.name}")

    def _drive(self) -> None:
        """Control cycles until `stop`, or until libfranka raises."""
        self._warm_up()
        motion = CartesianMotion(self._robot)
        velocities = self._franka.CartesianVelocities
        control = self._arm.start_cartesian_velocity_control(
            self._franka.ControllerMode.JointImpedance
        )
        first = True
        while True:
            state, period = control.readOnce()
            begun = time.perf_counter()
            passed = _CYCLE if first else min(max(period.to_sec(), _CYCLE), _LONGEST)
            first = False
            self._cycles += 1
            self._missed += round(passed / _CYCLE) - 1
            jacobian = self._jacobian(state)
            command = ArmCommand.read(self._commands)
            if self._stopping:
                command = ArmCommand(float("-inf"), command.twist, command.recover)
            pose = state.O_T_EE
            twist = motion.step(
                command,
                np.array(pose[12:15]),
                np.array(state.q),
                jacobian,
                time.monotonic(),
                passed,
            )
            answer = velocities(twist.tolist())
            if self._stopping and motion.is_at_rest:
                answer.motion_finished = True
                control.writeOnce(answer)
                return
            control.writeOnce(answer)
            self._slowest = max(self._slowest, time.perf_counter() - begun)
            if self._cycles % _TELL_EVERY == 0:
                self._tell(state, jacobian, Phase.RUNNING)

    def _warm_up(self) -> None:
        """Does once what each cycle does: the first time takes some milliseconds."""
        state, motion = self._arm.read_once(), CartesianMotion(self._robot)
        nothing = ArmCommand(time.monotonic(), (1e-3,) * 6, 0)
        for _ in range(_WARM_UP):
            position, joints = np.array(state.O_T_EE[12:15]), np.array(state.q)
            now = time.monotonic()
            twist = motion.step(nothing, position, joints, self._jacobian(state), now, _CYCLE)
            self._franka.CartesianVelocities(twist.tolist())
        self._tell(state, self._jacobian(state), Phase.STARTING)

    def _jacobian(self, state: Any) -> Any:
        return np.array(self._model.zero_jacobian(state)).reshape(7, 6).T

    def _tell(self, state: Any, jacobian: Any, phase: Phase, text: str = "") -> None:
        self._told = ArmState(
            stamp_ns=time.time_ns(),
            joints=tuple(state.q),
            pose=tuple(state.O_T_EE),
            twist=tuple(jacobian @ np.array(state.dq)),
            phase=phase,
            recovered=self._confirmations.seen,
            cycles=self._cycles,
            missed=self._missed,
            slowest=self._slowest,
            priority=self._priority,
            text=text,
        )
        self._told.write(self._states)

    # -- faults ---------------------------------------------------------------------------------
    def _wait_in_fault(self, text: str) -> None:
        """Reports the fault and where the arm is, until a human has confirmed it and the robot has
        recovered."""
        self._begin_fault(text)
        while not self._stopping:
            if self._confirmations.given():
                text = self._recover()
                if not text:
                    return
                self._begin_fault(text)
            try:
                if self._arm is None:
                    self._tell_without_arm(text)
                    time.sleep(_RETRY)
                    continue
                state = self._arm.read_once()
            except self._errors as error:
                text = one_line(error)
                self._arm = None
                self._begin_fault(text)
                continue
            self._tell(state, self._jacobian(state), Phase.FAULT, text)

    def _begin_fault(self, text: str) -> None:
        print(f"arm: {text}", file=sys.stderr, flush=True)
        self._confirmations.forget()

    def _tell_without_arm(self, text: str) -> None:
        old = self._told
        told = ArmState(
            old.stamp_ns, old.joints, old.pose, old.twist, Phase.FAULT, self._confirmations.seen,
            self._cycles, self._missed, self._slowest, self._priority, text,
        )  # fmt: skip
        told.write(self._states)

    def _recover(self) -> str:
        """Clears the robot's errors; why it can't, or "".

        Where the connection is lost it connects anew, and clears nothing: nobody has seen yet what
        the robot has stopped for.
        """
        try:
            if self._arm is None:
                self._connect()
            else:
                state = self._arm.read_once()
                if state.current_errors or state.robot_mode == self._franka.RobotMode.Reflex:
                    self._arm.automatic_error_recovery()
            self._require_no_fault()
        except self._errors as error:
            return f"no recovery: {one_line(error)}"
        return ""


def _undisturbed(
    robot: RobotConfig, fci: FciConfig, commands: SharedRecord, states: SharedRecord
) -> ArmLoop:
    """The loop, in a process that from here on neither swaps nor collects garbage."""
    loop = ArmLoop(robot, fci, commands, states)
    ctypes.CDLL(None).mlockall(_MCL_CURRENT | _MCL_FUTURE)
    gc.freeze()
    gc.disable()
    return loop


def main(words: list[str]) -> int:
    """Runs the loop until SIGTERM; 0 after a clean end."""
    set_fifo_priority(LOOP_PRIORITY)
    return run_loop(_undisturbed, ARM_COMMAND, ARM_STATE, words)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

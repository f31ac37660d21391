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

A fault, also one that was there before, is told and waits until the adapter passes a human's
confirmation on. SIGTERM, which the kernel sends when the adapter dies, brings the arm to rest.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import signal
import sys
import time
from typing import Any

import numpy as np

from expo_ft_ros.control.thread_priority import set_fifo_priority
from expo_ft_ros.fci.messages import ARM_COMMAND, ARM_STATE, ArmCommand, ArmState, Phase
from expo_ft_ros.fci.motion import CartesianMotion
from expo_ft_ros.fci.shared_record import SharedRecord
from expo_ft_ros.graph.parent_process import die_with_parent
from expo_ft_ros.robots import RobotConfig, load_robot
from expo_ft_ros.robots.fci_config import FciConfig, require_pylibfranka

LOOP_PRIORITY = 80
"""Real-time priority of the loop: above all of the graph, below the kernel's own threads."""

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
        self._recovered = 0
        self._cycles = self._lost = 0
        self._slowest = 0.0
        self._told = ArmState(
            0, (0.0,) * 7, (0.0,) * 16, (0.0,) * 6, Phase.STARTING, 0, 0, 0, 0.0, False, ""
        )
        self._priority = set_fifo_priority(LOOP_PRIORITY)

    def stop(self) -> None:
        """Comes to rest and ends."""
        self._stopping = True

    def run(self) -> None:
        """Until `stop`."""
        while not self._stopping:
            try:
                if self._arm is None:
                    self._connect()
                self._require_no_fault()
                self._drive()
            except self._errors as error:
                if not self._stopping:
                    self._wait_in_fault(_one_line(error))

    def _connect(self) -> None:
        required = self._fci.realtime == "required"
        config = self._franka.RealtimeConfig
        arm = self._franka.Robot(self._fci.address, config.kEnforce if required else config.kIgnore)
        torque, force = list(self._fci.collision_torque), list(self._fci.collision_force)
        arm.set_collision_behavior(torque, torque, force, force)
        self._model = arm.load_model()
        self._arm = arm

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
            self._lost += round(passed / _CYCLE) - 1
            jacobian = self._jacobian(state)
            command = ArmCommand.read(self._commands)
            self._recovered = command.recover  # Of no fault to come.
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
            recovered=self._recovered,
            cycles=self._cycles,
            lost=self._lost,
            slowest=self._slowest,
            priority=self._priority,
            text=text,
        )
        self._told.write(self._states)

    # -- faults ---------------------------------------------------------------------------------
    def _wait_in_fault(self, text: str) -> None:
        """Tells the fault and where the arm is, until a human has confirmed and it recovered."""
        print(f"arm: {text}", file=sys.stderr, flush=True)
        while not self._stopping:
            confirmed = ArmCommand.read(self._commands).recover
            if confirmed > self._recovered:
                self._recovered = confirmed
                failed = self._recover()
                if not failed:
                    return
                text = failed
                print(f"arm: {text}", file=sys.stderr, flush=True)
            try:
                if self._arm is None:
                    self._tell_without_arm(text)
                    time.sleep(_RETRY)
                    continue
                state = self._arm.read_once()
            except self._errors as error:
                text = _one_line(error)
                self._arm = None
                continue
            self._tell(state, self._jacobian(state), Phase.FAULT, text)

    def _tell_without_arm(self, text: str) -> None:
        old = self._told
        told = ArmState(
            old.stamp_ns, old.joints, old.pose, old.twist, Phase.FAULT, self._recovered,
            self._cycles, self._lost, self._slowest, self._priority, text,
        )  # fmt: skip
        told.write(self._states)

    def _recover(self) -> str:
        """Connects anew where the connection is lost, and clears the robot's errors; why it can't,
        or ""."""
        try:
            if self._arm is None:
                self._connect()
            state = self._arm.read_once()
            if state.current_errors or state.robot_mode == self._franka.RobotMode.Reflex:
                self._arm.automatic_error_recovery()
            self._require_no_fault()
        except self._errors as error:
            return f"no recovery: {_one_line(error)}"
        return ""


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def main(name: str, address: str, commands: int, states: int) -> int:
    """Runs the loop until SIGTERM; 0 after a clean end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C: the adapter ends first, then this.
    die_with_parent()
    robot = load_robot(name)
    if robot.fci is None:
        print(f"robot {robot.name}: fci: the section is missing", file=sys.stderr)
        return 1
    fci = robot.fci.model_copy(update={"address": address})
    loop = ArmLoop(robot, fci, SharedRecord(commands, ARM_COMMAND), SharedRecord(states, ARM_STATE))
    signal.signal(signal.SIGTERM, lambda *_: loop.stop())
    ctypes.CDLL(None).mlockall(_MCL_CURRENT | _MCL_FUTURE)
    gc.freeze()
    gc.disable()
    loop.run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))

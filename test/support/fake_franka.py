# SPDX-License-Identifier: Apache-2.0
"""A stand-in for pylibfranka whose arm stops itself at the next state, for the processes' order of
calls; the server of `franka_sim` speaks the protocol."""

from __future__ import annotations

import importlib.machinery
import types
from enum import Enum
from typing import Any

import numpy as np


class FrankaError(Exception):
    """As FrankaException."""


class RobotMode(Enum):
    """Those that the arm's process knows."""

    Idle = 1
    UserStopped = 2
    Reflex = 3


class FakeFranka(types.ModuleType):
    """The module, its one robot, and the names of the calls so far."""

    FrankaException = FrankaError
    RobotMode = RobotMode
    RealtimeConfig = types.SimpleNamespace(kEnforce=1, kIgnore=0)
    ControllerMode = types.SimpleNamespace(JointImpedance=0)

    def __init__(self) -> None:
        super().__init__("pylibfranka")
        self.__spec__ = importlib.machinery.ModuleSpec("pylibfranka", None)
        self.calls: list[str] = []
        self.reflex = self.connected = True
        self.when_read = lambda: None
        self.when_moved = lambda: None

    def CartesianVelocities(self, twist: list[float]) -> Any:
        return types.SimpleNamespace(twist=twist, motion_finished=False)

    def Robot(self, address: str, realtime: int) -> Any:
        self.calls.append("connect")
        return _Robot(self)

    def Gripper(self, address: str) -> Any:
        self.calls.append("connect")
        return _Gripper(self)


class _Gripper:
    def __init__(self, franka: FakeFranka) -> None:
        self._franka = franka

    def read_once(self) -> Any:
        self._franka.when_read()
        return types.SimpleNamespace(width=0.04, max_width=0.08)

    def grasp(self, *how: float) -> None:
        self._franka.calls.append("close")
        self._franka.when_moved()

    def move(self, *how: float) -> None:
        self._franka.calls.append("open")
        self._franka.when_moved()


class _Robot:
    def __init__(self, franka: FakeFranka) -> None:
        self._franka = franka

    def load_model(self) -> Any:
        jacobian = np.vstack([np.eye(6), np.zeros((1, 6))])
        return types.SimpleNamespace(zero_jacobian=lambda state: jacobian.ravel())

    def read_once(self) -> Any:
        self._franka.when_read()
        if not self._franka.connected:
            raise FrankaError("libfranka: Connection lost")
        mode = RobotMode.Reflex if self._franka.reflex else RobotMode.Idle
        pose = np.eye(4).T.ravel()
        errors = "[cartesian_reflex]" if self._franka.reflex else ""
        return types.SimpleNamespace(
            robot_mode=mode, current_errors=errors, O_T_EE=pose, q=[0.0] * 7, dq=[0.0] * 7
        )

    def set_collision_behavior(self, *limits: list[float]) -> None:
        self._call("set_collision_behavior")

    def automatic_error_recovery(self) -> None:
        self._franka.calls.append("recover")
        self._franka.reflex = False

    def start_cartesian_velocity_control(self, mode: int) -> Any:
        self._call("start")
        return _Motion(self._franka)

    def _call(self, name: str) -> None:
        if self._franka.reflex:
            raise FrankaError(f"libfranka: {name} rejected: reflex")
        self._franka.calls.append(name)


class _Motion:
    def __init__(self, franka: FakeFranka) -> None:
        self._franka = franka

    def readOnce(self) -> Any:
        self._franka.reflex = True
        raise FrankaError("libfranka: motion aborted by reflex")

    def __del__(self) -> None:
        self._franka.calls.append("stop")

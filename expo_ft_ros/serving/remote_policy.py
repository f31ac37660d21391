# SPDX-License-Identifier: Apache-2.0
"""A policy that runs on a server: a chunk for an observation, or the reason why there is none.

It is evaluated and never trained: a server gives chunks, and no noise, loss or weights.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from expo_ft_ros.data.types import ACTION_DIM, FloatArray, Observation
from expo_ft_ros.robots import RobotConfig
from expo_ft_ros.serving.client import (
    BadReply,
    PolicyConnection,
    PolicyServerError,
    ServerGone,
    ServerLost,
)
from expo_ft_ros.serving.config import PolicyServerConfig
from expo_ft_ros.serving.observations import ObservationWriter, steps_left_wanted
from expo_ft_ros.tasks import TaskConfig

OVERSHOOT = 0.5
"""By so much an action may leave [-1, 1], and is cut: flow policies overshoot a little. What leaves
it by more is of other units."""

_FIRST_CONNECT = 10.0
"""Before anything moves a connection, and the metadata, may take so long: this machine starts a
whole graph then, and the server may be loading [s]."""

_FIRST_WAIT, _LONGEST_WAIT = 0.25, 4.0  # between two tries to connect [s]


class RemotePolicy:
    """Asks a server, and connects again, by and by less often, when it was lost.

    One thread uses it. Nothing here waits: `act` fails at once while the server is lost, and
    `try_again` is to be called now and then.

    Args:
        address: ws://host:port.
        config: Of the server.
        task: What is evaluated.
        robot: That is driven.
        clock: A steady one [s].

    Raises:
        ConfigError: where the configuration doesn't fit the robot.
    """

    def __init__(
        self,
        address: str,
        config: PolicyServerConfig,
        task: TaskConfig,
        robot: RobotConfig,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.address = address
        self._config, self._task, self._robot = config, task, robot
        self._clock = clock
        self._writer = ObservationWriter(config, robot)
        self._connection: PolicyConnection | None = None
        self._horizon: int | None = None
        self._cause: ServerLost | None = None
        # Since when it is lost, and how long it was before since the last answer: one that lets
        # connect and never answers is lost again and again.
        self._lost_since: float | None = None
        self._lost_before = 0.0
        self._next_try = 0.0
        self._wait = _FIRST_WAIT

    @property
    def lost(self) -> str:
        """Why there is no chunk now; "" while the server is there."""
        return str(self._cause or "")

    @property
    def metadata(self) -> Mapping[Any, Any]:
        """What the server says of itself; nothing before `open`."""
        return self._connection.metadata if self._connection else {}

    def open(self) -> None:
        """Connects, and has a made-up observation answered: what the server says of itself, its
        horizon and its action's width are held against task and robot before anything moves.

        Raises:
            ServerLost: where it isn't there.
            BadReply: where it isn't a server for this task, robot and configuration.
        """
        connection = self._connect(max(_FIRST_CONNECT, self._config.connect_timeout))
        try:
            self._ask(connection, self._writer.example(self._task), self._config.first_timeout)
        except PolicyServerError:
            self.close()
            raise

    def act(self, observation: Observation) -> FloatArray:
        """(H, 7) robot-normalised actions within [-1, 1].

        Raises:
            ServerLost: where the server is lost, or is found to be; see `lost`.
            BadReply: for what can't be executed.
            ServerGone: as `try_again`.
        """
        if self._connection is None:
            raise self._cause or ServerLost(f"policy server {self.address}: not connected yet")
        try:
            actions = self._ask(self._connection, observation, self._config.timeout)
        except ServerLost as error:
            self._lose(error)
            raise
        self._lost_before = 0.0
        return actions

    def try_again(self) -> None:
        """Looks whether the server is still there; where it is lost, and it is time to, connects
        again. See `lost` for how it stands then.

        Raises:
            BadReply: where it has become another one.
            ServerGone: where it was lost for `give_up_after` since it last answered.
        """
        if self._connection is not None:
            try:
                self._connection.require_open()
            except ServerLost as error:
                self._lose(error)
        now = self._clock()
        if self._cause is None or now < self._next_try:
            return
        try:
            self._connect(self._config.connect_timeout)
        except ServerLost as error:
            self._require_patience(error)
            self._next_try = now + self._wait
            self._wait = min(2 * self._wait, _LONGEST_WAIT)
            return
        self._cause, self._wait = None, _FIRST_WAIT
        self._lost_before, self._lost_since = self._lost_for(), None

    def close(self) -> None:
        """Closes the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    # -- how ------------------------------------------------------------------------------------
    def _connect(self, timeout: float) -> PolicyConnection:
        made = PolicyConnection(self.address, timeout)
        try:
            self._require_fit(made.metadata)
        except BadReply:
            made.close()
            raise
        self._connection = made
        return made

    def _lose(self, error: ServerLost) -> None:
        self.close()
        self._cause, self._next_try = error, self._clock()
        if self._lost_since is None:
            self._lost_since = self._next_try
        self._require_patience(error)

    def _lost_for(self) -> float:
        """How long it was lost since the last answer [s]."""
        since = self._lost_since
        return self._lost_before + (0.0 if since is None else self._clock() - since)

    def _require_patience(self, error: ServerLost) -> None:
        if (lost := self._lost_for()) >= self._config.give_up_after:
            raise ServerGone(
                f"{error}; it was lost for {lost:.0f} s, which ends the run (give_up_after)"
            ) from error

    def _ask(
        self, connection: PolicyConnection, observation: Observation, timeout: float
    ) -> FloatArray:
        time_left = steps_left_wanted(connection.metadata, self._config)
        message = self._writer.message(observation, time_left=time_left)
        return self._checked(connection.request(message, timeout).get("actions"))

    def _checked(self, actions: object) -> FloatArray:
        steps = self._task.execute_steps
        if not isinstance(actions, np.ndarray) or actions.dtype.kind not in "iuf":
            raise self._bad(f"actions is {type(actions).__name__}, not an array of numbers")
        if actions.ndim != 2 or actions.shape[1] != ACTION_DIM:
            raise self._bad(
                f"actions has shape {actions.shape}, wanted is (H, {ACTION_DIM}): linear and "
                "angular velocity of the tool, and of the gripper's opening (serve a policy that "
                "was trained on such)"
            )
        if len(actions) < steps:
            raise self._bad(
                f"a horizon of {len(actions)} is shorter than the {steps} steps that task "
                f"{self._task.name} executes of a chunk (execute_steps)"
            )
        if self._horizon not in (None, len(actions)):
            raise self._bad(f"its horizon was {self._horizon} and is {len(actions)} now")
        self._horizon = len(actions)
        if not np.isfinite(actions).all():
            step, axis = np.argwhere(~np.isfinite(actions))[0]
            raise self._bad(f"step {step} of a chunk: number {axis} is {actions[step, axis]}")
        if np.abs(actions).max() > 1.0 + OVERSHOOT:
            step, axis = np.argwhere(np.abs(actions) > 1.0 + OVERSHOOT)[0]
            raise self._bad(
                f"step {step} of a chunk: number {axis} is {actions[step, axis]:g}, actions are "
                "within [-1, 1] of the robot's limits (is it a policy of other units?)"
            )
        return np.clip(actions, -1.0, 1.0).astype(np.float32)

    def _require_fit(self, metadata: Mapping[Any, Any]) -> None:
        """What a server of ours says of itself fits; others may say nothing."""
        wanted = {
            "task": self._task.name,
            "control_hz": self._task.control_hz,
            "action_dim": ACTION_DIM,
            "limits": self._robot.limits.model_dump(mode="json"),
        }
        for name, ours in wanted.items():
            theirs = metadata.get(name, ours)
            if not _equal(theirs, ours):
                raise self._bad(
                    f"it serves a policy of {name} {theirs!r}, here {name} is {ours!r} (take the "
                    "task and robot that it was trained with, or serve another policy)"
                )

    def _bad(self, what: str) -> BadReply:
        return BadReply(f"policy server {self.address}: {what}")


def _equal(theirs: Any, ours: Any) -> bool:
    """Whether what a server says, which may be anything, is one of our texts, numbers or dicts of
    these."""
    if isinstance(ours, dict):
        same = isinstance(theirs, dict) and theirs.keys() == ours.keys()
        return same and all(_equal(theirs[name], value) for name, value in ours.items())
    return isinstance(theirs, str | int | float) and bool(theirs == ours)

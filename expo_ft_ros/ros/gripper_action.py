# SPDX-License-Identifier: Apache-2.0
"""A gripper that is told by an action: one goal at a time, the newest.

franka_gripper runs each goal in a thread of its own and stops the hand where a goal is cancelled
(franka_gripper/src/gripper_action_server.cpp, jazzy); so the one before is cancelled first.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Any

from action_msgs.srv import CancelGoal
from rclpy.action.client import ActionClient
from rclpy.task import Future

from expo_ft_ros.robots.gripper import GripperGoal
from expo_ft_ros.robots.ros2_control import CONTROL_MSGS, FRANKA_MSGS, GripperActionConfig
from expo_ft_ros.ros.graph_node import GraphNode
from expo_ft_ros.ros.optional_interfaces import foreign_interface

AnyNode = GraphNode[Any]
Request = tuple[ActionClient[Any, Any, Any], Any]
"""Whom to ask, and the goal."""

ANSWER_TIME = 3.0
"""A server that takes longer to accept a goal, or to end a cancelled one, has lost it [s]."""


class ActionGripper:
    """Sends a goal when it is given, once; nothing here blocks."""

    def __init__(
        self,
        node: AnyNode,
        config: GripperActionConfig,
        max_width: float,
        warn: Callable[[str], None],
    ) -> None:
        """Makes the clients.

        Args:
            node: Whose they are.
            config: Kind and name.
            max_width: Opening between the fingertips when open [m].
            warn: Called with what went wrong.

        Raises:
            ConfigError: where the action's package isn't installed.
        """
        self._node, self._config, self._warn = node, config, warn
        make = {"franka": _franka, "command": _command, "parallel": _parallel}[config.kind]
        self._requests: dict[GripperGoal, Request] = make(node, config, max_width)
        self._wanted: GripperGoal | None = None
        self._newest = 0
        self._abandon()

    @property
    def is_ready(self) -> bool:
        """Whether its server is there."""
        return all(client.server_is_ready() for client, _ in self._requests.values())

    def give(self, goal: GripperGoal) -> None:
        """Replaces the goal before by this one. One that can't be sent now is forgotten: a gripper
        that moves late surprises. So is one before that its server doesn't answer for."""
        if not self._requests[goal][0].server_is_ready():
            self._abandon()
            self._warn(
                f"gripper: {self._config.name}: no action server, so it doesn't {goal.value}"
            )
            return
        waited = 0.0 if self._waits_since is None else time.monotonic() - self._waits_since
        if waited > ANSWER_TIME:
            self._abandon()
            self._warn(
                f"gripper: {self._config.name} has not answered for {waited:.1f} s: the goal "
                "before is forgotten (is its driver well?)"
            )
        self._wanted = goal
        if self._running is not None:
            self._cancel()
        elif not self._asking:
            self._ask()

    def forget(self) -> None:
        """What has not begun doesn't begin any more: neither the goal that waits for the one before
        to be cancelled, nor one that the server has yet to accept. One that runs is finished."""
        self._wanted = None
        self._drops_answer = self._asking

    def close(self) -> None:
        """Frees the clients."""
        for client in {id(client): client for client, _ in self._requests.values()}.values():
            client.destroy()

    def _abandon(self) -> None:
        """Waits for nothing any more; what still comes is of an older request."""
        self._newest += 1
        self._wanted = None
        self._running: Any = None
        self._asking, self._drops_answer = False, False
        self._waits_since: float | None = None

    def _ask(self) -> None:
        goal, self._wanted = self._wanted, None
        if goal is None:
            return
        client, request = self._requests[goal]
        self._newest += 1
        self._asking, self._drops_answer = True, False
        self._waits_since = time.monotonic()
        answered = functools.partial(self._answered, self._newest)
        self._node.when_done(client.send_goal_async(request), answered)

    def _answered(self, number: int, future: Future[Any]) -> None:
        handle = future.result()
        if number != self._newest:
            if handle is not None and handle.accepted:  # Late, and forgotten meanwhile.
                self._node.when_done(handle.cancel_goal_async(), lambda _: None)
            return
        self._asking, self._waits_since = False, None
        if handle is None or not handle.accepted:
            self._warn(f"gripper: {self._config.name} refused a goal")
            self._ask()
            return
        self._running = handle
        if self._wanted is not None or self._drops_answer:
            self._cancel()
        finished = functools.partial(self._finished, number)
        self._node.when_done(handle.get_result_async(), finished)

    def _cancel(self) -> None:
        if self._waits_since is None:
            self._waits_since = time.monotonic()
        cancelled = functools.partial(self._cancelled, self._newest)
        self._node.when_done(self._running.cancel_goal_async(), cancelled)

    def _cancelled(self, number: int, future: Future[Any]) -> None:
        """A server that was started anew doesn't know the goal, which never ends then."""
        answer = future.result()
        unknown = getattr(answer, "return_code", 0) == CancelGoal.Response.ERROR_UNKNOWN_GOAL_ID
        if number == self._newest and unknown:
            self._running, self._waits_since = None, None
            self._newest += 1
            self._ask()

    def _finished(self, number: int, future: Future[Any]) -> None:
        if number != self._newest:
            return
        cancelled = self._waits_since is not None
        self._running, self._waits_since = None, None
        error = getattr(getattr(future.result(), "result", None), "error", "")
        if error and not cancelled:
            self._warn(f"gripper: {self._config.name}: {error}")
        self._ask()


def _franka(node: AnyNode, config: GripperActionConfig, width: float) -> dict[GripperGoal, Request]:
    """move and grasp of franka_gripper; a grasp takes whatever is between the fingers."""
    move = foreign_interface(FRANKA_MSGS, "action", "Move")
    grasp = foreign_interface(FRANKA_MSGS, "action", "Grasp")
    wide = grasp.Goal(width=0.0, speed=config.speed, force=config.force)
    wide.epsilon.inner = wide.epsilon.outer = width
    return {
        GripperGoal.OPEN: (
            ActionClient(node, move, f"{config.name}/move"),
            move.Goal(width=width, speed=config.speed),
        ),
        GripperGoal.CLOSE: (ActionClient(node, grasp, f"{config.name}/grasp"), wide),
    }


def _command(
    node: AnyNode, config: GripperActionConfig, width: float
) -> dict[GripperGoal, Request]:
    """control_msgs/GripperCommand, of position_controllers/GripperActionController."""
    action = foreign_interface(CONTROL_MSGS, "action", "GripperCommand")
    client: ActionClient[Any, Any, Any] = ActionClient(node, action, config.name)

    def to(opening: float) -> Request:
        goal = action.Goal()
        goal.command.position = config.position_of(opening, width)
        goal.command.max_effort = config.force
        return client, goal

    return {GripperGoal.OPEN: to(width), GripperGoal.CLOSE: to(0.0)}


def _parallel(
    node: AnyNode, config: GripperActionConfig, width: float
) -> dict[GripperGoal, Request]:
    """control_msgs/ParallelGripperCommand, of parallel_gripper_action_controller, which takes one
    position and looks at no name."""
    action = foreign_interface(CONTROL_MSGS, "action", "ParallelGripperCommand")
    client: ActionClient[Any, Any, Any] = ActionClient(node, action, config.name)

    def to(opening: float) -> Request:
        goal = action.Goal()
        goal.command.position = [config.position_of(opening, width)]
        goal.command.effort = [config.force]
        return client, goal

    return {GripperGoal.OPEN: to(width), GripperGoal.CLOSE: to(0.0)}

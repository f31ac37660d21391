# SPDX-License-Identifier: Apache-2.0
"""A gripper that is told by an action: one goal at a time, the newest.

franka_gripper runs each goal in a thread of its own and stops the hand where a goal is cancelled
(franka_gripper/src/gripper_action_server.cpp, jazzy); so the one before is cancelled first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.action.client import ActionClient
from rclpy.task import Future

from expo_ft_ros.robots.gripper import GripperGoal
from expo_ft_ros.robots.ros2_control import CONTROL_MSGS, FRANKA_MSGS, GripperActionConfig
from expo_ft_ros.ros.graph_node import GraphNode
from expo_ft_ros.ros.optional_interfaces import foreign_interface

AnyNode = GraphNode[Any]
Request = tuple[ActionClient[Any, Any, Any], Any]
"""Whom to ask, and the goal."""


class ActionGripper:
    """Sends a goal when it is given, once; nothing here blocks."""

    def __init__(
        self,
        node: AnyNode,
        config: GripperActionConfig,
        max_width: float,
        complain: Callable[[str], None],
    ) -> None:
        """Makes the clients.

        Args:
            node: Whose they are.
            config: Kind and name.
            max_width: Opening between the fingertips when open [m].
            complain: Called with what went wrong.

        Raises:
            ConfigError: where the action's package isn't installed.
        """
        self._node, self._config, self._complain = node, config, complain
        make = _franka if config.kind == "franka" else _command
        self._requests: dict[GripperGoal, Request] = make(node, config, max_width)
        self._wanted: GripperGoal | None = None
        self._asking = False
        self._running: Any = None

    @property
    def is_ready(self) -> bool:
        """Whether its server is there."""
        return all(client.server_is_ready() for client, _ in self._requests.values())

    def give(self, goal: GripperGoal) -> None:
        """Replaces the goal before by this one. One that can't be sent now is forgotten: a gripper
        that moves late surprises."""
        if not self._requests[goal][0].server_is_ready():
            self._complain(
                f"gripper: {self._config.name}: no action server, so it doesn't {goal.value}"
            )
            return
        self._wanted = goal
        if self._running is not None:
            self._node.when_done(self._running.cancel_goal_async(), lambda _: None)
        elif not self._asking:
            self._ask()

    def close(self) -> None:
        """Frees the clients."""
        for client in {id(client): client for client, _ in self._requests.values()}.values():
            client.destroy()

    def _ask(self) -> None:
        goal, self._wanted = self._wanted, None
        if goal is None:
            return
        client, request = self._requests[goal]
        self._asking = True
        self._node.when_done(client.send_goal_async(request), self._answered)

    def _answered(self, future: Future[Any]) -> None:
        self._asking = False
        handle = future.result()
        if handle is None or not handle.accepted:
            self._complain(f"gripper: {self._config.name} refused a goal")
            self._ask()
            return
        self._running = handle
        if self._wanted is not None:
            self._node.when_done(handle.cancel_goal_async(), lambda _: None)
        self._node.when_done(handle.get_result_async(), self._finished)

    def _finished(self, future: Future[Any]) -> None:
        self._running = None
        answer = future.result()
        error = getattr(getattr(answer, "result", None), "error", "")
        if error and self._wanted is None:
            self._complain(f"gripper: {self._config.name}: {error}")
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
    """control_msgs/GripperCommand, whose position is the opening or one finger's."""
    action = foreign_interface(CONTROL_MSGS, "action", "GripperCommand")
    client: ActionClient[Any, Any, Any] = ActionClient(node, action, config.name)

    def to(opening: float) -> Request:
        goal = action.Goal()
        goal.command.position = opening / config.opening_per_position
        goal.command.max_effort = config.force
        return client, goal

    return {GripperGoal.OPEN: to(width), GripperGoal.CLOSE: to(0.0)}

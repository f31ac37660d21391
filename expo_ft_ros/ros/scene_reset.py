# SPDX-License-Identifier: Apache-2.0
"""Asks the world to reset the scene, by the service sim/reset."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.task import Future

from expo_ft_ros.control.plan import Plan
from expo_ft_ros.recording.messages import nanoseconds
from expo_ft_ros.ros.graph_node import GraphNode
from expo_ft_ros.srv import ResetScene

PATIENCE = 5.0
"""Who hasn't answered for so long is asked again [s]."""


class SceneResetClient:
    """Asks once for each plan, however often `ask` is called, and again where no answer comes.

    on_set(episode, valid_from): the scene is reset, and shown from that stamp on [ns];
    on_failed(episode, cause): it can't be.
    """

    def __init__(
        self,
        node: GraphNode[Any],
        on_set: Callable[[int, int], None],
        on_failed: Callable[[int, str], None],
    ) -> None:
        self._node = node
        self._on_set, self._on_failed = on_set, on_failed
        self._client = node.client("sim/reset", needed=True)
        self._asked: tuple[int, float] | None = None

    def ask(self, plan: Plan) -> None:
        """Asks for the plan's scene, unless its answer is still to be expected."""
        now = self._node.wall_time()
        if self._asked is not None:
            episode, since = self._asked
            if episode == plan.episode and now - since < PATIENCE:
                return
        if not self._client.service_is_ready():
            return
        self._asked = plan.episode, now
        request = ResetScene.Request(seed=plan.seed, episode=plan.episode)
        future = self._client.call_async(request)
        self._node.when_done(future, lambda done: self._answered(plan.episode, done))

    def _answered(self, episode: int, future: Future[ResetScene.Response]) -> None:
        response = future.result()
        if response is None:
            return
        if response.success:
            self._on_set(episode, nanoseconds(response.valid_from))
        else:
            self._on_failed(episode, response.message)

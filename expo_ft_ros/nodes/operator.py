# SPDX-License-Identifier: Apache-2.0
"""The scripted operator: sees the simulation, moves a SpaceMouse.

It is silent while idle, as the real device is. `sim/operator_ready` follows each of its moves, so
that lock-step time never passes it by.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import Joy
from std_msgs.msg import Header

from expo_ft_ros.devices.teleop import TeleopConfig
from expo_ft_ros.msg import EpisodeState, SessionPlan, SimState, Step
from expo_ft_ros.msg import Proprio as ProprioMsg
from expo_ft_ros.recording.messages import nanoseconds, pose_arrays, proprio_from_msg
from expo_ft_ros.robots import load_robot
from expo_ft_ros.ros.graph_node import GraphNode, NodeParameters, parameter
from expo_ft_ros.ros.messages import twist_of
from expo_ft_ros.ros.process import main as run_nodes
from expo_ft_ros.ros.session_messages import plan_from_msg
from expo_ft_ros.tasks import load_task
from expo_ft_ros.tasks.experts import NOBODY, ScriptedOperator
from expo_ft_ros.tasks.spacemouse_emulator import DeviceInput


@dataclass(frozen=True)
class OperatorParameters(NodeParameters):
    """Parameters of the operator node."""

    seed: int = parameter(0, "Seed of the expert's habits.", low=0, high=2**31)
    operator_rate: float = parameter(
        1.0, "How readily it steps in while correcting, 0 to 1.", low=0.0, high=1.0
    )
    operator_share: float = parameter(
        1.0, "Share of the online episodes in which it corrects at all.", low=0.0, high=1.0
    )


class OperatorNode(GraphNode[OperatorParameters]):
    """Answers every time of the simulation once, and again when it is shown again."""

    NAME = "operator"
    PARAMETERS = OperatorParameters

    def _setup(self) -> None:
        task = load_task(self.parameters.task)
        wanted = self.parameters
        self._operator = ScriptedOperator(
            task,
            load_robot(wanted.robot).limits,
            TeleopConfig.load(),
            wanted.seed,
            wanted.operator_rate,
            wanted.operator_share,
        )
        self._proprio: ProprioMsg | None = None
        self._truth: SimState | None = None
        self._plan = SessionPlan(operator_mode=NOBODY)
        self._episode = EpisodeState()
        self._began_ns = 0
        self._answered_ns = 0
        self._step = Step()
        self._twist_out = self.publisher("spacenav/twist", needed=1)
        self._joy_out = self.publisher("spacenav/joy", needed=1)
        self._ready_out = self.publisher("sim/operator_ready", needed=int(self.parameters.lockstep))
        self.subscription("session/plan", self._on_plan)
        self.subscription("episode/state", self._on_episode)
        self.subscription("proprio", self._on_proprio)
        self.subscription("step", self._on_step)
        self.subscription("sim/state", self._on_truth)

    def _on_plan(self, message: SessionPlan) -> None:
        plan_from_msg(message)  # refuses one that is none
        self._plan = message
        self._answer()

    def _on_episode(self, message: EpisodeState) -> None:
        if message.episode > self._episode.episode:
            self._began_ns = 0
        self._episode = message
        if message.state == EpisodeState.RUNNING and self._began_ns == 0:
            self._began_ns = nanoseconds(message.header.stamp)
        elif message.state != EpisodeState.RUNNING and self.parameters.lockstep:
            # In real time at its next look: a fall to zero right after a push is a device's loss.
            self._send(self._operator.rest())
        self._answer()

    def _on_proprio(self, message: ProprioMsg) -> None:
        if self._proprio is None or _not_before(message, self._proprio):
            self._proprio = message
        self._answer()

    def _on_step(self, message: Step) -> None:
        if _not_before(message, self._step):
            self._step = message
        if self.parameters.lockstep:
            self._answer()

    def _on_truth(self, message: SimState) -> None:
        if self._truth is None or _not_before(message, self._truth):
            self._truth = message
        self._answer()

    def _answer(self) -> None:
        if self._truth is None or self._proprio is None:
            return
        time_ns = nanoseconds(self._truth.header.stamp)
        if nanoseconds(self._proprio.header.stamp) < time_ns:
            return
        if not self._may_look(time_ns):
            return
        if time_ns > self._answered_ns:
            self._answered_ns = time_ns
            self._send(self._look(time_ns, self._truth, self._proprio))
        if self.parameters.lockstep:
            self._ready_out.publish(Header(stamp=self._truth.header.stamp))

    def _may_look(self, time_ns: int) -> bool:
        """In lock-step it looks when the present tick has been executed, and it knows its episode.

        So what it does never depends on who was faster, and it does nothing in a tick that only
        ended an episode.
        """
        if not self.parameters.lockstep:
            return True
        episode = self._step.episode
        return (
            nanoseconds(self._step.header.stamp) == time_ns
            and self._episode.episode == self._plan.episode == episode
            and self._began_ns > 0
        )

    def _look(self, time_ns: int, truth: SimState, proprio: ProprioMsg) -> DeviceInput:
        plan = self._plan
        if self._episode.state != EpisodeState.RUNNING or plan.episode != self._episode.episode:
            return self._operator.rest()
        self._operator.begin(plan.episode, int(plan.seed))
        return self._operator.look(
            1e-9 * (time_ns - self._began_ns),
            plan.operator_mode,
            proprio_from_msg(proprio),
            lambda: _objects(truth),
        )

    def _send(self, device_input: DeviceInput) -> None:
        if device_input.readings is not None:
            self._twist_out.publish(twist_of(device_input.readings[:3], device_input.readings[3:]))
        for buttons in device_input.presses:
            self._joy_out.publish(Joy(buttons=list(buttons)))


def _not_before(message: Any, newest: Any) -> bool:
    return nanoseconds(message.header.stamp) >= nanoseconds(newest.header.stamp)


def _objects(
    state: SimState,
) -> Mapping[str, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    return {n: pose_arrays(p) for n, p in zip(state.names, state.poses, strict=True)}


def main() -> None:
    """Runs the operator node."""
    run_nodes(OperatorNode)


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: Apache-2.0
"""Corrections by a leader arm: its joints become what a joystick would say on `joy`.

The leader's own driver publishes its joint states, robot_state_publisher its URDF (or a file has
it). A leader that is lost is told as readings that are no numbers, which teleop takes for a loss.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sensor_msgs.msg import JointState, Joy
from std_msgs.msg import String

from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.control.thread_priority import DEVICE_PRIORITY
from expo_ft_ros.data.types import Source
from expo_ft_ros.devices.leader import Leader, Pose, Vector
from expo_ft_ros.devices.leader_config import (
    LEADER,
    LEADER_FILE,
    LeaderConfig,
    angles_of,
    require_base_axes,
)
from expo_ft_ros.devices.teleop import TeleopConfig
from expo_ft_ros.msg import EpisodeState, Proprio, Step
from expo_ft_ros.recording.messages import BadMessage, proprio_from_msg
from expo_ft_ros.robots import load_robot
from expo_ft_ros.robots.arm_model import ArmModel, urdf_of
from expo_ft_ros.ros.graph_node import ERROR, OK, WARN, GraphNode, NodeParameters
from expo_ft_ros.ros.messages import header_of
from expo_ft_ros.ros.process import main as run_nodes
from expo_ft_ros.tasks import load_task


@dataclass(frozen=True)
class LeaderParameters(NodeParameters):
    """Parameters of the leader node."""


class LeaderNode(GraphNode[LeaderParameters]):
    """Thin over `devices.leader.Leader`."""

    NAME = LEADER
    URGENT = DEVICE_PRIORITY
    PARAMETERS = LeaderParameters

    def _setup(self) -> None:
        config = self._config = LeaderConfig.load()
        config.require_stable(load_task(self.parameters.task).period)
        require_base_axes(TeleopConfig.load(device=LEADER))
        self._limits = load_robot(self.parameters.robot).limits
        self._leader: Leader | None = None
        self._urdf, self._no_model = "", f"{config.description}: no URDF has come"
        self._heard, self._said = False, ""
        self._tool: Pose | None = None
        self._step, self._episode = Step(), EpisodeState()
        self._out = self.publisher("joy", needed=1)
        if config.urdf is not None:
            self._read_model(urdf_of(config.urdf, f"config/{LEADER_FILE}: urdf"))
        else:
            topic = config.description
            name = "leader/robot_description"
            self.subscription(name, self._on_description, needed=False, remapped=topic)
        self.subscription("leader/joint_states", self._on_joints, remapped=config.joint_states)
        if config.clutch == "button":
            self.subscription("leader/joy", self._on_joy)
        self.subscription("proprio", self._on_proprio, needed=False)
        self.subscription("step", self._on_step, needed=False)
        self.subscription("episode/state", self._on_episode, needed=False)
        self.wall_timer(1 / config.rate, self._read)

    def _is_ready(self) -> bool:
        return self._heard

    def _read_model(self, urdf: str) -> None:
        config = self._config
        model = ArmModel(urdf, config.joints, config.base, config.tip)
        self._leader = Leader(config, self._limits, model)

    def _on_description(self, message: String) -> None:
        """Another URDF than the one before is another leader, whose hand nobody knows."""
        if message.data == self._urdf:
            return
        self._urdf, before = message.data, self._leader
        try:
            self._read_model(message.data)
        except ConfigError as error:
            self._no_model = f"{self._config.description}: {error}"
            self._leader = None
        if before is not None:
            self._tell(np.full(6, np.nan), [0, 0, 0])

    def _on_joints(self, message: JointState) -> None:
        if self._leader is None:
            return
        try:
            positions = angles_of(message.name, message.position, self._config.wanted)
        except ValueError as error:
            self._leader.lose(str(error))
            raise BadMessage(str(error)) from error
        self._heard = True
        self._leader.take(positions, self.wall_time())

    def _on_joy(self, message: Joy) -> None:
        number = self._config.clutch_button
        if len(message.buttons) <= number:
            raise BadMessage(
                f"{len(message.buttons)} buttons, clutch_button {number} of config/{LEADER_FILE} "
                f"needs {number + 1}"
            )
        if self._leader is not None:
            self._leader.press(bool(message.buttons[number]), self.wall_time())

    def _on_proprio(self, message: Proprio) -> None:
        state = proprio_from_msg(message)
        self._tool = state.position, state.quaternion

    def _on_step(self, message: Step) -> None:
        self._step = message

    def _on_episode(self, message: EpisodeState) -> None:
        self._episode = message

    @property
    def _driven(self) -> bool:
        """Whether the arm does what the operator says: not before a takeover, nor while a pause, a
        stop or a reset has it, which may move it."""
        runs = self._episode.state == EpisodeState.RUNNING
        of_now = self._step.episode == self._episode.episode
        return bool(runs and of_now and self._step.source == Source.HUMAN)

    def _read(self) -> None:
        if self._leader is None:
            self.report(WARN, f"nobody can take over: {self._no_model}")
            return
        reading = self._leader.reading(self._tool, self._driven, self.wall_time())
        if reading is None:
            topic = self.resolve_topic_name(self._config.joint_states)
            self.report(WARN, f"nobody can take over: nothing has come on {topic}")
            return
        self._tell(*reading)
        loss = self._leader.loss
        if loss and loss != self._said:
            self.get_logger().warning(f"the leader counts as lost: {loss}")
        self._said = loss
        self.report(*((ERROR, f"lost: {loss}") if loss else (OK, "ready")))

    def _tell(self, axes: Vector, buttons: list[int]) -> None:
        header = header_of(self.now_ns())
        self._out.publish(Joy(header=header, axes=axes.tolist(), buttons=buttons))


def main() -> None:
    """Runs the leader node."""
    run_nodes(LeaderNode)


if __name__ == "__main__":
    main()

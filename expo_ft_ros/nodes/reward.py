# SPDX-License-Identifier: Apache-2.0
"""The task's reward classifier on every observation of an episode."""

from __future__ import annotations

from dataclasses import dataclass

from expo_ft_ros.graph.topics import CALLBACK_TIMEOUT_LONG
from expo_ft_ros.msg import Observation as ObservationMsg
from expo_ft_ros.msg import Reward as RewardMsg
from expo_ft_ros.recording.messages import observation_from_msg
from expo_ft_ros.robots import load_robot
from expo_ft_ros.ros.graph_node import GraphNode, NodeParameters, parameter
from expo_ft_ros.ros.messages import verdict_to_msg
from expo_ft_ros.ros.process import main as run_nodes
from expo_ft_ros.tasks import load_task
from expo_ft_ros.tasks.classifiers import make_classifier, require_views


@dataclass(frozen=True)
class RewardParameters(NodeParameters):
    """Parameters of the reward node."""

    reward_listeners: int = parameter(
        1, "Nodes that must listen to reward before the first episode.", low=0, high=50
    )


class RewardNode(GraphNode[RewardParameters]):
    """One verdict an observation; the same one again when the observation comes again."""

    NAME = "reward"
    CALLBACK_TIMEOUT = CALLBACK_TIMEOUT_LONG
    PARAMETERS = RewardParameters

    def _setup(self) -> None:
        task, robot = load_task(self.parameters.task), load_robot(self.parameters.robot)
        require_views(task, robot)
        self._classifier = make_classifier(task)
        self._view_names = robot.view_names
        self._episode = 0
        self._last: RewardMsg | None = None
        self._out = self.publisher("reward", needed=self.parameters.reward_listeners)
        self.subscription("observation", self._judge)

    def _judge(self, message: ObservationMsg) -> None:
        if message.episode == 0:
            return
        if self._last is None or message.number > self._last.observation:
            observation = observation_from_msg(message, self._view_names)
            if message.episode != self._episode:
                self._episode = message.episode
                self._classifier.reset(observation)
            verdict = self._classifier(observation)
            self._last = verdict_to_msg(verdict, message.number, message.episode, message.header)
        if message.number == self._last.observation:
            self._out.publish(self._last)


def main() -> None:
    """Runs the reward node."""
    run_nodes(RewardNode)


if __name__ == "__main__":
    main()

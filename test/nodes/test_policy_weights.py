# SPDX-License-Identifier: Apache-2.0
"""The policy's node of async mode takes up what a learner publishes, the newest at last."""

from __future__ import annotations

import pytest
from expo_ft_ros.msg import LearnerStatus, Observation
from rclpy.duration import Duration

from expo_ft_ros.control.plan import Plan
from expo_ft_ros.rl.agent import Agent
from expo_ft_ros.rl.config import load_preset
from expo_ft_ros.ros.agent_handle import LIVE_WEIGHTS
from expo_ft_ros.ros.messages import array_to_image, header_of, proprio_to_msg
from expo_ft_ros.ros.session_messages import plan_to_msg
from support.policy_servers import ROBOT, TASK, observation
from support.tiny_training import SMALLEST

pytestmark = pytest.mark.slow


class Learner:
    """Publishes weights and observations, and hears which weights each chunk is of."""

    def __init__(self, graph) -> None:
        config = load_preset(SMALLEST["preset"], SMALLEST["size"])
        self._agent = Agent(TASK, config, ROBOT.views, 1, "expo_ft")
        self.probe, self._path = graph.probe, graph.folder / LIVE_WEIGHTS
        self._status = self.probe.publisher("learner/status")
        self._plan = self.probe.publisher("session/plan")
        self._observation = self.probe.publisher("observation")
        self.versions: dict[int, int] = {}
        self.probe.on("policy/chunk", self._hear)
        self._number = 0
        self.node = graph.start("policy", mode="async", **SMALLEST)
        self.probe.matched()

    def publish(self, version: int, *, told: bool = True) -> None:
        self._agent.version = version
        self._agent.publish_weights(self._path)
        if told:
            self._status.publish(LearnerStatus(version=version))
            self._arrived(self._status)

    def _arrived(self, publisher) -> None:
        """Waits until the policy has it: an observation goes by another way."""
        there = lambda: publisher.wait_for_all_acked(Duration(seconds=0.1))  # noqa: E731
        self.probe.until(there, "its arrival")

    def spoil(self, version: int) -> None:
        self._path.parent.mkdir()
        self._path.write_bytes(b"none")
        self._status.publish(LearnerStatus(version=version))

    def evaluate(self) -> None:
        self._plan.publish(plan_to_msg(Plan("eval_after", 1, 1, 70, "mode", "none", False)))
        self._arrived(self._plan)

    def ask(self, number: int) -> None:
        self._observation.publish(_message(number))

    def acts_by(self) -> int:
        """Version of the weights of the next chunk."""
        self._number += 1
        number = self._number
        self.ask(number)
        self.probe.until(lambda: number in self.versions, "a chunk")
        return self.versions[number]

    def _hear(self, chunk) -> None:
        self.versions[chunk.observation] = chunk.policy_version


def _message(number: int) -> Observation:
    seen, header = observation(number), header_of(number * 10**8)
    return Observation(
        header=header,
        number=number,
        episode=1,
        view_names=list(seen.views),
        views=[array_to_image(image, header) for image in seen.views.values()],
        proprio=proprio_to_msg(seen.proprio, header),
        instruction=seen.instruction,
        steps_left=seen.steps_left,
        chunk_wanted=True,
    )


@pytest.fixture
def learner(graph) -> Learner:
    return Learner(graph)


def test_it_acts_by_what_was_told_last_however_quickly_it_came(learner):
    assert learner.acts_by() == 0
    for version in range(1, 9):
        learner.publish(version)
    seen = []
    learner.probe.until(lambda: seen.append(learner.acts_by()) or seen[-1] == 8, "the newest")
    assert seen == sorted(seen)


def test_an_evaluation_is_of_the_newest_and_of_no_other(learner):
    """Also where its plan comes before the learner's word."""
    learner.publish(1)
    learner.publish(2, told=False)
    learner.evaluate()
    learner.probe.spin(0.5)
    assert learner.acts_by() == 2
    learner.publish(3)
    learner.probe.spin(0.5)
    assert [learner.acts_by() for _ in range(3)] == [2, 2, 2]


def test_weights_that_can_not_be_read_end_it_with_the_file(learner):
    assert learner.acts_by() == 0
    learner.spoil(1)
    learner.probe.spin(0.5)
    learner.ask(99)
    assert learner.node.wait() == 1
    assert f"{LIVE_WEIGHTS.name}: not a whole checkpoint" in learner.node.log.read_text()
    assert 99 not in learner.versions

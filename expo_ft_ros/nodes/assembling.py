"""Feeds an EpisodeAssembler from the topics; the recorder and the learner share it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from expo_ft_ros.data.episode import Episode, EpisodeAssembler, outcome_of
from expo_ft_ros.msg import EpisodeState, SessionPlan
from expo_ft_ros.msg import Observation as ObservationMsg
from expo_ft_ros.msg import Reward as RewardMsg
from expo_ft_ros.msg import Step as StepMsg
from expo_ft_ros.nodes.base import GraphNode
from expo_ft_ros.nodes.convert import observation_from_msg, step_from_msg, verdict_from_msg

# An episode that is over, but of which parts are missing after so long, will not become whole.
GIVE_UP_AFTER = 5.0


class EpisodeFeed:
    """Subscribes for `node` and hands each complete episode to `on_episode`, once.

    on_discarded(number): called for an episode that is not to be learned from.
    """

    def __init__(
        self,
        node: GraphNode[Any],
        assembler: EpisodeAssembler,
        on_episode: Callable[[Episode], None],
        on_discarded: Callable[[int], None] | None = None,
    ) -> None:
        self._node = node
        self._assembler = assembler
        self._on_episode = on_episode
        self._on_discarded = on_discarded
        self._seeds: dict[int, int] = {}
        self._open: dict[int, float] = {}
        self._finished = 0
        node.subscription("observation", self._on_observation)
        node.subscription("step", self._on_step)
        node.subscription("reward", self._on_reward)
        node.subscription("episode/state", self._on_state)
        node.subscription("session/plan", self._on_plan)
        node.wall_timer(1.0, self._give_up)

    def _on_plan(self, message: SessionPlan) -> None:
        self._seeds[message.episode] = message.seed

    def _on_observation(self, message: ObservationMsg) -> None:
        if message.episode > 0:
            self._assembler.add_observation(observation_from_msg(message), message.episode)
            self._hand_on()

    def _on_step(self, message: StepMsg) -> None:
        if message.episode > 0:
            self._assembler.add_step(step_from_msg(message))
            self._hand_on()

    def _on_reward(self, message: RewardMsg) -> None:
        if message.episode > 0:
            self._assembler.add_verdict(message.observation, verdict_from_msg(message))
            self._hand_on()

    def _on_state(self, message: EpisodeState) -> None:
        if message.state != EpisodeState.ENDED or message.episode <= self._finished:
            return
        self._finished = message.episode
        self._assembler.finish(outcome_of(message, self._seeds.get(message.episode, 0)))
        self._open[message.episode] = self._node.wall_time()
        self._hand_on()

    def _hand_on(self) -> None:
        if not self._open:
            return
        for episode in self._assembler.pop_complete():
            self._open.pop(episode.outcome.episode, None)
            self._seeds.pop(episode.outcome.episode, None)
            self._on_episode(episode)
        for number in self._assembler.pop_dropped():
            self._leave_out(number)

    def _leave_out(self, number: int) -> None:
        self._open.pop(number, None)
        self._seeds.pop(number, None)
        if self._on_discarded is not None:
            self._on_discarded(number)

    def _give_up(self) -> None:
        now = self._node.wall_time()
        for number in [n for n, since in self._open.items() if now - since > GIVE_UP_AFTER]:
            self._node.get_logger().error(
                f"episode {number} is over, but parts of it never came: it is left out"
            )
            self._leave_out(number)

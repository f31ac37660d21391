# SPDX-License-Identifier: Apache-2.0
"""From messages to episodes: by one code, whether they come over topics or from a file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from expo_ft_ros.data.episode import Episode, EpisodeAssembler, outcome_of
from expo_ft_ros.recording.messages import observation_from_msg, step_from_msg, verdict_from_msg

PARTS = ("observation", "step", "reward", "episode/state", "session/plan")
"""Topics whose messages an episode is made of."""

ENDED = "ended"


class EpisodeGatherer:
    """Takes messages of `PARTS`, gives whole episodes."""

    def __init__(
        self,
        view_names: Sequence[str] | None,
        image_size: int | None = None,
        *,
        with_discarded: bool = False,
    ) -> None:
        """Begins without an episode.

        Args:
            view_names: As of `observation_from_msg`.
            image_size: As of `EpisodeAssembler`.
            with_discarded: As of `EpisodeAssembler`.
        """
        self._view_names = view_names
        self._assembler = EpisodeAssembler(image_size, with_discarded=with_discarded)
        self._seeds: dict[int, int] = {}
        self._stages: dict[int, str] = {}
        self._finished = 0
        self._take = {
            "observation": self._on_observation,
            "step": self._on_step,
            "reward": self._on_reward,
            "episode/state": self._on_state,
            "session/plan": self._on_plan,
        }

    def take(self, topic: str, message: Any) -> int:
        """Takes a message; gives the number of the episode that it ended, else 0.

        Raises BadMessage as `recording.messages`.
        """
        return self._take[topic](message)

    def pop_complete(self) -> list[Episode]:
        """Episodes that became whole, oldest first; discarded and empty ones are left out."""
        return self._assembler.pop_complete()

    def pop_dropped(self) -> list[int]:
        """Numbers of the ended episodes that were left out."""
        return self._assembler.pop_dropped()

    def give_up(self, episode: int) -> None:
        """Forgets an episode of which parts will never come."""
        self._assembler.give_up(episode)

    def pop_cut_off(self, cause: str) -> Episode | None:
        """The whole steps of the newest episode, whose end never came, marked as not to be learned
        from; None where there are none."""
        if not self._stages:
            return None
        number = max(self._stages)
        return self._assembler.pop_cut_off(
            number, self._stages[number], self._seeds.get(number, 0), cause
        )

    def _on_observation(self, message: Any) -> int:
        if message.episode > 0:
            observation = observation_from_msg(message, self._view_names)
            self._assembler.add_observation(observation, message.episode)
        return 0

    def _on_step(self, message: Any) -> int:
        if message.episode > 0:
            self._assembler.add_step(step_from_msg(message))
        return 0

    def _on_reward(self, message: Any) -> int:
        if message.episode > 0:
            self._assembler.add_verdict(message.observation, verdict_from_msg(message))
        return 0

    def _on_plan(self, message: Any) -> int:
        if message.episode > self._finished:
            self._seeds[message.episode] = message.seed
        return 0

    def _on_state(self, message: Any) -> int:
        number = int(message.episode)
        if number <= self._finished:
            return 0
        self._stages = {number: message.stage}
        if message.state != ENDED:
            return 0
        self._finished = number
        self._assembler.finish(outcome_of(message, self._seeds.get(number, 0)))
        self._seeds = {n: seed for n, seed in self._seeds.items() if n > number}
        return number

# SPDX-License-Identifier: Apache-2.0
"""When update calls are due, by the episodes that have come online (paper, Table 4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from expo_ft_ros.rl.config import AgentConfig


class UpdateSchedule:
    """Counts what is due. Episodes go by their numbers, so that one which is discarded between two
    starts takes nothing of the others'.

    When the warm-up ends, the schedules step and batch make calls for its episodes as well, at
    once; the schedule episode makes those of one episode and `warmup_updates`.

    Args:
        config: Of the agent.
        calls: Update calls an episode.
        rate: Calls an environment step in place of it; None: as the configured schedule says.
    """

    def __init__(self, config: AgentConfig, calls: int, rate: float | None) -> None:
        self._config, self._calls = config, calls
        self._rate = config.updates_per_step if config.schedule == "step" else None
        if rate is not None:
            self._rate = rate
        self._env_steps: dict[int, int] = {}
        self._committed_to = 0
        self._encoder_phase_at = 0
        # Episodes whose updates were lost with what came after the checkpoint.
        self._lost: list[int] = []

    def add(self, number: int, env_steps: int) -> None:
        """An online episode has come.

        Args:
            number: Of the episode.
            env_steps: It took.
        """
        self._env_steps[number] = env_steps

    @property
    def episodes(self) -> int:
        """Online episodes so far."""
        return len(self._env_steps)

    @property
    def env_steps(self) -> int:
        """Online environment steps so far."""
        return sum(self._env_steps.values())

    def mark_lost(self) -> None:
        """After a resume: each episode that came after the checkpoint has its own calls due; those
        of the warm-up are `warmup_updates`."""
        numbers = sorted(self._env_steps)[max(0, self._config.warmup_episodes - 1) :]
        self._lost = [number for number in numbers if number > self._committed_to]

    @property
    def pending(self) -> list[tuple[int, int]]:
        """(calls, number of the newest episode they learn from), the oldest first; empty when
        nothing is due.

        Several episodes that came at once are one round: a learner that is slower than the robot
        updates less often.
        """
        config = self._config
        new = {
            number: count
            for number, count in self._env_steps.items()
            if number > self._committed_to
        }
        if not new or self.episodes < config.warmup_episodes:
            return []
        newest, calls = max(new), self._calls
        lost = [number for number in self._lost if number < newest]
        if self._rate is not None:
            calls, lost = round(self._rate * sum(new.values())), []
        elif config.schedule == "batch":
            if len(new) < config.episodes_per_batch:
                return []
            calls, lost = calls * len(new), []
        found = [(calls, number) for number in [*lost, newest]]
        if self._committed_to == 0:
            found[0] = (found[0][0] + config.warmup_updates, found[0][1])
        return [(count, number) for count, number in found if count]

    @property
    def encoder_phase(self) -> bool:
        """Whether the VLA's image encoder has its turn."""
        every = self._config.vla_encoder_every
        return bool(every) and sum(n > self._encoder_phase_at for n in self._env_steps) >= every

    def commit(self, number: int, *, encoder_phase: bool) -> None:
        """A round is done.

        Args:
            number: The newest episode that it learned from.
            encoder_phase: The image encoder had its turn.
        """
        if encoder_phase:
            self._encoder_phase_at = max(self._env_steps)
        self._committed_to = number
        self._lost = [lost for lost in self._lost if lost > number]

    def state_dict(self) -> dict[str, int]:
        """Up to which episode's number what was done; the episodes themselves come again."""
        return {"committed_to": self._committed_to, "encoder_phase_at": self._encoder_phase_at}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes up a state_dict.

        Raises:
            KeyError: where something is missing.
        """
        self._committed_to, self._encoder_phase_at = (
            state["committed_to"],
            state["encoder_phase_at"],
        )

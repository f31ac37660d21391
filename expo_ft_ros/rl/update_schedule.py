# SPDX-License-Identifier: Apache-2.0
"""When update calls are due, by the episodes that have come online (paper, Table 4)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from expo_ft_ros.rl.config import AgentConfig

Round = Mapping[str, int]
"""Robot -> number of the newest episode of its that update calls learn from."""

_Key = tuple[str, int]  # robot, number of the episode


def newest_learned(counters: Mapping[str, Any]) -> Round:
    """What a checkpoint's counters were learned from.

    Raises:
        LookupError: where they don't say.
    """
    return _by_robot(counters["committed_to"])


class UpdateSchedule:
    """Counts what is due. Episodes go by their numbers, each robot's its own, so that one which is
    discarded between two starts takes nothing of the others'.

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
        self._env_steps: dict[_Key, int] = {}
        # The newest number of each robot's.
        self._committed_to: dict[str, int] = {}
        self._encoder_phase_at: dict[str, int] = {}
        # Episodes whose updates were lost with what came after the checkpoint.
        self._lost: list[_Key] = []

    def add(self, number: int, env_steps: int, robot: str = "") -> None:
        """An online episode has come.

        Args:
            number: Of the episode.
            env_steps: It took.
            robot: Whose it is; empty: the run's own robot's.
        """
        self._env_steps[robot, number] = env_steps

    @property
    def episodes(self) -> int:
        """Online episodes so far."""
        return len(self._env_steps)

    @property
    def env_steps(self) -> int:
        """Online environment steps so far."""
        return sum(self._env_steps.values())

    @property
    def joined_steps(self) -> int:
        """Those of them that robots other than the run's own took."""
        return sum(steps for (robot, _), steps in self._env_steps.items() if robot)

    def mark_lost(self) -> None:
        """After a resume: each episode that came after the checkpoint has its own calls due; those
        of the warm-up are `warmup_updates`."""
        keys = sorted(self._env_steps)[max(0, self._config.warmup_episodes - 1) :]
        self._lost = self._after(self._committed_to, keys)

    @staticmethod
    def _after(newest: Mapping[str, int], keys: Iterable[_Key]) -> list[_Key]:
        """Those of the episodes that came after the newest of their robot's."""
        return [(robot, number) for robot, number in keys if number > newest.get(robot, 0)]

    @property
    def pending(self) -> list[tuple[int, Round]]:
        """(calls, the newest episode of each robot that they learn from), the oldest first; empty
        when nothing is due.

        Several episodes that came at once are one round: a learner that is slower than the robot
        updates less often.
        """
        config = self._config
        new = self._after(self._committed_to, self._env_steps)
        if not new or self.episodes < config.warmup_episodes:
            return []
        newest, calls = _newest_of(new), self._calls
        lost = [{robot: number} for robot, number in self._lost if number < newest[robot]]
        if self._rate is not None:
            calls, lost = round(self._rate * sum(self._env_steps[key] for key in new)), []
        elif config.schedule == "batch":
            if len(new) < config.episodes_per_batch:
                return []
            calls, lost = calls * len(new), []
        found = [(calls, of) for of in [*lost, newest]]
        if not self._committed_to:
            found[0] = (found[0][0] + config.warmup_updates, found[0][1])
        return [(count, of) for count, of in found if count]

    @property
    def encoder_phase(self) -> bool:
        """Whether the VLA's image encoder has its turn."""
        every = self._config.vla_encoder_every
        return bool(every) and len(self._after(self._encoder_phase_at, self._env_steps)) >= every

    def commit(self, of: Round, *, encoder_phase: bool) -> None:
        """A round is done.

        Args:
            of: The newest episode of each robot that it learned from.
            encoder_phase: The image encoder had its turn.
        """
        if encoder_phase:
            self._encoder_phase_at = _newest_of(self._env_steps)
        self._committed_to |= of
        self._lost = self._after(self._committed_to, self._lost)

    def state_dict(self) -> dict[str, dict[str, int]]:
        """Up to which episode of each robot what was done; the episodes themselves come again."""
        return {
            "committed_to": dict(self._committed_to),
            "encoder_phase_at": dict(self._encoder_phase_at),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes up a state_dict.

        Raises:
            KeyError: where something is missing.
        """
        self._committed_to = _by_robot(state["committed_to"])
        self._encoder_phase_at = _by_robot(state["encoder_phase_at"])


def _newest_of(keys: Iterable[_Key]) -> dict[str, int]:
    """The newest number of each robot's."""
    return dict(sorted(keys))


def _by_robot(saved: int | Mapping[str, int]) -> dict[str, int]:
    """Checkpoints from before there were several robots have the number of the one, 0 for none."""
    if isinstance(saved, int):
        return {"": saved} if saved else {}
    return dict(saved)

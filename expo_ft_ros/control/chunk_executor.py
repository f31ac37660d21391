# SPDX-License-Identifier: Apache-2.0
"""The queue between a slow policy and a fast loop: which slot of which chunk is due now.

A chunk answers one observation and its slot i belongs to the observation i ticks later, always.
So a late chunk starts at the right slot, and a correction that is spliced in takes the place of
one slot and moves none.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from expo_ft_ros.data.types import ACTION_DIM, ActionChunk, FloatArray, Source

NO_SLOT = -1
NO_CHUNK = "no chunk"
"""Why nothing is due before the first chunk of an episode has come, or where the next is late."""


@dataclass(frozen=True)
class Proposal:
    """What the policy's chunks say for one tick. action: (7,) float32 normalised.

    source: POLICY, or HOLD with zeros and a cause when no slot is due; then chunk is 0, index -1.
    """

    action: FloatArray
    chunk: int
    index: int
    source: Source
    cause: str = ""

    @classmethod
    def hold(cls, cause: str) -> Proposal:
        """Nothing to execute, and why."""
        return cls(np.zeros(ACTION_DIM, np.float32), 0, NO_SLOT, Source.HOLD, cause)


class ChunkExecutor:
    """Executes C steps of a chunk, then the next one; without one, runs on into the tail."""

    def __init__(self, execute_steps: int) -> None:
        if execute_steps < 1:
            raise ValueError(f"execute_steps: {execute_steps} must be at least 1")
        self.execute_steps = execute_steps
        self._current: ActionChunk | None = None
        self._next: ActionChunk | None = None
        self._fresh_from = 0

    def clear(self, observation: int) -> None:
        """Forget every chunk, those included that are still to come from before this observation: a
        new episode, or a pause that made them old."""
        self._current = self._next = None
        self._fresh_from = observation

    def replan(self, observation: int) -> None:
        """What was planned before this observation goes on only until a chunk from it, or from a
        later one, has come."""
        self._next = None
        self._fresh_from = observation

    def accept(self, chunk: ActionChunk, now_observation: int) -> bool:
        """Queue a chunk; False when it is known already, was planned before a replan, or none of
        its slots is due any more.

        Raises ValueError when its actions aren't (H, 7).
        """
        actions = np.asarray(chunk.actions)
        if actions.ndim != 2 or actions.shape[1] != ACTION_DIM or len(actions) == 0:
            raise ValueError(
                f"chunk {chunk.id}: actions of shape {actions.shape}, not (H, {ACTION_DIM})"
            )
        self._switch(now_observation)
        newest = self._next or self._current
        known = newest is not None and chunk.observation <= newest.observation
        old = known or chunk.observation < self._fresh_from
        if old or now_observation - chunk.observation >= len(actions):
            return False
        self._next = chunk
        return True

    def wants_chunk(self, observation: int, lead: int = 0) -> bool:
        """Whether a chunk from this observation is needed to go on in `lead` ticks."""
        self._switch(observation)
        if self._next is not None:
            return False
        return self.planned(observation) <= lead

    def planned(self, observation: int) -> int:
        """Ticks from this observation until C steps of the present chunk are done; 0 where there is
        none, it is outdated, or it goes on into its tail."""
        if self._current is None or self._outdated(self._current):
            return 0
        steps = min(self.execute_steps, len(self._current.actions))
        return max(0, self._current.observation + steps - observation)

    def propose(self, observation: int) -> Proposal:
        """What is due at this observation. Observations are asked for in growing order."""
        self._switch(observation)
        chunk = self._current
        if chunk is None:
            return Proposal.hold(NO_CHUNK)
        index = observation - chunk.observation
        if index >= len(chunk.actions):
            return Proposal.hold("late chunk")
        action = np.array(chunk.actions[index], dtype=np.float32)
        return Proposal(action, chunk.id, index, Source.POLICY)

    def _switch(self, observation: int) -> None:
        """Go over to the next chunk once C steps of the present one are done, or it is outdated."""
        if self._next is None or observation < self._next.observation:
            return
        current = self._current
        if (
            current is None
            or self._outdated(current)
            or observation - current.observation >= min(self.execute_steps, len(current.actions))
        ):
            self._current, self._next = self._next, None

    def _outdated(self, chunk: ActionChunk) -> bool:
        return chunk.observation < self._fresh_from

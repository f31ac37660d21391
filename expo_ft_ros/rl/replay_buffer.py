# SPDX-License-Identifier: Apache-2.0
"""Replay of whole episodes, sampled as windows [t, t + C) from every t.

Observations and steps share one index: an episode of T steps takes T + 1 slots, its last slot
holding the final observation only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from expo_ft_ros.data.episode import Episode
from expo_ft_ros.data.types import (
    ACTION_DIM,
    STATE_DIM,
    FloatArray,
    ImageArray,
    Source,
    is_explored,
)
from expo_ft_ros.rl.credit import any_from, discounted_returns, next_of, takeovers
from expo_ft_ros.rl.input_builder import network_image, require_views
from expo_ft_ros.rl.value_config import ReturnBound

DEMONSTRATED = "collect"


@dataclass(frozen=True)
class Window:
    """B windows of C steps, bounded by their episode's end or, where asked, by a takeover.

    Attributes:
        start: (B,) slots of s_t.
        after: (B,) slots of s_{t+n}.
        length: (B,) n <= C steps taken.
        actions: (B, horizon, 7) executed, robot-normalised, the last real action repeated past the
            window's end.
        reward: (B,) sum of gamma^i r_{t+i}, i < n.
        bootstrap: (B,) gamma^n, or 0 when the window ended in the episode's end or in a takeover
            that counts as one (eq. 5).
    """

    start: NDArray[np.int64]
    after: NDArray[np.int64]
    length: NDArray[np.int64]
    actions: FloatArray
    reward: FloatArray
    bootstrap: FloatArray


class ReplayBuffer:
    """Episodes in preallocated arrays, the oldest forgotten first.

    Args:
        capacity: Slots.
        image_size: Side of the kept images [px].
        views: Names of the views that are kept, in the order that networks see.
        gamma: Discount a step.

    Attributes:
        images: (capacity, V, 3, image_size, image_size) uint8.
        return_to_go: (capacity,) discounted return from each step to its episode's end.
    """

    def __init__(self, capacity: int, image_size: int, views: Sequence[str], gamma: float) -> None:
        self.image_size, self.views, self._gamma = image_size, tuple(views), gamma
        self._capacity = capacity
        shape = (capacity, len(self.views), 3, image_size, image_size)
        self.images: ImageArray = np.zeros(shape, dtype=np.uint8)
        self.state: FloatArray = np.zeros((capacity, STATE_DIM), dtype=np.float32)
        # Text, since only a policy knows how it is tokenised: each slot has its place in the list.
        self._texts: list[str] = []
        self._text: NDArray[np.int64] = np.zeros(capacity, dtype=np.int64)
        # Likewise the names of the robots that executed the steps.
        self._names: list[str] = []
        self._robot: NDArray[np.int64] = np.zeros(capacity, dtype=np.int64)
        self.action: FloatArray = np.zeros((capacity, ACTION_DIM), dtype=np.float32)
        self.reward: FloatArray = np.zeros(capacity, dtype=np.float32)
        self.source: NDArray[np.uint8] = np.zeros(capacity, dtype=np.uint8)
        self.return_to_go: FloatArray = np.zeros(capacity, dtype=np.float32)
        # Slot of the episode's final observation, and what the end means.
        self._last: NDArray[np.int64] = np.zeros(capacity, dtype=np.int64)
        # Slot at which an operator next takes over, else the last one; who drives from a slot on.
        self._takeover: NDArray[np.int64] = np.zeros(capacity, dtype=np.int64)
        self._helped: NDArray[np.bool_] = np.zeros(capacity, dtype=np.bool_)
        self._terminated: NDArray[np.bool_] = np.zeros(capacity, dtype=np.bool_)
        self.success: NDArray[np.bool_] = np.zeros(capacity, dtype=np.bool_)
        self.demonstration: NDArray[np.bool_] = np.zeros(capacity, dtype=np.bool_)
        self._pre_intervention: NDArray[np.bool_] = np.zeros(capacity, dtype=np.bool_)
        self._explored: NDArray[np.bool_] = np.zeros(capacity, dtype=np.bool_)
        self._is_step: NDArray[np.bool_] = np.zeros(capacity, dtype=np.bool_)
        self._spans: list[tuple[int, int]] = []
        self._next = 0
        self._starts: NDArray[np.int64] = np.zeros(0, dtype=np.int64)

    def __len__(self) -> int:
        """Number of steps held."""
        return len(self._starts)

    @property
    def human_steps(self) -> int:
        """Number of held steps that a human drove."""
        return int((self.source[self._starts] == Source.HUMAN).sum())

    def add(self, episode: Episode) -> NDArray[np.int64]:
        """Takes an episode.

        Returns:
            Its slots, (T + 1,).

        Raises:
            ValueError: when it alone is longer than the capacity, or lacks a view.
        """
        require_views(episode.views, self.views)
        count = len(episode) + 1
        if count > self._capacity:
            raise ValueError(
                f"episode {episode.outcome.episode} has {count} observations, the replay buffer "
                f"holds {self._capacity}: raise replay_capacity"
            )
        if self._next + count > self._capacity:
            self._next = 0
        begin, end = self._next, self._next + count
        self._evict(begin, end)
        slots = np.arange(begin, end)
        for view, name in enumerate(self.views):
            for slot, image in zip(slots, episode.views[name], strict=True):
                self.images[slot, view] = network_image(image, self.image_size)
        self.state[slots] = episode.state
        self._text[slots] = _place(self._texts, episode.instruction)
        self._robot[slots] = _place(self._names, episode.robot)
        self.action[slots[:-1]] = episode.executed
        self.action[slots[-1]] = 0.0
        self.reward[slots[:-1]] = episode.reward
        self.source[slots[:-1]] = episode.source
        human = episode.source == Source.HUMAN
        self._pre_intervention[slots[:-1]] = ~human & any_from(human)
        by_policy = episode.source == Source.POLICY
        self._explored[slots[:-1]] = by_policy & is_explored(episode.chunk)
        self.return_to_go[slots[:-1]] = discounted_returns(episode.reward, self._gamma)
        self._takeover[slots[:-1]] = begin + next_of(takeovers(episode.source))
        self._helped[slots[:-1]] = any_from(human)
        self.return_to_go[end - 1] = 0.0
        self._takeover[end - 1] = end - 1
        self._helped[end - 1] = False
        self._last[slots] = end - 1
        self._terminated[slots] = episode.outcome.terminated
        self.success[slots] = episode.outcome.success
        self.demonstration[slots] = episode.outcome.stage == DEMONSTRATED
        self._is_step[slots] = True
        self._is_step[end - 1] = False
        self._spans.append((begin, end))
        self._next = end
        self._starts = np.flatnonzero(self._is_step)
        return slots

    def _evict(self, begin: int, end: int) -> None:
        kept = []
        for span in self._spans:
            if span[0] < end and begin < span[1]:
                self._is_step[span[0] : span[1]] = False
            else:
                kept.append(span)
        self._spans = kept

    @property
    def episodes(self) -> list[NDArray[np.int64]]:
        """The slots of each episode held, the final observation's last."""
        return [np.arange(*span) for span in self._spans]

    @property
    def slots(self) -> NDArray[np.int64]:
        """Every slot that holds an observation, final ones included."""
        return np.concatenate(self.episodes or [self._starts[:0]])

    def instructions(self, slots: NDArray[np.int64]) -> list[str]:
        """The instruction of each slot's episode."""
        return [self._texts[text] for text in self._text[slots]]

    def robots(self, slots: NDArray[np.int64]) -> list[str]:
        """The name of the robot that each slot's episode is of; empty: the run's own."""
        return [self._names[robot] for robot in self._robot[slots]]

    @property
    def steps_by_robot(self) -> dict[str, int]:
        """Number of held steps of each robot."""
        counts = np.bincount(self._robot[self._starts], minlength=len(self._names))
        return dict(zip(self._names, counts.tolist(), strict=True))

    def starts(
        self,
        *,
        successful: bool = False,
        exclude_pre_intervention: int = 0,
        exclude_explored: int = 0,
        human: int = 0,
        demonstrated: bool | None = None,
        whole: int = 0,
    ) -> NDArray[np.int64]:
        """Slots that a window may start from.

        Args:
            successful: Of successful episodes only.
            exclude_pre_intervention: Windows of that many steps which hold none of the policy's
                steps after which the operator took over (0: any).
            exclude_explored: Windows of that many steps which hold none of an explored chunk that
                the policy drove (0: any).
            human: Windows of that many steps which hold a human step (0: any).
            demonstrated: Only of demonstrations, or only of others (None: any).
            whole: Windows of that many steps which no episode's end cuts (0: any).
        """
        starts = self._starts
        if successful:
            starts = starts[self.success[starts]]
        if exclude_pre_intervention:
            starts = starts[
                ~self._pre_intervention[self._steps(starts, exclude_pre_intervention)].any(axis=1)
            ]
        if exclude_explored and self._explored.any():
            starts = starts[~self._explored[self._steps(starts, exclude_explored)].any(axis=1)]
        if demonstrated is not None:
            starts = starts[self.demonstration[starts] == demonstrated]
        if whole:
            starts = starts[self._last[starts] - starts >= whole]
        if human:
            starts = starts[(self.source[self._steps(starts, human)] == Source.HUMAN).any(axis=1)]
        return starts

    def driven(self, starts: NDArray[np.int64], length: int) -> NDArray[np.int64]:
        """Those of the starts whose windows of that many steps hold no step at which the robot was
        held (for a camera that was away, say): it shows nothing to imitate. Windows of a
        demonstration all count: there the robot stood because the operator let it."""
        held = self.source[self._steps(starts, length)] == Source.HOLD
        held &= ~self.demonstration[starts, None]
        driven: NDArray[np.int64] = starts[~held.any(axis=1)]
        return driven

    def _steps(
        self, starts: NDArray[np.int64], count: int, end: NDArray[np.int64] | None = None
    ) -> NDArray[np.int64]:
        """(B, count) slots of the windows' steps, the last real one repeated past the end, by
        default the episode's."""
        end = self._last[starts] if end is None else end
        slots: NDArray[np.int64] = np.minimum(starts[:, None] + np.arange(count), end[:, None] - 1)
        return slots

    def window(
        self,
        start: NDArray[np.int64],
        execute_steps: int,
        horizon: int,
        *,
        truncation_ends: bool = False,
        takeover_ends: bool = False,
    ) -> Window:
        """Windows from the given slots.

        Args:
            start: (B,) slots.
            execute_steps: C.
            horizon: Steps of a window's actions, at least C.
            truncation_ends: No bootstrap after a timeout either.
            takeover_ends: An operator's takeover from the policy ends a window that began before
                it, without bootstrap.
        """
        last = self._last[start]
        end = self._takeover[start] if takeover_ends else last
        length = np.minimum(execute_steps, end - start)
        offsets = np.arange(max(horizon, execute_steps))
        index = self._steps(start, len(offsets), end)
        executed = offsets[:execute_steps]
        powers = np.where(executed < length[:, None], self._gamma**executed, 0.0)
        after = start + length
        final = self._terminated[start] | truncation_ends | (end < last)
        return Window(
            start=start,
            after=after,
            length=length,
            actions=self.action[index[:, :horizon]],
            reward=(powers * self.reward[index[:, :execute_steps]]).sum(axis=1).astype(np.float32),
            bootstrap=np.where((after == end) & final, 0.0, self._gamma**length).astype(np.float32),
        )

    def own_return(self, start: NDArray[np.int64], *, truncation_ends: bool = False) -> FloatArray:
        """(B,) discounted return from each slot to its episode's end; NaN where that isn't of what
        was done there: an operator takes over later on, or the world went on after a timeout.

        Args:
            start: (B,) slots.
            truncation_ends: A timeout is an end, worth nothing more.
        """
        known = self._takeover[start] == self._last[start]
        known &= self._terminated[start] | truncation_ends
        return np.where(known, self.return_to_go[start], np.nan).astype(np.float32)

    def return_bound(
        self, window: Window, kind: ReturnBound, *, takeover_ends: bool = False
    ) -> FloatArray:
        """(B,) what each window's value is at least: what the successful episode returned from its
        start on; -inf where nothing is known.

        Args:
            window: The windows.
            kind: See `ValueConfig.return_bound`.
            takeover_ends: As the windows were made: what follows a takeover is not the policy's.
        """
        start = window.start
        known = self.success[start] & (kind != "none")
        if kind == "unmended" or takeover_ends:
            known &= self._takeover[start] == self._last[start]
        if kind == "unhelped":
            known &= ~self._helped[window.after]
        return np.where(known, self.return_to_go[start], -np.inf).astype(np.float32)


def _place(names: list[str], name: str) -> int:
    """Where a name stands in the list, to which it is added where it isn't there."""
    if name not in names:
        names.append(name)
    return names.index(name)

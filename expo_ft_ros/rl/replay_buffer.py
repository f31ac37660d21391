"""Replay of whole episodes, sampled as windows [t, t + C) from every t, and the candidate cache.

Observations and steps share one index: an episode of T steps takes T + 1 slots, its last slot
holding the final observation only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from expo_ft_ros.data.episode import Episode
from expo_ft_ros.data.images import resize_image
from expo_ft_ros.data.instruction import TOKENS, tokenise
from expo_ft_ros.data.types import ACTION_DIM, STATE_DIM, FloatArray, ImageArray, Source

VIEWS = 2
DEMONSTRATED = "collect"


@dataclass(frozen=True)
class Window:
    """B windows of C steps, bounded by their episode's end.

    start: (B,) slots of s_t; after: (B,) slots of s_{t+n}; length: (B,) n <= C steps taken;
    actions: (B, horizon, 7) executed, robot-normalised, the last real action repeated past the
    end; reward: (B,) sum of gamma^i r_{t+i}, i < n; bootstrap: (B,) gamma^n, or 0 when the episode
    terminated inside the window (eq. 5).
    """

    start: NDArray[np.int64]
    after: NDArray[np.int64]
    length: NDArray[np.int64]
    actions: FloatArray
    reward: FloatArray
    bootstrap: FloatArray


class ReplayBuffer:
    """Episodes in preallocated arrays, the oldest forgotten first.

    capacity: slots; image_size: side of the kept images [px].
    """

    def __init__(self, capacity: int, image_size: int) -> None:
        self.image_size = image_size
        self._capacity = capacity
        shape = (capacity, VIEWS, 3, image_size, image_size)
        self.images: ImageArray = np.zeros(shape, dtype=np.uint8)
        self.state: FloatArray = np.zeros((capacity, STATE_DIM), dtype=np.float32)
        self.tokens: NDArray[np.int64] = np.zeros((capacity, TOKENS), dtype=np.int64)
        self.action: FloatArray = np.zeros((capacity, ACTION_DIM), dtype=np.float32)
        self.reward: FloatArray = np.zeros(capacity, dtype=np.float32)
        self.source: NDArray[np.uint8] = np.zeros(capacity, dtype=np.uint8)
        # Slot of the episode's final observation, and what the end means.
        self._last: NDArray[np.int64] = np.zeros(capacity, dtype=np.int64)
        self._terminated: NDArray[np.bool_] = np.zeros(capacity, dtype=np.bool_)
        self.success: NDArray[np.bool_] = np.zeros(capacity, dtype=np.bool_)
        self.demonstration: NDArray[np.bool_] = np.zeros(capacity, dtype=np.bool_)
        self._pre_intervention: NDArray[np.bool_] = np.zeros(capacity, dtype=np.bool_)
        self._is_step: NDArray[np.bool_] = np.zeros(capacity, dtype=np.bool_)
        self._spans: list[tuple[int, int]] = []
        self._next = 0
        self._starts: NDArray[np.int64] = np.zeros(0, dtype=np.int64)

    def __len__(self) -> int:
        """Number of steps held."""
        return len(self._starts)

    @property
    def human_steps(self) -> int:
        """Number of held steps that a person drove."""
        return int((self.source[self._starts] == Source.HUMAN).sum())

    def add(self, episode: Episode) -> NDArray[np.int64]:
        """Takes an episode and gives its slots (T + 1,).

        Raises ValueError when it alone is longer than the capacity.
        """
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
        for view, images in enumerate((episode.side, episode.wrist)):
            for slot, image in zip(slots, images, strict=True):
                self.images[slot, view] = resize_image(image, self.image_size).transpose(2, 0, 1)
        self.state[slots] = episode.state
        self.tokens[slots] = tokenise(episode.instruction)
        self.action[slots[:-1]] = episode.executed
        self.action[slots[-1]] = 0.0
        self.reward[slots[:-1]] = episode.reward
        self.source[slots[:-1]] = episode.source
        human = episode.source == Source.HUMAN
        self._pre_intervention[slots[:-1]] = ~human & np.logical_or.accumulate(human[::-1])[::-1]
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

    def starts(
        self,
        *,
        successful: bool = False,
        exclude_pre_intervention: int = 0,
        human: int = 0,
        demonstrated: bool | None = None,
        whole: int = 0,
    ) -> NDArray[np.int64]:
        """Slots that a window may start from.

        Args:
            successful: Of successful episodes only.
            exclude_pre_intervention: Windows of that many steps which hold none of the policy's
                steps after which the operator took over (0: any).
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
        if demonstrated is not None:
            starts = starts[self.demonstration[starts] == demonstrated]
        if whole:
            starts = starts[self._last[starts] - starts >= whole]
        if human:
            starts = starts[(self.source[self._steps(starts, human)] == Source.HUMAN).any(axis=1)]
        return starts

    def driven(self, starts: NDArray[np.int64], steps: int) -> NDArray[np.int64]:
        """Those of the starts whose windows of that many steps somebody drove all the way: a robot
        that was held (for a camera that was away, say) shows nothing to imitate. Of a demonstration
        all are: there it stood because the person let it."""
        held = self.source[self._steps(starts, steps)] == Source.HOLD
        held &= ~self.demonstration[starts, None]
        driven: NDArray[np.int64] = starts[~held.any(axis=1)]
        return driven

    def _steps(self, starts: NDArray[np.int64], count: int) -> NDArray[np.int64]:
        """(B, count) slots of the windows' steps, the last real one repeated past the end."""
        slots: NDArray[np.int64] = np.minimum(
            starts[:, None] + np.arange(count), self._last[starts, None] - 1
        )
        return slots

    def window(
        self,
        start: NDArray[np.int64],
        steps: int,
        horizon: int,
        gamma: float,
        *,
        truncation_ends: bool = False,
    ) -> Window:
        """Windows of `steps` = C from the given slots, with actions out to `horizon` >= C.

        truncation_ends: no bootstrap after a timeout either.
        """
        last = self._last[start]
        length = np.minimum(steps, last - start)
        offsets = np.arange(max(horizon, steps))
        index = self._steps(start, len(offsets))
        powers = np.where(offsets[:steps] < length[:, None], gamma ** offsets[:steps], 0.0)
        after = start + length
        ends = (after == last) & (self._terminated[start] | truncation_ends)
        return Window(
            start=start,
            after=after,
            length=length,
            actions=self.action[index[:, :horizon]],
            reward=(powers * self.reward[index[:, :steps]]).sum(axis=1).astype(np.float32),
            bootstrap=np.where(ends, 0.0, gamma**length).astype(np.float32),
        )


class FeatureCache:
    """Features that a frozen network made of each slot, under several augmentations of its images.

    Draw 0 is the plain image, the others were augmented independently. Allocated at the first
    `put`: features (capacity, draws, F) float32.
    """

    def __init__(self, capacity: int, draws: int) -> None:
        self._capacity, self.draws = capacity, draws
        self._features: FloatArray = np.zeros((0, draws, 0), dtype=np.float32)
        self._known: NDArray[np.bool_] = np.zeros(capacity, dtype=np.bool_)

    def put(self, slots: NDArray[np.int64], features: FloatArray) -> None:
        """Keeps features (len(slots), draws, F)."""
        if not len(self._features):
            shape = (self._capacity, self.draws, features.shape[-1])
            self._features = np.zeros(shape, dtype=np.float32)
        self._features[slots] = features
        self._known[slots] = True

    def forget(self, slots: NDArray[np.int64]) -> None:
        """Marks slots as having no features."""
        self._known[slots] = False

    def missing(self, slots: NDArray[np.int64]) -> NDArray[np.int64]:
        """Those of the slots that have none."""
        return slots[~self._known[slots]]

    def every(self, slots: NDArray[np.int64]) -> FloatArray:
        """(len(slots), draws, F): every draw, of slots that have them."""
        kept: FloatArray = self._features[slots]
        return kept

    def get(self, slots: NDArray[np.int64], rng: np.random.Generator | None) -> FloatArray:
        """(len(slots), F): a random draw for each slot, the plain image's where rng is None."""
        draw = 0 if rng is None else rng.integers(self.draws, size=len(slots))
        features: FloatArray = self._features[slots, draw]
        return features


class CandidateCache:
    """Base chunks that the VLA drew once for each replay slot, for the TD target.

    A slot's chunks are samples of the policy that was current at version `version[slot]`; -1 marks
    a slot that has none. chunks: (capacity, n, steps, 7) float32 in the VLA's normalised space.
    """

    def __init__(self, capacity: int, n: int, steps: int) -> None:
        self.chunks: FloatArray = np.zeros((capacity, n, steps, ACTION_DIM), dtype=np.float32)
        self.version: NDArray[np.int64] = np.full(capacity, -1, dtype=np.int64)

    def put(
        self, slots: NDArray[np.int64], chunks: FloatArray, version: int | NDArray[np.int64]
    ) -> None:
        """Keeps chunks (len(slots), n, steps, 7) drawn by weights of that version."""
        self.chunks[slots] = chunks
        self.version[slots] = version

    def forget(self, slots: NDArray[np.int64]) -> None:
        """Marks slots as having no chunks (their observation was replaced)."""
        self.version[slots] = -1

    def missing(self, slots: NDArray[np.int64]) -> NDArray[np.int64]:
        """Those of the slots that have no chunks."""
        return slots[self.version[slots] < 0]

    def oldest(self, slots: NDArray[np.int64], count: int) -> NDArray[np.int64]:
        """The `count` slots whose chunks come from the oldest weights."""
        return slots[np.argsort(self.version[slots], kind="stable")[:count]]

# SPDX-License-Identifier: Apache-2.0
"""Episodes, and how they are assembled from the parts that arrive over topics.

Learner and recorder both use `EpisodeAssembler`: what is learned from is what was recorded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from expo_ft_ros.data.images import resize_image
from expo_ft_ros.data.types import FloatArray, ImageArray, Observation, Source, Step, Verdict


@dataclass(frozen=True)
class EpisodeOutcome:
    """How an episode ended. Observation numbers bound it, both inclusive; steps = last - first.

    terminated: by a verdict, nothing follows (no bootstrap); truncated: by time or by a human,
    the world goes on (bootstrap); discarded: not to be learned from.
    """

    episode: int
    stage: str
    success: bool
    terminated: bool
    truncated: bool
    discarded: bool
    first_observation: int
    last_observation: int
    steps: int
    cause: str = ""
    seed: int = 0


def outcome_of(ended: Any, seed: int) -> EpisodeOutcome:
    """The outcome that an ended episode's state says: `EpisodeSnapshot`, or msg/EpisodeState with
    fields of the same names."""
    names = [field.name for field in fields(EpisodeOutcome) if field.name != "seed"]
    return EpisodeOutcome(**{name: getattr(ended, name) for name in names}, seed=seed)


@dataclass(frozen=True)
class Episode:
    """T steps between T + 1 observations.

    Attributes:
        outcome: How it ended.
        instruction: What the policy was told, in words.
        views: Name of each camera's view -> (T+1, h, w, 3) uint8 RGB, in the robot's order.
        state: (T+1, STATE_DIM) float32.
        proposed: (T, 7) float32 in robot-normalised units; so is executed.
        executed: What moved the robot.
        source: (T,) uint8 of `Source`.
        chunk: (T,) uint64 id of the chunk that a step is of, 0 for none; `types.is_explored` says
            which were explored.
        index: (T,) int32 slot of that chunk.
        reward: (T,) float32, reward[i] being the verdict on observation i + 1.
        steps_left: (T+1,) int32 until the timeout, as in `Observation`; None: not known.
        robot: Name in the run of the robot that executed it; empty: the run's own.
    """

    outcome: EpisodeOutcome
    instruction: str
    views: Mapping[str, ImageArray]
    state: FloatArray
    proposed: FloatArray
    executed: FloatArray
    source: NDArray[np.uint8]
    chunk: NDArray[np.uint64]
    index: NDArray[np.int32]
    reward: FloatArray
    steps_left: NDArray[np.int32] | None = None
    robot: str = ""

    def __len__(self) -> int:
        return len(self.executed)

    @property
    def human_steps(self) -> int:
        """Number of steps a human drove."""
        return int((self.source == Source.HUMAN).sum())

    def steps_left_of(self, max_steps: int) -> NDArray[np.int32]:
        """(T+1,) `steps_left`; where they aren't known, max_steps minus the steps before each
        observation, those before anybody drove among them, at least 0."""
        if self.steps_left is not None:
            return self.steps_left
        last = self.outcome.last_observation - self.outcome.first_observation
        before = np.arange(last - len(self), last + 1)
        return np.maximum(0, max_steps - before).astype(np.int32)

    def labelled(self, success: bool) -> Episode:
        """As if the operator had ended it with this verdict: its last reward is 1 or 0."""
        outcome = replace(
            self.outcome,
            success=success,
            terminated=True,
            truncated=False,
            cause="labelled as " + ("success" if success else "failure"),
        )
        reward = self.reward.copy()
        reward[-1] = float(success)
        return replace(self, outcome=outcome, reward=reward)


@dataclass
class _Parts:
    observations: dict[int, Observation] = field(default_factory=dict)
    steps: dict[int, Step] = field(default_factory=dict)
    verdicts: dict[int, Verdict] = field(default_factory=dict)
    outcome: EpisodeOutcome | None = None


class EpisodeAssembler:
    """Gathers observations, steps and verdicts, in whatever order they arrive, into episodes.

    image_size: side of the kept images [px], None keeps them as they come; with_discarded: gives
    what is not to be learned from as well.
    An episode is complete when its outcome is known and every part between its first and last
    observation is there. Duplicates are dropped. Parts of episodes older than the newest finished
    one are forgotten when it completes.
    """

    def __init__(self, image_size: int | None = None, *, with_discarded: bool = False) -> None:
        self._image_size, self._with_discarded = image_size, with_discarded
        self._parts: dict[int, _Parts] = {}
        self._episode_of: dict[int, int] = {}
        self._early: dict[int, Verdict] = {}
        self._done = 0
        self._dropped: list[int] = []

    def add_observation(self, observation: Observation, episode: int) -> None:
        """Takes one snapshot of an episode; episode 0 means outside any and is ignored."""
        if episode <= self._done or episode == 0:
            return
        parts = self._parts.setdefault(episode, _Parts())
        if observation.number in parts.observations:
            return
        if self._image_size is not None:
            observation = replace(
                observation,
                views={
                    name: resize_image(image, self._image_size)
                    for name, image in observation.views.items()
                },
            )
        parts.observations[observation.number] = observation
        self._episode_of[observation.number] = episode
        if observation.number in self._early:
            parts.verdicts[observation.number] = self._early.pop(observation.number)

    def add_step(self, step: Step) -> None:
        """Takes the step executed on an observation; of several words on it that of the least
        motion counts, since one that was cut short is told again."""
        if step.episode <= self._done:
            return
        steps = self._parts.setdefault(step.episode, _Parts()).steps
        known = steps.get(step.observation)
        if known is None or np.abs(step.executed).sum() <= np.abs(known.executed).sum():
            steps[step.observation] = step

    def add_verdict(self, observation: int, verdict: Verdict) -> None:
        """Takes the verdict on an observation, which may arrive before the observation itself; the
        last word on it counts."""
        episode = self._episode_of.get(observation)
        if episode is None:
            self._early[observation] = verdict
        elif episode in self._parts:
            self._parts[episode].verdicts[observation] = verdict

    def finish(self, outcome: EpisodeOutcome) -> None:
        """Says how an episode ended."""
        if outcome.episode > self._done:
            self._parts.setdefault(outcome.episode, _Parts()).outcome = outcome

    def pop_complete(self) -> list[Episode]:
        """Episodes that became complete, oldest first; discarded and empty ones are dropped."""
        complete = []
        for number in sorted(self._parts):
            parts = self._parts[number]
            if parts.outcome is None:
                continue
            unwanted = parts.outcome.discarded and not self._with_discarded
            if unwanted or parts.outcome.last_observation == 0:
                self._drop(number)
                continue
            if self._is_complete(parts, parts.outcome):
                episode = _build(parts, parts.outcome)
                if episode is None:
                    self._drop(number)
                else:
                    self._forget(number)
                    complete.append(episode)
        return complete

    def pop_dropped(self) -> list[int]:
        """Numbers of the ended episodes that `pop_complete` left out: discarded ones, and those in
        which nobody drove."""
        dropped, self._dropped = self._dropped, []
        return dropped

    def pop_cut_off(self, episode: int, stage: str, seed: int, cause: str) -> Episode | None:
        """The whole steps of an episode whose end never came, marked as not to be learned from;
        None where there are none."""
        parts = self._parts.get(episode)
        if parts is None or not parts.observations:
            return None
        first = last = min(parts.observations)
        while last in parts.steps and last + 1 in parts.observations and last + 1 in parts.verdicts:
            last += 1
        self._forget(episode)
        outcome = EpisodeOutcome(
            episode=episode,
            stage=stage,
            success=False,
            terminated=False,
            truncated=True,
            discarded=True,
            first_observation=first,
            last_observation=last,
            steps=last - first,
            cause=cause,
            seed=seed,
        )
        return _build(parts, outcome)

    def give_up(self, episode: int) -> None:
        """Forgets an episode of which parts will never come, and older ones."""
        self._forget(episode)

    def _drop(self, episode: int) -> None:
        self._dropped.append(episode)
        self._forget(episode)

    @staticmethod
    def _is_complete(parts: _Parts, outcome: EpisodeOutcome) -> bool:
        first, last = outcome.first_observation, outcome.last_observation
        return (
            all(n in parts.observations for n in range(first, last + 1))
            and all(n in parts.steps for n in range(first, last))
            and all(n in parts.verdicts for n in range(first + 1, last + 1))
        )

    def _forget(self, episode: int) -> None:
        self._done = max(self._done, episode)
        for number in [n for n in self._parts if n <= self._done]:
            del self._parts[number]
        self._episode_of = {n: e for n, e in self._episode_of.items() if e > self._done}
        newest = max(self._episode_of, default=0)
        self._early = {n: v for n, v in self._early.items() if n > newest}


def _build(parts: _Parts, outcome: EpisodeOutcome) -> Episode | None:
    """Stacks the parts; waiting at the start (nobody drove yet) is left out."""
    first, last = outcome.first_observation, outcome.last_observation
    while first < last and parts.steps[first].source == Source.HOLD:
        first += 1
    if first >= last:
        return None
    observations = [parts.observations[n] for n in range(first, last + 1)]
    views = observations[0].views
    steps = [parts.steps[n] for n in range(first, last)]
    rewards = [parts.verdicts[n].value for n in range(first + 1, last + 1)]
    left = [o.steps_left for o in observations]
    # The operator's word over the classifier's: the last reward follows the outcome.
    rewards[-1] = 1.0 if outcome.success else 0.0
    return Episode(
        outcome=outcome,
        instruction=observations[0].instruction,
        views={name: np.stack([o.views[name] for o in observations]) for name in views},
        state=np.stack([o.proprio.vector() for o in observations]),
        proposed=np.stack([s.proposed for s in steps]).astype(np.float32),
        executed=np.stack([s.executed for s in steps]).astype(np.float32),
        source=np.array([s.source for s in steps], dtype=np.uint8),
        chunk=np.array([s.chunk for s in steps], dtype=np.uint64),
        index=np.array([s.index for s in steps], dtype=np.int32),
        reward=np.array(rewards, dtype=np.float32),
        steps_left=None if None in left else np.array(left, dtype=np.int32),
        robot=steps[0].robot,
    )

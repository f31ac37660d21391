# SPDX-License-Identifier: Apache-2.0
"""What a scheduler asks of its host: the arbitration node, or the rollout in one process.

An event of a scheduler gives its actions one by one. The host performs each before it asks for the
next, so that a scheduler which looks at its clock in between knows how long an action took.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from expo_ft_ros.control.plan import Plan
from expo_ft_ros.data.types import FloatArray, Observation, Step


@dataclass(frozen=True)
class BeginEpisode:
    """An episode begins; nothing moves yet, so that there is time for what a tick has none for."""

    plan: Plan


@dataclass(frozen=True)
class ResetScene:
    """The plan's scene is to be reset. Asked for again until `scene_set` or `scene_failed`."""

    plan: Plan


@dataclass(frozen=True)
class PublishObservation:
    """The classifier, and where `chunk_wanted` the policy, are asked about an observation.

    The same one comes again where nobody seems to have heard it.
    """

    observation: Observation
    episode: int
    chunk_wanted: bool


@dataclass(frozen=True)
class Execute:
    """The robot's command. action: (7,) float32 normalised; time_ns: its stamp [ns]."""

    action: FloatArray
    time_ns: int


@dataclass(frozen=True)
class PublishStep:
    """A step's provenance. late: start of its tick after its due time [s]; again: it was published
    before, and nobody seems to have heard it."""

    step: Step
    time_ns: int
    late: float = 0.0
    again: bool = False


@dataclass(frozen=True)
class PublishState:
    """The episode's state is to be published, where it has changed."""


@dataclass(frozen=True)
class WaitFor:
    """What is being waited for; worth a line in the log."""

    cause: str


@dataclass(frozen=True)
class Explain:
    """Why the arm stands for the moment."""

    cause: str


@dataclass(frozen=True)
class Silence:
    """Who is silent has changed, or whether the policy is lost. cause: in words, "" when everybody
    is back."""

    cause: str


@dataclass(frozen=True)
class Tick:
    """What is kept of each tick, in wall time [s].

    late: of its start; took, waited: by it, and in lock-step for answers before it. reaction: from
    when the operator's device sent a reading to when the command that follows it was sent, without
    the wait for the tick's time; None where the tick follows no new reading. chunk_late: of the
    newest chunk, against the tick at which it was needed, negative for one that came in time; None
    where none came since the last tick, or nothing was planned any more when it was asked for.
    chunks_lost: requests that a later one's answer overtook since the last tick. written: what
    handing the step to the recorder took, which writes in its own process; written_cpu: the part
    of it in which this thread computed, and was not put off its core; told: written and the
    observation, its images for recorder, reward and policy alike. All after the command.

    ages: in real time, input -> how old its newest sample was by its stamp when the tick began;
    without those of which none ever came.
    """

    observation: int
    time: float
    late: float
    took: float
    waited: float
    reaction: float | None = None
    chunk_late: float | None = None
    chunks_lost: int = 0
    told: float = 0.0
    written: float = 0.0
    written_cpu: float = 0.0
    ages: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class EndTick:
    """A tick is over."""

    tick: Tick


Action: TypeAlias = (
    BeginEpisode
    | ResetScene
    | PublishObservation
    | Execute
    | PublishStep
    | PublishState
    | WaitFor
    | Explain
    | Silence
    | EndTick
)
Actions: TypeAlias = Iterator[Action]

# SPDX-License-Identifier: Apache-2.0
"""A tick every period: the robot's time, which waits for nobody."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from expo_ft_ros.control.actions import (
    Actions,
    EndTick,
    Execute,
    Explain,
    PublishObservation,
    PublishState,
    PublishStep,
    Silence,
    Tick,
)
from expo_ft_ros.control.loop import ControlLoop
from expo_ft_ros.control.safety_filter import Heartbeats
from expo_ft_ros.control.scheduler import ZERO, Scheduler
from expo_ft_ros.control.snapshot import Inputs, Snapshot
from expo_ft_ros.data.types import ActionChunk, Source, Verdict


@dataclass(frozen=True)
class _Asked:
    """When a chunk was asked for, and how long what was planned before still lasts [s]."""

    at: float
    spare: float


@dataclass(frozen=True)
class _Sent:
    """The newest step as it was published, and when its command went out [s]."""

    published: PublishStep
    at: float


class Realtime(Scheduler):
    """Never waits for anybody; `tick` is to be called by a steady timer.

    now_ns: the robot's time, of which the inputs' stamps are [ns]; phase: time since the timer's
    newest period began [s]; heartbeats: of the nodes without which the arm stands; clock: a steady
    one [s].
    """

    def __init__(
        self,
        loop: ControlLoop,
        inputs: Inputs,
        now_ns: Callable[[], int],
        phase: Callable[[], float],
        heartbeats: Heartbeats | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(loop, inputs)
        self._now_ns = now_ns
        self._phase = phase
        self._clock = clock
        self._heartbeats = heartbeats or Heartbeats((), math.inf)
        self._silent: list[str] = []
        self._period = loop.task.period
        self._least_lead = loop.lead
        self._last: tuple[float, float] | None = None
        self._number = 0
        self._device_lost = False
        self._chunk: ActionChunk | None = None
        self._asked: dict[int, _Asked] = {}
        self._chunk_late: float | None = None
        self._chunks_lost = 0
        self._sent: _Sent | None = None
        self._inference: deque[float] = deque(maxlen=20)

    # -- events ---------------------------------------------------------------------------------
    def advance(self) -> Actions:
        """The timer decides; but a device that is lost stops the arm before the next tick."""
        before, self._device_lost = self._device_lost, self.inputs.device_lost
        if self._device_lost and not before:
            yield from self.hold()

    def check(self) -> Actions:
        """Zero at once when somebody is silent, and the ticks after it hold. When it is back
        everything is planned anew: what came meanwhile was planned for a world that moved."""
        silent = self._heartbeats.silent(self._clock())
        if silent != self._silent:
            self._silent = silent
            yield from self.hold()
            yield Silence(self.silent)

    def beat(self, name: str) -> None:
        """A node says that it lives."""
        self._heartbeats.beat(name, self._clock())

    def policy_lost(self, cause: str) -> Actions:
        """Zero at once, and the ticks after it hold, as when a node is silent; when the policy is
        back everything is planned anew."""
        if cause != self._policy_lost:
            yield from self.hold()
        yield from super().policy_lost(cause)

    @property
    def silent(self) -> str:
        """Who is silent, or why the policy is, as a reason to hold still; "" when everybody
        lives."""
        silent = f"no sign of life from {', '.join(self._silent)}" if self._silent else ""
        return ", ".join(filter(None, (silent, self._policy_lost)))

    @property
    def everybody_lives(self) -> bool:
        """Whether nobody is silent now, also where `check` hasn't looked yet."""
        return not self._heartbeats.silent(self._clock())

    def take_chunk(self, chunk: ActionChunk) -> Actions:
        """The newest is kept for the next tick; how long it took says how early to ask again."""
        if self._chunk is None or chunk.observation >= self._chunk.observation:
            self._chunk = chunk
        asked = self._asked.pop(chunk.observation, None)
        if asked is not None:
            later = {n: t for n, t in self._asked.items() if n > chunk.observation}
            self._chunks_lost += len(self._asked) - len(later)
            self._asked = later
            took = self._clock() - asked.at
            self._chunk_late = took - asked.spare if asked.spare else None
            self._inference.append(took)
            needed = math.ceil(max(self._inference) / self._period)
            most = max(self._least_lead, self.loop.task.execute_steps - 1)
            self.loop.lead = min(max(self._least_lead, needed), most)
        yield from ()

    def take_verdict(self, number: int, verdict: Verdict) -> Actions:
        """May end the episode. One on what hasn't been observed yet is dropped."""
        if number <= self._number:
            self.loop.verdict(number, verdict.success, verdict.human_reset)
            yield PublishState()

    def hold(self) -> Actions:
        """Zero at once; every tick sends it again. What was planned before is planned anew."""
        yield from self._cut_short()
        self._chunk = None
        # What is under way still says how long it took, but nobody waits for it any more.
        self._asked = {number: replace(asked, spare=0.0) for number, asked in self._asked.items()}
        self.loop.stand_still()
        yield Execute(ZERO, self._now_ns())

    def tick(self) -> Actions:
        """One control period."""
        loop, inputs = self.loop, self.inputs
        started = self._clock()
        late = self._lateness(started)
        if (yield from self._between_episodes()):
            self._chunk = None
        now_ns = self._now_ns()
        snapshot = inputs.snapshot()
        if snapshot is None or not loop.running or loop.waits_for_operator(snapshot.teleop):
            yield from self._tick_outside(snapshot, now_ns)
            return
        self._number += 1
        # Taken first: it says how long what is planned lasts.
        if self._chunk is not None:
            loop.take(self._chunk, self._number)
            self._chunk = None
        wanted = loop.wants_chunk(self._number, snapshot.teleop)
        if wanted:
            spare = self._period * loop.ticks_planned(self._number)
            self._asked[self._number] = _Asked(started, spare)
        told, left = loop.task.instruction, loop.episode.steps_left
        observation = snapshot.observation(self._number, told, left)
        episode = loop.snapshot.episode
        travelled = inputs.pop_travelled()
        stamps, ages = inputs.stamps(), inputs.ages(now_ns)
        now = 1e-9 * now_ns
        result = loop.tick(observation, None, snapshot.teleop, now, stamps, self.silent)
        yield Execute(result.executed, now_ns)
        commanded = self._clock()
        reaction = None
        if travelled is not None and result.step is not None and result.step.source is Source.HUMAN:
            reaction = travelled + late + commanded - started
        self._sent = None
        computed = time.thread_time()
        if result.step is not None:
            published = PublishStep(result.step, now_ns, late)
            yield published
            self._sent = _Sent(published, commanded)
        elif result.cause:
            yield Explain(result.cause)
        written, computed = self._clock(), time.thread_time() - computed
        # Last: the images take some milliseconds.
        yield PublishObservation(observation, episode, wanted)
        yield PublishState()
        done = self._clock()
        chunk_late, self._chunk_late = self._chunk_late, None
        lost, self._chunks_lost = self._chunks_lost, 0
        yield EndTick(
            Tick(
                self._number,
                observation.time,
                late,
                took=done - started,
                waited=0.0,
                reaction=reaction,
                chunk_late=chunk_late,
                chunks_lost=lost,
                told=done - commanded,
                written=written - commanded,
                written_cpu=computed,
                ages=ages,
            )
        )

    # -- how ------------------------------------------------------------------------------------
    def _shows(self, valid_from_ns: int) -> bool:
        # A clock that was set back makes no scene of the future.
        return self.inputs.oldest_ns() >= min(valid_from_ns, self._now_ns())

    def _now(self) -> int:
        return self._now_ns()

    def _cut_short(self) -> Actions:
        """What was sent for a period lasts for a part of it only: the step says so, as the mean
        over its period, or what is learned from would not have been executed."""
        sent, self._sent = self._sent, None
        if sent is None or not sent.published.step.executed.any():
            return
        share = (self._clock() - sent.at) / self._period
        if share < 1.0:
            step = sent.published.step
            cause = f"cut short after {share:.0%} of its period"
            step = replace(
                step,
                executed=(step.executed * share).astype(np.float32),
                cause=", ".join(filter(None, (step.cause, cause))),
            )
            yield replace(sent.published, step=step)

    def _tick_outside(self, snapshot: Snapshot | None, now_ns: int) -> Actions:
        """A period in which no step is due: the arm stands, or goes through its reset script."""
        loop = self.loop
        action = ZERO
        if snapshot is not None and loop.resets_itself:
            stamps = self.inputs.stamps()
            result = loop.reset_tick(
                snapshot.proprio, snapshot.teleop, 1e-9 * now_ns, stamps, self.silent
            )
            action = result.executed
            yield Explain(result.cause)
        yield Execute(action, now_ns)
        if loop.running and snapshot is None:
            yield Explain(f"never came: {', '.join(self.inputs.missing())}")
        elif loop.running and snapshot is not None:
            yield Explain(self.silent or loop.waits_for_operator(snapshot.teleop))
        yield PublishState()

    def _lateness(self, started: float) -> float:
        """Against the timer's grid, and whole periods that were missed since the last tick."""
        phase = self._phase()
        missed = 0
        if self._last is not None:
            since, before = self._last
            missed = round((started - since - phase + before) / self._period) - 1
        self._last = (started, phase)
        return phase + max(0, missed) * self._period

"""When a tick happens: in lock-step, when everyone has done their part; else every period.

Both drive one `ControlLoop` through one `Host`, the arbitration node; neither knows ROS.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from expo_ft_ros.control.episode_machine import State
from expo_ft_ros.control.loop import ControlLoop
from expo_ft_ros.data.types import (
    ACTION_DIM,
    ActionChunk,
    FloatArray,
    Observation,
    Source,
    Step,
    Verdict,
)
from expo_ft_ros.recording.messages import proprio_from_msg
from expo_ft_ros.ros.snapshot import Inputs, Snapshot

RESEND_AFTER = 0.5
ZERO: FloatArray = np.zeros(ACTION_DIM, dtype=np.float32)


@dataclass(frozen=True)
class Tick:
    """What is kept of each tick, in wall time [s].

    late: of its start; took, waited: by it, and in lock-step for answers before it. reaction: from
    when the person's device sent a reading to when the command that follows it was sent, without
    the wait for the tick's time; None where the tick follows no new reading. chunk_late: of the
    newest chunk, against the tick at which it was needed, negative for one that came in time; None
    where none came since the last tick, or nothing was planned any more when it was asked for.
    chunks_lost: requests that a later one's answer overtook since the last tick. written: what
    handing the step to the recorder took, which writes in its own process; written_cpu: the part
    of it in which this thread computed, and was not put off its core; told: written and the
    observation, its images for recorder, reward and policy alike. All after the command.
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


class Host(Protocol):
    """What a schedule needs of the node around it."""

    loop: ControlLoop
    inputs: Inputs

    def observe(self, snapshot: Snapshot, number: int, wanted: bool) -> Observation:
        """Makes an observation; `show` publishes it."""

    def show(self) -> None:
        """Publishes the last observation, or publishes it once more."""

    def send(self, action: FloatArray, time_ns: int) -> None:
        """Commands the robot. action (7,) normalised."""

    def record(self, step: Step, time_ns: int, late: float) -> None:
        """Publishes a step's provenance."""

    def record_again(self) -> None:
        """Publishes the last step once more."""

    def tell_state(self) -> None:
        """Publishes the episode's state where it has changed."""

    def begin(self) -> None:
        """Starts the planned episode where there is one and it may."""

    def scene_valid_from(self) -> int | None:
        """Time of the first frame after the scene's reset [ns]; None while it is not reset."""

    def log(self, tick: Tick) -> None:
        """Keeps a tick's times."""

    def absent(self) -> str:
        """Who is silent, as a reason to hold still; "" when everybody lives."""

    def complain(self, cause: str) -> None:
        """Says what is being waited for, in the log as well."""

    def explain(self, cause: str) -> None:
        """Says why the arm stands for the moment."""


class Schedule(Protocol):
    """What the node calls."""

    def advance(self) -> None:
        """An input came, or something else changed."""

    def take_chunk(self, chunk: ActionChunk) -> None:
        """The policy answered."""

    def take_verdict(self, number: int, verdict: Verdict) -> None:
        """The classifier answered."""

    def hold(self) -> None:
        """Sends zero now: somebody paused or stopped the robot."""


@dataclass
class _Pending:
    snapshot: Snapshot
    observation: Observation
    wanted: bool
    since: float
    chunk: ActionChunk | None = None
    verdict: Verdict | None = None


class Lockstep:
    """One snapshot after the other; each waits for the verdict and, where asked, for the chunk.

    Call `check` now and then: who has waited for half a second sends again.
    """

    def __init__(self, host: Host, clock: Callable[[], float] = time.monotonic) -> None:
        self._host = host
        self._clock = clock
        self._pending: _Pending | None = None
        self._number = 0
        self._done_ns = 0
        self._sent: tuple[FloatArray, int] | None = None
        self._since = clock()

    def advance(self) -> None:
        """Goes on as far as what is known allows."""
        host = self._host
        self._between_episodes()
        if not host.loop.running:
            if host.loop.episode.state is not State.PAUSED:
                self._pending = None
            return
        if self._pending is None:
            self._open()
        if self._pending is not None and self._answered(self._pending):
            self._execute(self._pending)

    def take_chunk(self, chunk: ActionChunk) -> None:
        """The policy's answer to the pending observation; another one is an old one."""
        pending = self._pending
        if pending is not None and chunk.observation == pending.observation.number:
            pending.chunk = chunk
            self.advance()

    def take_verdict(self, number: int, verdict: Verdict) -> None:
        """The classifier's answer to the pending observation; another one is an old one."""
        pending = self._pending
        if pending is not None and number == pending.observation.number:
            pending.verdict = verdict
            self.advance()

    def hold(self) -> None:
        """One zero; none while paused: without a command the world stands, and then goes on."""
        if self._host.loop.episode.state is not State.PAUSED:
            self._host.send(ZERO, self._host.inputs.newest_ns)

    def check(self) -> None:
        """Sends again what nobody seems to have heard."""
        if self._clock() - self._since < RESEND_AFTER or not self._host.loop.running:
            return
        self._since = self._clock()
        if self._pending is not None:
            number = self._pending.observation.number
            missing = [] if self._pending.verdict is not None else ["reward"]
            if self._pending.wanted and self._pending.chunk is None:
                missing.append("policy")
            self._host.complain(f"waiting for {' and '.join(missing)} on observation {number}")
            self._host.show()
        elif self._sent is not None:
            self._host.complain(f"waiting for {', '.join(self._host.inputs.behind())}")
            self._host.send(*self._sent)
            self._host.record_again()

    def _between_episodes(self) -> None:
        host = self._host
        host.loop.episode.decide()
        host.begin()
        valid_from = host.scene_valid_from()
        if (
            host.loop.episode.state is State.RESETTING
            and valid_from is not None
            and host.inputs.of_one_time()
            and host.inputs.newest_ns >= valid_from
        ):
            host.loop.reset_done()
        host.tell_state()

    def _open(self) -> None:
        host = self._host
        if not host.inputs.of_one_time() or host.inputs.newest_ns <= self._done_ns:
            return
        snapshot = host.inputs.snapshot()
        if snapshot is None:
            return
        self._number += 1
        wanted = host.loop.wants_chunk(self._number, snapshot.teleop)
        self._since = self._clock()
        # Answers come in later callbacks of the same thread, so never before it is pending.
        observation = host.observe(snapshot, self._number, wanted)
        host.show()
        self._pending = _Pending(snapshot, observation, wanted, self._since)

    @staticmethod
    def _answered(pending: _Pending) -> bool:
        return pending.verdict is not None and (pending.chunk is not None or not pending.wanted)

    def _execute(self, pending: _Pending) -> None:
        host, loop = self._host, self._host.loop
        started = self._clock()
        number = pending.observation.number
        self._pending = None
        if pending.verdict is not None:
            loop.verdict(number, pending.verdict.success, pending.verdict.human_reset)
        if loop.running:
            result = loop.tick(
                pending.observation,
                pending.chunk,
                pending.snapshot.teleop,
                1e-9 * pending.snapshot.time_ns,
            )
            self._done_ns = pending.snapshot.time_ns
            self._sent = (result.executed, self._done_ns)
            host.send(*self._sent)
            if result.step is not None:
                host.record(result.step, self._done_ns, 0.0)
            self._since = self._clock()
            host.log(
                Tick(
                    number,
                    pending.observation.time,
                    late=0.0,
                    took=self._since - started,
                    waited=started - pending.since,
                )
            )
        host.tell_state()


@dataclass(frozen=True)
class _Asked:
    """When a chunk was asked for, and how long what was planned before still lasts [s]."""

    at: float
    spare: float


@dataclass(frozen=True)
class _Sent:
    """The newest step, and when its command went out [s]."""

    step: Step
    time_ns: int
    late: float
    at: float


class Realtime:
    """A tick every period, never waiting for anybody; call `tick` by a steady timer.

    now_ns: the node's time [ns]; phase: time since the timer's newest period began [s].
    """

    def __init__(
        self,
        host: Host,
        now_ns: Callable[[], int],
        phase: Callable[[], float],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._host = host
        self._now_ns = now_ns
        self._phase = phase
        self._clock = clock
        self._period = host.loop.task.period
        self._least_lead = host.loop.lead
        self._last: tuple[float, float] | None = None
        self._number = 0
        self._chunk: ActionChunk | None = None
        self._asked: dict[int, _Asked] = {}
        self._chunk_late: float | None = None
        self._chunks_lost = 0
        self._sent: _Sent | None = None
        self._inference: deque[float] = deque(maxlen=20)

    def advance(self) -> None:
        """Nothing: the timer decides."""

    def take_chunk(self, chunk: ActionChunk) -> None:
        """The newest is kept for the next tick; how long it took says how early to ask again."""
        if self._chunk is None or chunk.observation >= self._chunk.observation:
            self._chunk = chunk
        asked = self._asked.pop(chunk.observation, None)
        if asked is None:
            return
        later = {n: t for n, t in self._asked.items() if n > chunk.observation}
        self._chunks_lost += len(self._asked) - len(later)
        self._asked = later
        took = self._clock() - asked.at
        self._chunk_late = took - asked.spare if asked.spare else None
        self._inference.append(took)
        needed = math.ceil(max(self._inference) / self._period)
        most = max(self._least_lead, self._host.loop.task.execute_steps - 1)
        self._host.loop.lead = min(max(self._least_lead, needed), most)

    def take_verdict(self, number: int, verdict: Verdict) -> None:
        """May end the episode. One on what hasn't been observed yet is dropped."""
        if number <= self._number:
            self._host.loop.verdict(number, verdict.success, verdict.human_reset)
            self._host.tell_state()

    def hold(self) -> None:
        """Zero at once; every tick sends it again. What was planned before is planned anew."""
        self._cut_short()
        self._chunk = None
        # What is under way still says how long it took, but nobody waits for it any more.
        self._asked = {number: replace(asked, spare=0.0) for number, asked in self._asked.items()}
        self._host.loop.stand_still()
        self._host.send(ZERO, self._now_ns())

    def _cut_short(self) -> None:
        """What was sent for a period lasts for a part of it only: the step says so, as the mean
        over its period, or what is learned from would not have been executed."""
        sent, self._sent = self._sent, None
        if sent is None or not sent.step.executed.any():
            return
        share = (self._clock() - sent.at) / self._period
        if share < 1.0:
            cause = f"cut short after {share:.0%} of its period"
            step = replace(
                sent.step,
                executed=(sent.step.executed * share).astype(np.float32),
                cause=", ".join(filter(None, (sent.step.cause, cause))),
            )
            self._host.record(step, sent.time_ns, sent.late)

    def tick(self) -> None:
        """One control period."""
        host, loop = self._host, self._host.loop
        started = self._clock()
        late = self._lateness(started)
        self._between_episodes()
        now_ns = self._now_ns()
        snapshot = host.inputs.snapshot()
        if not loop.running or snapshot is None:
            self._tick_outside(snapshot, now_ns)
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
        observation = host.observe(snapshot, self._number, wanted)
        now = 1e-9 * now_ns
        travelled = host.inputs.pop_travelled()
        stamps = host.inputs.stamps()
        result = loop.tick(observation, None, snapshot.teleop, now, stamps, host.absent())
        host.send(result.executed, now_ns)
        commanded = self._clock()
        reaction = None
        if travelled is not None and result.step is not None and result.step.source is Source.HUMAN:
            reaction = travelled + late + commanded - started
        self._sent = None
        computed = time.thread_time()
        if result.step is not None:
            host.record(result.step, now_ns, late)
            self._sent = _Sent(result.step, now_ns, late, commanded)
        elif result.cause:
            host.explain(result.cause)
        written, computed = self._clock(), time.thread_time() - computed
        # Last: two images take some milliseconds.
        host.show()
        host.tell_state()
        done = self._clock()
        chunk_late, self._chunk_late = self._chunk_late, None
        lost, self._chunks_lost = self._chunks_lost, 0
        host.log(
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
            )
        )

    def _tick_outside(self, snapshot: Snapshot | None, now_ns: int) -> None:
        """A period in which no step is due: the arm stands, or goes through its reset script."""
        host, loop = self._host, self._host.loop
        action = ZERO
        if snapshot is not None and loop.resets_itself:
            proprio, stamps = proprio_from_msg(snapshot.proprio), host.inputs.stamps()
            now = 1e-9 * now_ns
            result = loop.reset_tick(proprio, snapshot.teleop, now, stamps, host.absent())
            action = result.executed
            host.explain(result.cause)
        host.send(action, now_ns)
        if snapshot is None and loop.running:
            host.explain(f"never came: {', '.join(host.inputs.missing())}")
        host.tell_state()

    def _lateness(self, started: float) -> float:
        """Against the timer's grid, and whole periods that were missed since the last tick."""
        phase = self._phase()
        missed = 0
        if self._last is not None:
            since, before = self._last
            missed = round((started - since - phase + before) / self._period) - 1
        self._last = (started, phase)
        return phase + max(0, missed) * self._period

    def _between_episodes(self) -> None:
        host = self._host
        host.loop.episode.decide()
        host.begin()
        valid_from = host.scene_valid_from()
        if (
            host.loop.episode.state is State.RESETTING
            and valid_from is not None
            and host.inputs.oldest_ns() >= min(valid_from, self._now_ns())
        ):
            self._chunk = None
            host.loop.reset_done()

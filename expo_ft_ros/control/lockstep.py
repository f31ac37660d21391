# SPDX-License-Identifier: Apache-2.0
"""A tick when everyone has done their part: simulated time, as fast as the machine goes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from expo_ft_ros.control.actions import (
    Actions,
    EndTick,
    Execute,
    Explain,
    PublishObservation,
    PublishState,
    PublishStep,
    Tick,
    WaitFor,
)
from expo_ft_ros.control.episode_machine import State
from expo_ft_ros.control.loop import ControlLoop
from expo_ft_ros.control.scheduler import ZERO, Scheduler
from expo_ft_ros.control.snapshot import Inputs, Snapshot
from expo_ft_ros.data.types import ActionChunk, Step, Verdict

RESEND_AFTER = 0.5
"""Who has waited for so long sends again [s]."""


@dataclass
class _Pending:
    """An observation that is being answered."""

    snapshot: Snapshot
    shown: PublishObservation
    since: float
    chunk: ActionChunk | None = None
    verdict: Verdict | None = None

    def missing(self) -> list[str]:
        """Whose answer is still to come."""
        missing = [] if self.verdict is not None else ["reward"]
        if self.shown.chunk_wanted and self.chunk is None:
            missing.append("policy")
        return missing


class Lockstep(Scheduler):
    """One snapshot after the other; each waits for the verdict and, where asked, for the chunk.

    clock: a steady one [s].
    """

    def __init__(
        self, loop: ControlLoop, inputs: Inputs, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(loop, inputs)
        self._clock = clock
        self._pending: _Pending | None = None
        self._number = 0
        self._done_ns = 0
        self._sent: tuple[Execute, Step | None] | None = None
        self._since = clock()

    def advance(self) -> Actions:
        """Goes on as far as what is known allows."""
        yield from self._between_episodes()
        yield PublishState()
        if not self.loop.running:
            if self.loop.episode.state is not State.PAUSED:
                self._pending = None
            return
        if self._pending is None:
            yield from self._open()
        if self._pending is not None and not self._pending.missing():
            yield from self._execute(self._pending)

    def take_chunk(self, chunk: ActionChunk) -> Actions:
        """The policy's answer to the pending observation; another one is an old one."""
        pending = self._pending
        if pending is not None and chunk.observation == pending.shown.observation.number:
            pending.chunk = chunk
            yield from self.advance()

    def take_verdict(self, number: int, verdict: Verdict) -> Actions:
        """The classifier's answer to the pending observation; another one is an old one."""
        pending = self._pending
        if pending is not None and number == pending.shown.observation.number:
            pending.verdict = verdict
            yield from self.advance()

    def hold(self) -> Actions:
        """One zero; none while paused: without a command the world stands, and then goes on."""
        if self.loop.episode.state is not State.PAUSED:
            yield Execute(ZERO, self.inputs.newest_ns)

    def check(self) -> Actions:
        """Goes on where it can, and sends again what nobody seems to have heard."""
        yield from self.advance()
        if self._clock() - self._since < RESEND_AFTER or not self.loop.running:
            return
        self._since = self._clock()
        if self._pending is not None:
            number, missing = self._pending.shown.observation.number, self._pending.missing()
            waits = f"waiting for {' and '.join(missing)} on observation {number}"
            yield WaitFor(": ".join(filter(None, (waits, self.silent))))
            yield self._pending.shown
        elif self._sent is not None:
            yield WaitFor(f"waiting for {', '.join(self.inputs.behind())}")
            command, step = self._sent
            yield command
            if step is not None:
                yield PublishStep(step, command.time_ns, again=True)

    def _shows(self, valid_from_ns: int) -> bool:
        return self.inputs.of_one_time() and self._now() >= valid_from_ns

    def _now(self) -> int:
        return self.inputs.newest_ns

    def _open(self) -> Actions:
        inputs = self.inputs
        if not inputs.of_one_time() or inputs.newest_ns <= self._done_ns:
            return
        snapshot = inputs.snapshot()
        if snapshot is None:
            return
        if cause := self.loop.waits_for_operator(snapshot.teleop):
            yield from self._pass_time(snapshot.time_ns, cause)
            return
        self._number += 1
        wanted = self.loop.wants_chunk(self._number, snapshot.teleop)
        told, left = self.loop.task.instruction, self.loop.episode.steps_left
        observation = snapshot.observation(self._number, told, left)
        shown = PublishObservation(observation, self.loop.snapshot.episode, wanted)
        self._since = self._clock()
        self._pending = _Pending(snapshot, shown, self._since)
        yield shown

    def _pass_time(self, time_ns: int, cause: str) -> Actions:
        """The world goes on, or it would show nothing new; it is no step of the episode."""
        self._done_ns = time_ns
        command = Execute(ZERO, time_ns)
        self._sent, self._since = (command, None), self._clock()
        yield command
        yield Explain(cause)

    def _execute(self, pending: _Pending) -> Actions:
        loop, observation = self.loop, pending.shown.observation
        started = self._clock()
        self._pending = None
        if pending.verdict is not None:
            verdict = pending.verdict
            loop.verdict(observation.number, verdict.success, verdict.human_reset)
        if loop.running:
            time_ns = pending.snapshot.time_ns
            result = loop.tick(observation, pending.chunk, pending.snapshot.teleop, 1e-9 * time_ns)
            self._done_ns = time_ns
            command = Execute(result.executed, time_ns)
            self._sent = command, result.step
            yield command
            if result.step is not None:
                yield PublishStep(result.step, time_ns)
            self._since = self._clock()
            took, waited = self._since - started, started - pending.since
            tick = Tick(observation.number, observation.time, 0.0, took=took, waited=waited)
            yield EndTick(tick)
        yield PublishState()

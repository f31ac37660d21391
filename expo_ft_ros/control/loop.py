# SPDX-License-Identifier: Apache-2.0
"""One control tick, without ROS: the arbitration node uses it, and a trainer in one process can.

Each observation of a running episode goes through it once, in this order:

    loop.take(chunk, number)                   # in real time, a chunk that has come since
    if loop.wants_chunk(number, teleop): ask the policy
    loop.verdict(number, success)              # of the classifier on this observation
    if loop.running: result = loop.tick(...)   # execute, send result.executed
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.control.arbiter import DEVICE_LOST, Arbiter, ArbitrationResult
from expo_ft_ros.control.chunk_executor import NO_SLOT, ChunkExecutor, Proposal
from expo_ft_ros.control.episode_machine import (
    EpisodeMachine,
    EpisodeSnapshot,
    Reply,
    SceneReset,
    State,
)
from expo_ft_ros.control.plan import Plan
from expo_ft_ros.control.reset_script import ResetScript
from expo_ft_ros.control.safety_filter import Deadlines, Filtered, SafetyConfig, SafetyFilter
from expo_ft_ros.data.types import (
    ACTION_DIM,
    GRIPPER,
    ActionChunk,
    FloatArray,
    Observation,
    Proprio,
    Source,
    Step,
)
from expo_ft_ros.devices.teleop import TeleopState
from expo_ft_ros.robots import RobotLimits
from expo_ft_ros.tasks import TaskConfig

AWAITING_TAKEOVER = "the operator has not taken over yet"
"""Why the arm stands before a demonstration."""


@dataclass(frozen=True)
class TickResult:
    """executed: (7,) float32 normalised, to be sent whatever happened, also when zero.

    step: its provenance; None when nothing of the episode was executed, cause then says why.
    """

    executed: FloatArray
    step: Step | None
    cause: str = ""


class ControlLoop:
    """Chunks, operator, safety and episode of one robot.

    lead: ticks before the end of a chunk at which the next one is asked for; 0 in lock-step, where
    the world waits for the answer. scene_reset, decision_time, clock: as of `EpisodeMachine`.
    begins_with_takeover: an operator who drives alone is a human at a device, who is waited for.
    motion: whether what is executed reaches the arm; where it doesn't, no episode counts.
    `episode` takes what people ask for: mark_success, pause, estop ...
    """

    def __init__(
        self,
        task: TaskConfig,
        limits: RobotLimits,
        safety: SafetyConfig,
        *,
        lead: int = 0,
        scene_reset: SceneReset = SceneReset.AUTOMATIC,
        decision_time: float = 0.0,
        begins_with_takeover: bool = False,
        motion: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.task = task
        self._limits = limits
        self.lead = lead
        self._begins_with_takeover = begins_with_takeover
        self.episode = EpisodeMachine(scene_reset, clock, decision_time, motion=motion)
        self._safety = safety
        if lead:
            safety.require_time_for_chunks(task.name, task.period * task.execute_steps)
        self._executor = ChunkExecutor(task.execute_steps)
        self._arbiter = Arbiter(safety.takeover_gripper)
        self._filter = SafetyFilter(safety, limits, task.workspace)
        self._deadlines = Deadlines(safety)
        self._asked: int | None = None
        self._last_tick = 0
        self._exhausted_at: float | None = None
        self._chunk_came = False
        self._chunk_at: float | None = None
        self._human_drove = False
        self._ticked_at: dict[int, float] = {}
        self._judged = 0
        self._script: ResetScript | None = None
        if scene_reset is SceneReset.SCRIPTED and not task.reset_script:
            raise ConfigError(
                f"{task.file}: reset_script: there is none, but scene_reset is "
                "scripted (write one, or take another scene_reset)"
            )

    @property
    def running(self) -> bool:
        """Whether a tick would execute: observations are numbered only then."""
        return self.episode.state is State.RUNNING

    @property
    def snapshot(self) -> EpisodeSnapshot:
        """The episode's state; changed when `episode.revision` has grown."""
        return self.episode.snapshot()

    def begin(self, plan: Plan) -> Reply:
        """Start the plan's episode; its scene must now be reset, then call reset_done.

        Refused, to be tried again, while paused or stopped; and for a plan that isn't new.
        """
        reply = self.episode.start(plan)
        if reply.accepted:
            self.stand_still()
            self._arbiter.latch.reset()
            self._exhausted_at = None
            self._script = self._new_script(plan)
        return reply

    def reset_done(self) -> Reply:
        """The scene is set: ticks begin. A manual reset says so by episode.reset_requested."""
        reply = self.episode.reset_done()
        if reply.accepted:
            self.stand_still()
            self._arbiter.latch.reset()
        return reply

    def _new_script(self, plan: Plan) -> ResetScript | None:
        if self.episode.scene_reset is not SceneReset.SCRIPTED:
            return None
        task = self.task
        return ResetScript(task.reset_script, self._limits, task.period, seed=plan.seed)

    @property
    def resets_itself(self) -> bool:
        """Whether `reset_tick` drives now: not while the operator is asked to look first."""
        episode = self.episode
        return (
            self._script is not None
            and episode.state is State.RESETTING
            and not episode.waits_for_operator
        )

    @property
    def script_done(self) -> bool:
        """Whether the arm has been through its reset script."""
        return self._script is not None and self._script.done

    def reset_tick(
        self,
        proprio: Proprio,
        teleop: TeleopState,
        now: float,
        stamps: Mapping[str, float | None],
        cause: str = "",
    ) -> TickResult:
        """One period of the scripted reset, as `tick` but not a step of any episode. An operator
        who takes over drives; the script goes on after. Where it gets nowhere the operator is asked
        to look."""
        script, plan = self._script, self.episode.plan
        if script is None or plan is None or not self.resets_itself:
            self.stand_still()
            return _nothing(self.snapshot.state)
        held = cause or self._deadlines.check(now, stamps)
        where = script.where
        proposal = Proposal.hold(where)
        if held or teleop.engaged:
            script.interrupt()
        else:
            proposal = Proposal(script.advance(proprio), 0, NO_SLOT, Source.POLICY, where)
        if script.failed:
            self.episode.ask(f"look at the scene: {script.failed}")
            self._script = self._new_script(plan)
        choice = self._arbiter.decide(proposal, teleop, held)
        if choice.source is Source.HOLD or script.failed:
            sent = self._filter.stop("")
        else:
            sent = self._filtered(choice.action, proprio, now, stamps)
        self._arbiter.latch.executed(float(sent.action[GRIPPER]))
        why = choice.cause or f"{where}, a human drives"
        return TickResult(sent.action, None, ", ".join(filter(None, (why, sent.cause))))

    def waits_for_operator(self, teleop: TeleopState) -> str:
        """Why no step is due of an episode that a human alone drives, "" where one is: it begins
        with the takeover, and stands still while the device is lost, so that no clock runs while
        the human is waited for."""
        if not self._begins_with_takeover or not self._operator_alone:
            return ""
        if teleop.engaged and teleop.connected:
            return ""
        if not self.episode.driven:
            return AWAITING_TAKEOVER
        return DEVICE_LOST if teleop.engaged else ""

    def wants_chunk(self, number: int, teleop: TeleopState) -> bool:
        """Whether the policy is asked for a chunk from this observation; teleop: of its time.

        It is asked once, and again when it hasn't answered for as long as a chunk is executed.
        Where the task says so it is also asked when the operator has let go.
        """
        if not self.running or self._operator_alone:
            return False
        if self._human_drove and not teleop.engaged:
            self._human_drove = False
            if self.task.replan_on_release:
                self._executor.replan(number)
                self._asked = None
        if not self._executor.wants_chunk(number, self.lead):
            return False
        waiting = self._asked is not None and 0 < number - self._asked < self.task.execute_steps
        if waiting:
            return False
        self._asked = number
        return True

    def ticks_planned(self, number: int) -> int:
        """Ticks from observation `number` until C steps of the present chunk are done."""
        return self._executor.planned(number)

    def take(self, chunk: ActionChunk, number: int) -> bool:
        """Queue a chunk before observation `number` is asked about or ticked; tick does it too.

        False for one that is known already, too late, of an earlier episode, or of an observation
        that is still to come. Raises ValueError when its actions aren't (H, 7).
        """
        first = self.snapshot.first_observation or number
        if not self.running or not first <= chunk.observation <= number:
            return False
        taken = self._executor.accept(chunk, number)
        if taken:
            self._asked = None
            self._chunk_came = True
        return taken

    def verdict(self, number: int, success: bool, human_reset: str = "") -> Reply:
        """The classifier's word on observation `number`: ends the episode, or lets it go on.

        human_reset: what the operator must set right in the scene before the next episode.
        """
        self._judged = max(self._judged, number)
        return self.episode.verdict(success, number, human_reset)

    def tick(
        self,
        observation: Observation,
        chunk: ActionChunk | None,
        teleop: TeleopState,
        now: float,
        stamps: Mapping[str, float | None] | None = None,
        cause: str = "",
    ) -> TickResult:
        """Execute one step on an observation.

        chunk: a new one, if any (see take); now: [s] of the clock in use; stamps: newest sample of
        each input whose deadline holds now (none in lock-step: there the world waits); cause: the
        caller's own reason to hold still.
        Raises ValueError for an observation that was executed already and for a chunk that isn't
        (H, 7).
        """
        if not self.running:
            self.stand_still()
            return _nothing(self.snapshot.cause or self.snapshot.state)
        number = observation.number
        if number <= self._last_tick:
            raise ValueError(
                f"observation {number}: executed already, the last was {self._last_tick} "
                "(number observations in growing order)"
            )
        self.episode.observe(number)
        if self.episode.steps_left == 0:
            return self._await_last_verdict(now)
        self._last_tick = number
        if chunk is not None:
            self.take(chunk, number)
        proposal = self._executor.propose(number)
        stale = self._deadlines.check(now, self._with_answers(stamps or {}, number, now))
        hold_cause = cause or stale
        choice = self._arbiter.decide(proposal, teleop, hold_cause, self._operator_alone)
        self._human_drove |= choice.source is Source.HUMAN
        if choice.source is Source.HOLD:
            sent = self._filter.stop("")
        else:
            sent = self._filtered(choice.action, observation.proprio, now, stamps)
        self._arbiter.latch.executed(float(sent.action[GRIPPER]))
        lost = teleop.engaged and not teleop.connected
        kept = choice.source is Source.HOLD and bool(hold_cause or lost)
        self.episode.step_executed(choice.source, kept=kept)
        step = self._step(number, choice, sent)
        return TickResult(sent.action, step, step.cause)

    def _filtered(
        self,
        action: FloatArray,
        proprio: Proprio,
        now: float,
        stamps: Mapping[str, float | None] | None,
    ) -> Filtered:
        """In real time the robot has gone on since it was measured, and a tick may be late."""
        measured = (stamps or {}).get("proprio")
        return self._filter.filter(
            action,
            proprio,
            self.task.period,
            age=0.0 if measured is None else now - measured,
            slack=0.0 if measured is None else self._safety.late_tick,
        )

    @property
    def _operator_alone(self) -> bool:
        plan = self.episode.plan
        return plan is not None and plan.policy == "none"

    def _with_answers(
        self, stamps: Mapping[str, float | None], number: int, now: float
    ) -> Mapping[str, float | None]:
        """The stamps, and in real time that of the oldest observation that waits for a
        word on and, where the policy drives, that of its last chunk."""
        if self._chunk_came:
            self._chunk_came, self._chunk_at = False, now
        if not stamps:
            return stamps
        waiting = {n: time for n, time in self._ticked_at.items() if n > self._judged}
        self._ticked_at = {**waiting, number: now}
        # Since the oldest observation that still waits for its verdict was acted on.
        answers = {"reward": min(self._ticked_at.values())}
        if not self._operator_alone and self._chunk_at is not None:
            answers["policy"] = self._chunk_at
        return {**stamps, **answers}

    def _await_last_verdict(self, now: float) -> TickResult:
        """Every step is done: hold still until the classifier has seen the last one's outcome."""
        self._filter.reset()
        if self._exhausted_at is None:
            self._exhausted_at = now
        if now - self._exhausted_at >= self._safety.verdict_timeout:
            self.episode.timeout()
        return _nothing("waiting for the last verdict")

    def stand_still(self) -> None:
        """Forget chunks and velocity: called after the arm was held for a while, since the world
        may be another one when it goes on."""
        self._executor.clear(self._last_tick + 1)
        self._filter.reset()
        if self._script is not None:
            self._script.interrupt()
        self._asked = None
        self._chunk_came, self._chunk_at = False, None
        self._human_drove = False
        self._ticked_at = {}

    def _step(self, number: int, choice: ArbitrationResult, sent: Filtered) -> Step:
        return Step(
            observation=number,
            episode=self.snapshot.episode,
            chunk=choice.chunk,
            index=choice.index,
            source=choice.source,
            proposed=choice.action,
            executed=sent.action,
            cause=", ".join(part for part in (choice.cause, sent.cause) if part),
        )


def _nothing(cause: str) -> TickResult:
    return TickResult(np.zeros(ACTION_DIM, np.float32), None, cause)

# SPDX-License-Identifier: Apache-2.0
"""The life of an episode: an explicit table of transitions, and two things that hold it.

idle -> resetting -> running -> deciding -> ended -> resetting ... An episode is over by the first
reason. What the classifier or the time has ended the operator may overrule while it is deciding; an
ended one is committed and final. What follows it in sync mode, the learner's update, is no state of
the episode: session/status says so.
A pause and an emergency stop lie over that: either keeps the robot still and the next episode
from starting; a stop also ends the running episode, which is then not learned from.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

from expo_ft_ros.control.plan import EVALUATIONS, MOTION_OFF, SHADOW, Plan, Stage
from expo_ft_ros.data.types import Source

BY_ESTOP = "estop"
"""The cause of a stop that somebody has called, and not the robot itself."""


class State(StrEnum):
    """What EpisodeState.msg calls `state`."""

    IDLE = "idle"
    RESETTING = "resetting"
    RUNNING = "running"
    DECIDING = "deciding"
    ENDED = "ended"
    PAUSED = "paused"
    STOPPED = "stopped"


class SceneReset(StrEnum):
    """Who resets the scene between episodes: the adapter; the adapter, once the operator has set
    right what the classifier wants, or looked at it after a stop or a start; the same, but the arm
    does it by its task's `reset_script`; the operator, each time. The operator says that it is done
    by /reset_episode."""

    AUTOMATIC = "automatic"
    ASKED = "asked"
    SCRIPTED = "scripted"
    OPERATOR = "operator"


class Event(StrEnum):
    """What can happen to an episode."""

    START = "start"
    RESET_DONE = "reset done"
    SUCCESS = "success"
    TIMEOUT = "timeout"
    COMMIT = "commit"
    MARK_SUCCESS = "marked as success"
    MARK_FAILURE = "marked as failure"
    RESET_REQUESTED = "reset requested"
    REDO = "to be done again"
    ABORT = "aborted"
    ESTOP = "estop"


# Every transition there is; an event without one is refused and changes nothing.
TRANSITIONS: dict[tuple[State, Event], State] = {
    (State.IDLE, Event.START): State.RESETTING,
    (State.ENDED, Event.START): State.RESETTING,
    (State.RESETTING, Event.RESET_DONE): State.RUNNING,
    (State.RESETTING, Event.REDO): State.ENDED,
    (State.RESETTING, Event.ABORT): State.ENDED,
    (State.RESETTING, Event.ESTOP): State.ENDED,
    (State.RUNNING, Event.SUCCESS): State.DECIDING,
    (State.RUNNING, Event.TIMEOUT): State.DECIDING,
    (State.RUNNING, Event.MARK_SUCCESS): State.ENDED,
    (State.RUNNING, Event.MARK_FAILURE): State.ENDED,
    (State.RUNNING, Event.RESET_REQUESTED): State.ENDED,
    (State.RUNNING, Event.REDO): State.ENDED,
    (State.RUNNING, Event.ABORT): State.ENDED,
    (State.RUNNING, Event.ESTOP): State.ENDED,
    (State.DECIDING, Event.COMMIT): State.ENDED,
    (State.DECIDING, Event.MARK_SUCCESS): State.ENDED,
    (State.DECIDING, Event.MARK_FAILURE): State.ENDED,
    (State.DECIDING, Event.RESET_REQUESTED): State.ENDED,
    (State.DECIDING, Event.ABORT): State.ENDED,
}

# What leaves the verdict of an episode that is deciding as it is.
CONFIRMS = (Event.COMMIT, Event.RESET_REQUESTED)

# (success, terminated, discarded) of each way to end; what isn't terminated is truncated.
# An episode in which nobody drove, or no step's outcome was seen, is discarded, however it ended,
# and so is one that was kept from being driven for more than HELD_SHARE of its steps: where it
# failed, or is an evaluation's, and nobody has judged it. A trial of an evaluation in which the
# operator drove is void, also where the operator judged it.
OUTCOMES: dict[Event, tuple[bool, bool, bool]] = {
    Event.SUCCESS: (True, True, False),
    Event.MARK_SUCCESS: (True, True, False),
    Event.MARK_FAILURE: (False, True, False),
    Event.TIMEOUT: (False, False, False),
    Event.RESET_REQUESTED: (False, False, False),
    Event.REDO: (False, False, True),
    Event.ABORT: (False, False, True),
    Event.ESTOP: (False, False, True),
}

HELD_SHARE = 0.25
"""A policy that was kept from driving for longer than this has not failed by itself."""


def stop_words(cause: str) -> str:
    """Why the arm was stopped, for the operator."""
    return "E-STOP was pressed" if cause == BY_ESTOP else cause


@dataclass(frozen=True)
class Reply:
    """Whether a request was taken, and what to tell the operator who made it."""

    accepted: bool
    message: str


@dataclass(frozen=True)
class EpisodeSnapshot:
    """The fields of EpisodeState.msg but for its header, which documents them."""

    episode: int = 0
    state: str = State.IDLE.value
    stage: str = ""
    steps: int = 0
    first_observation: int = 0
    last_observation: int = 0
    success: bool = False
    terminated: bool = False
    truncated: bool = False
    discarded: bool = False
    human_steps: int = 0
    cause: str = ""
    human_reset: str = ""
    asked: str = ""
    paused: bool = False
    redo: int = 0


def request_to_operator(asked: str) -> str:
    """The words for what the operator is asked to do (`EpisodeSnapshot.asked`); "" for nothing."""
    return f"asked of the operator, then /reset_episode: {asked}" if asked else ""


DEBOUNCE = 1.0
"""/reset_episode within this time of itself is the same press again: nobody has done what they are
asked to so soon after an episode's end [s]."""


class EpisodeMachine:
    """The state machine. clock: steady time [s]; decision_time: how long the operator may
    overrule how an episode has ended [s], from 0; motion: whether the arm gets commands. Without
    motion every episode is discarded, and none is a success.

    `revision` grows with every change but the count of steps: the publisher compares it.
    """

    def __init__(
        self,
        scene_reset: SceneReset = SceneReset.AUTOMATIC,
        clock: Callable[[], float] = time.monotonic,
        decision_time: float = 0.0,
        *,
        motion: bool = True,
    ) -> None:
        self.scene_reset = scene_reset
        self._motion = motion
        self._decision_time = decision_time
        self.revision = 0
        self.plan: Plan | None = None
        self._state = State.IDLE
        self._record = EpisodeSnapshot()
        self._paused = False
        self._stop_cause = ""
        self._clock = clock
        self._asked: tuple[str, ...] = ()
        self._told_at = self._word_at = self._decided_at = self._redone_at = -math.inf
        self._collecting = False
        self._demonstration = 0
        self._acted_on = 0
        self._driven_from = math.inf
        self._held = 0
        self._ask("look at the scene: the run starts")

    @property
    def state(self) -> State:
        """The state as published: a stop shows over all, a pause over all but an ended episode."""
        if self._stop_cause:
            return State.STOPPED
        if self._paused and self._state is not State.ENDED:
            return State.PAUSED
        return self._state

    @property
    def paused(self) -> bool:
        """Whether a pause holds; after an episode's end and a stop the state doesn't show it."""
        return self._paused

    @property
    def driven(self) -> bool:
        """Whether somebody, or the policy, has driven in this episode."""
        return self._driven_from < math.inf

    @property
    def waits_for_operator(self) -> bool:
        """Whether the reset waits until the operator has said that the scene is set."""
        return self._state is State.RESETTING and bool(self._asked)

    def snapshot(self) -> EpisodeSnapshot:
        """What EpisodeState.msg says now."""
        held = {State.STOPPED: self._stop_cause, State.PAUSED: "paused"}
        cause = held.get(self.state, self._record.cause)
        asked = ", ".join(self._asked)
        return replace(
            self._record, state=self.state.value, cause=cause, asked=asked, paused=self._paused
        )

    # The course of an episode.

    def start(self, plan: Plan) -> Reply:
        """Begin the plan's episode by resetting; refused while one is on, paused or stopped."""
        if plan.episode <= self._record.episode:
            return Reply(False, f"episode {plan.episode}: nothing new to start")
        if self._stop_cause or self._paused:
            return Reply(False, f"episode {plan.episode}: {self._stop_cause or 'paused'}")
        redo = self._record.redo
        if redo and plan.stage == "collect" and plan.redone != redo:
            return Reply(False, f"episode {plan.episode}: demonstration {redo} comes again first")
        return self._apply(Event.START, lambda: self._begin(plan))

    def reset_done(self) -> Reply:
        """The simulation, or the robot's own reset, has set the scene; refused while the operator
        is asked to."""
        if self.waits_for_operator:
            return Reply(False, f"{self.state.value}: {request_to_operator(self.snapshot().asked)}")
        return self._apply(Event.RESET_DONE)

    def observe(self, number: int) -> None:
        """A snapshot of the running episode was numbered (from 1); older numbers are ignored, and
        so are those after the outcome of the last step that the plan allows."""
        over = self.steps_left == 0 and self._record.last_observation > self._acted_on
        if self._state is State.RUNNING and number > self._record.last_observation and not over:
            first = self._record.first_observation or number
            self._record = replace(self._record, first_observation=first, last_observation=number)

    def step_executed(self, source: Source, *, kept: bool = False) -> Reply:
        """A step was sent for the newest observation: counted, the state stays as it is.

        kept: a hold, though somebody would have driven.
        """
        if self.state is not State.RUNNING or self.steps_left == 0:
            return Reply(False, f"{self.state.value}: no step is due")
        record = self._record
        human = record.human_steps + int(source is Source.HUMAN)
        self._record = replace(record, steps=record.steps + 1, human_steps=human)
        self._acted_on = record.last_observation
        self._held += kept and self._driven_from < math.inf
        if source is not Source.HOLD:
            self._driven_from = min(self._driven_from, self._acted_on)
        return Reply(True, "")

    def verdict(self, success: bool, number: int, human_reset: str = "") -> Reply:
        """The classifier's word on observation `number`; it may come some ticks late.

        Success ends the episode there. Where the last step's outcome is no success it times out.
        A verdict on the first observation is the reward of no action, so it is ignored.
        human_reset: what the operator must set right before the next episode; the last word counts.
        """
        if self._state is not State.RUNNING or not 0 < self._record.first_observation < number:
            return Reply(False, f"{self.state.value}: no action led to observation {number}")
        self.observe(number)
        self._record = replace(self._record, human_reset=human_reset)
        if success:
            self._record = replace(self._record, last_observation=number)
            return self._apply(Event.SUCCESS)
        if self.steps_left == 0 and number > self._acted_on:
            return self.timeout()
        return Reply(True, "")

    @property
    def steps_left(self) -> int:
        """Steps that the plan still allows."""
        return max(0, (self.plan.max_steps if self.plan else 0) - self._record.steps)

    def timeout(self) -> Reply:
        """The episode has had its steps: truncated."""
        return self._apply(Event.TIMEOUT)

    def decide(self) -> None:
        """Commits an episode that the operator has had the time to overrule. To be called now and
        then; while paused or stopped nothing is committed."""
        over = self._clock() - self._decided_at >= self._decision_time
        if self._state is State.DECIDING and over and not self._paused and not self._stop_cause:
            self._apply(Event.COMMIT)

    def hear_stage(self, stage: Stage) -> None:
        """The session is in this stage: what was demonstrated is final once that isn't collect."""
        self._collecting = stage == "collect"
        if not self._collecting:
            self._demonstration = 0

    def ask(self, what: str) -> None:
        """The operator has to set something right: the next episode waits for /reset_episode."""
        self._ask(what)
        self._told_at = self._clock()
        self.revision += 1

    # What the operator asks for.

    def mark_success(self) -> Reply:
        """The operator's verdict, until the episode is committed; an ended one is final."""
        return self._apply(Event.MARK_SUCCESS)

    def mark_failure(self) -> Reply:
        """The operator's verdict, until the episode is committed; an ended one is final."""
        return self._apply(Event.MARK_FAILURE)

    def reset_requested(self) -> Reply:
        """/reset_episode: ends a running episode, commits one that is deciding; else the
        operator has done what was asked (`EpisodeSnapshot.asked`), which may come before the next
        episode is planned."""
        if self._stop_cause:
            return Reply(False, f"stopped: {self._stop_cause} (release it first)")
        now = self._clock()
        still = request_to_operator(self.snapshot().asked)
        if now - self._word_at < DEBOUNCE:
            return Reply(True, f"{self.state.value}: taken just now{still and '; '}{still}")
        if now - self._told_at < DEBOUNCE and still:
            return Reply(False, f"{self.state.value}: nobody can have done so yet; {still}")
        if (self._state, Event.RESET_REQUESTED) in TRANSITIONS:
            self._word_at = now
            return self._apply(Event.RESET_REQUESTED)
        if not self._asked:
            return Reply(True, f"{self.state.value}: the scene is reset before the next episode")
        self._asked = ()
        self._word_at = now
        self.revision += 1
        if self._state is State.RESETTING and self.scene_reset is SceneReset.OPERATOR:
            return self._apply(Event.RESET_DONE)
        return Reply(True, f"{self.state.value}: the next episode doesn't wait for the operator")

    def redo(self) -> Reply:
        """Discards the last demonstration, which comes again: the one that somebody drives, else
        the last that is over (`EpisodeSnapshot.redo`), and the one that hasn't begun ends."""
        now = self._clock()
        if self._stop_cause:
            return Reply(False, f"stopped: {self._stop_cause} (release it first)")
        if now - self._redone_at < DEBOUNCE:
            return Reply(True, f"{self.state.value}: taken just now")
        if not self._collecting:
            return Reply(False, "nothing to redo: no demonstrations are collected now")
        if self._state is State.DECIDING:
            self._apply(Event.COMMIT)
        number = self._record.episode
        if self._state is State.RUNNING and self.driven:
            self._apply(Event.REDO)
        elif self._demonstration:
            number = self._demonstration
            self._end_if_on(Event.REDO, f"demonstration {number} comes again first")
            self._record = replace(self._record, redo=number)
            self.revision += 1
        else:
            return Reply(
                False, "nothing to redo: no demonstration that counts is over since the last one"
            )
        self._demonstration = 0
        self._redone_at = now
        return Reply(True, f"demonstration {number} is discarded and comes again")

    def pause(self) -> Reply:
        """Hold still; nothing is lost and resume goes on where it was. Also while stopped."""
        return self._set_paused(True)

    def resume(self) -> Reply:
        """End a pause."""
        return self._set_paused(False)

    def estop(self, engaged: bool, cause: str = BY_ESTOP) -> Reply:
        """Latch a stop, or release it. The first cause stays; the running episode is discarded.

        Once released the next episode may start. Where the operator resets or is asked, it waits
        for /reset_episode first; elsewhere, to look at the scene, pause before releasing.
        """
        if not engaged:
            if not self._stop_cause:
                return Reply(True, "not stopped")
            self._stop_cause = ""
            self._decided_at = self._clock()  # the operator has had no time to say anything
            self.revision += 1
            return Reply(True, "released")
        if not self._stop_cause:
            self._stop_cause = cause or BY_ESTOP
            self._ask(f"look at the scene after: {stop_words(self._stop_cause)}")
            self.revision += 1
            self._end_if_on(Event.ESTOP, self._stop_cause)
        return Reply(True, f"stopped: {self._stop_cause}")

    def abort(self, cause: str) -> Reply:
        """Give the episode up, not to be learned from: its data can't be trusted."""
        return self._apply(Event.ABORT, cause=cause)

    # How a transition is made.

    def _apply(
        self, event: Event, action: Callable[[], None] | None = None, cause: str = ""
    ) -> Reply:
        target = TRANSITIONS.get((self._state, event))
        judges = event in (Event.MARK_SUCCESS, Event.MARK_FAILURE) and target is not None
        still_open = judges and self._state is State.DECIDING
        if target is None or (self._stop_cause and event is not Event.ESTOP and not still_open):
            return self._refuse(event)
        confirmed = self._state is State.DECIDING and event in CONFIRMS
        self._state = target
        self.revision += 1
        if action is not None:
            action()
        elif target in (State.DECIDING, State.ENDED):
            if not confirmed:
                self._conclude(event, cause or event.value)
            if target is State.ENDED:
                self._end(event)
            else:
                self._decided_at = self._clock()
                self.decide()
        return Reply(True, self.state.value)

    def _refuse(self, event: Event) -> Reply:
        return Reply(False, f"{self.state.value}: {event.value} means nothing now")

    def _begin(self, plan: Plan) -> None:
        self.plan = plan
        self._record = EpisodeSnapshot(episode=plan.episode, stage=plan.stage)
        self._driven_from, self._held = math.inf, 0
        if self.scene_reset is SceneReset.OPERATOR and not self._asked:
            self._state = TRANSITIONS[self._state, Event.RESET_DONE]

    def _ask(self, what: str) -> None:
        """Asks something of the operator before the next episode, once; nothing where nobody is."""
        if self.scene_reset is not SceneReset.AUTOMATIC and what not in self._asked:
            self._asked = (*self._asked, what)

    def _conclude(self, event: Event, cause: str) -> None:
        """What the episode has come to, as long as nobody says otherwise."""
        success, terminated, discarded = OUTCOMES[event]
        record = self._record
        # A verdict comes some ticks late: who drove meanwhile had no part in it.
        nothing_happened = self._driven_from >= record.last_observation
        judged = event in (Event.MARK_SUCCESS, Event.MARK_FAILURE)
        measured = record.stage in EVALUATIONS
        counts = not judged and (not success or measured)
        kept_from = counts and self._held > HELD_SHARE * record.steps
        if kept_from:
            cause = f"{cause}; held for {self._held} of {record.steps} steps"
        void = measured and record.human_steps > 0
        if void:
            drove = f"{record.human_steps} of {record.steps} steps"
            cause = f"{cause}; void, the operator drove {drove} of a trial of the policy"
        shadowed = not self._motion or record.stage == SHADOW
        if shadowed:
            cause = f"{cause}; counts for nothing, {MOTION_OFF}"
        self._record = replace(
            record,
            success=success and not shadowed,
            terminated=terminated,
            truncated=not terminated,
            discarded=discarded or nothing_happened or kept_from or void or shadowed,
            cause=cause,
        )

    def _end(self, event: Event) -> None:
        """Committed. Who has to look at the scene before the next one is asked to."""
        self._told_at = self._clock()
        if self._record.stage == "collect" and self.driven:
            self._demonstration = 0 if self._record.discarded else self._record.episode
        if self._record.human_reset:
            self._ask(self._record.human_reset)
        elif self.scene_reset is SceneReset.OPERATOR:
            self._ask("set the scene")
        if event is Event.ABORT:
            # What a death left behind nobody has judged.
            self._ask(f"look at the scene after: {stop_words(self._record.cause)}")

    def _end_if_on(self, event: Event, cause: str) -> None:
        if (self._state, event) in TRANSITIONS:
            self._apply(event, cause=cause)

    def _set_paused(self, paused: bool) -> Reply:
        changed, self._paused = self._paused != paused, paused
        self.revision += changed
        return Reply(True, "paused" if paused else "goes on" if changed else "not paused")

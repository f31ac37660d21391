# SPDX-License-Identifier: Apache-2.0
"""What the operator needs to know first: who drives, what is waited for, what to press.

One rule a line, the most urgent first; the page shows it over its whole width.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from expo_ft_ros.control.arbiter import DEVICE_LOST, NOT_TAKEN_OVER
from expo_ft_ros.control.episode_machine import BY_ESTOP, State
from expo_ft_ros.control.plan import EVALUATIONS, SHADOW
from expo_ft_ros.data.types import Source
from expo_ft_ros.monitor.view import Level, View

_CONTROL = "arbitration"  # the node of the control loop
_ABOUT = 10  # seconds to which short times are rounded


class Tone(StrEnum):
    """What kind of a moment it is: the page has a colour for each."""

    CALM = "calm"
    GOOD = "good"
    BUSY = "busy"
    TURN = "turn"
    """The operator is waited for."""
    HUMAN = "human"
    HELD = "held"
    PAUSED = "paused"
    BAD = "bad"


@dataclass(frozen=True)
class Headline:
    """Attributes:
    words: The headline.
    more: What stands beside it.
    tone: Of the moment.
    press: Name of the button that goes on; "" where it goes on by itself.
    """

    words: str
    more: str = ""
    tone: Tone = Tone.CALM
    press: str = ""


def headline(view: View) -> Headline:
    """The first that holds: the run's end, what stops the arm, whom it waits for, who drives, and
    what goes on meanwhile."""
    if view.result:
        return Headline("FINISHED", f"{view.result}; nothing commands the arm now", Tone.CALM)
    return _silent(view) or _stopped(view) or _asked(view) or _driven(view) or _between(view)


def device_lost(view: View) -> bool:
    """Whether the device was lost while somebody drove: it is held until the operator says so."""
    said = any(DEVICE_LOST in each.message for each in view.diagnostics)
    return said or view.cause == DEVICE_LOST


def is_silent(view: View) -> bool:
    """Whether the control loop says nothing any more: then nothing else is known."""
    return any(each.name == _CONTROL and each.level is Level.STALE for each in view.diagnostics)


def _silent(view: View) -> Headline | None:
    if not is_silent(view):
        return None
    more = "from the control loop, the arm may be moving: stop the robot by its own means"
    return Headline("NO WORD", more, Tone.BAD)


def _stopped(view: View) -> Headline | None:
    episode = view.episode
    if episode.state == State.STOPPED and view.fault:
        more = f"{view.fault}: Recover once its cause is out of the way, then Release"
        return Headline("STOPPED", more, Tone.BAD, "recover")
    if episode.state == State.STOPPED:
        cause = "E-STOP was pressed" if episode.cause == BY_ESTOP else episode.cause
        then = f"then {episode.asked} and press Reset" if episode.asked else ""
        more = f"{cause}: nothing moves until Release, {then or 'which begins the next episode'}"
        return Headline("STOPPED", more, Tone.BAD, "release")
    if device_lost(view):
        more = "the device was lost while somebody drove: drive again, or press Go on alone"
        return Headline("HELD", more, Tone.HELD, "acknowledge")
    if episode.paused:
        paused = episode.state == State.PAUSED
        more = "the arm is held until Resume" if paused else "no episode starts until Resume"
        return Headline("PAUSED", more, Tone.PAUSED, "resume")
    return None


def _asked(view: View) -> Headline | None:
    if not view.episode.asked:
        return None
    return Headline("YOUR TURN", f"{view.episode.asked}, then press Reset", Tone.TURN, "reset")


def _driven(view: View) -> Headline | None:
    """While an episode runs, or is over and may still be overruled."""
    episode, number = view.episode, _number(view)
    if episode.state == State.DECIDING and view.motion_off:
        return Headline("NOTHING COUNTS", episode.cause, Tone.BUSY)
    if episode.state == State.DECIDING:
        words, other = ("SUCCESS", "failure") if episode.success else ("NO SUCCESS", "success")
        counts = f"it counts as {'a success' if episode.success else 'no success'} in a moment"
        more = f"{episode.cause}: {counts}; press {other.capitalize()} if that is wrong"
        return Headline(f"{words}?", more, Tone.BUSY)
    if episode.state != State.RUNNING:
        return None
    if view.motion_off and view.driver is not Source.HOLD:
        who = "the operator" if view.driver is Source.HUMAN else "the policy"
        return Headline("NOTHING MOVES", f"{number}: {who} commands, motion is off", Tone.BUSY)
    if view.driver is Source.HUMAN:
        then = "waits" if episode.stage == "collect" else "is the policy's again at once"
        return Headline("A HUMAN DRIVES", f"{number}; let go, and the arm {then}", Tone.HUMAN)
    waits = episode.stage == "collect" and not episode.steps and not view.cause
    if view.driver is Source.HOLD and (waits or view.cause == NOT_TAKEN_OVER):
        if view.take_over and not episode.human_steps:
            return Headline("YOUR TURN", f"{number}: take over ({view.take_over})", Tone.TURN)
        if view.take_over:
            return Headline("WAITING FOR YOU", f"{number}: go on driving ({view.take_over})")
        return Headline("WAITING", f"{number}: for the scripted operator", Tone.CALM)
    if view.driver is Source.HOLD and view.cause:
        return Headline("HELD", f"{view.cause}: goes on by itself once that is over", Tone.HELD)
    if view.driver is Source.HOLD:
        return Headline("READY", f"{number}: for the first chunk", Tone.CALM)
    if episode.stage in EVALUATIONS:
        more = f"{number}, the policy drives; a push of the device makes the trial void"
        return Headline("HANDS OFF", more, Tone.GOOD)
    more = f"{number}, altered: {view.cause}" if view.cause else number
    if view.take_over:
        more = f"{more}; to take over: {view.take_over}"
    return Headline("POLICY DRIVES", more, Tone.GOOD)


def _between(view: View) -> Headline:
    """Between two episodes, and before the first."""
    session, learning = view.session, view.learning
    if view.episode.state == State.RESETTING:
        return Headline("RESETTING", f"the scene, for {_number(view)}", Tone.BUSY)
    if learning.stage in ("imitation", "update"):
        words = "IMITATING" if learning.stage == "imitation" else "LEARNING"
        more = f"{_about(learning.seconds_left)}the robot waits, then goes on by itself"
        return Headline(f"{words} {learning.progress:.0%}", more, Tone.BUSY)
    if not session.stage:
        return Headline("STARTING", session.note or "waiting for the nodes", Tone.BUSY)
    if session.stage == "done":
        return Headline("FINISHED", "the run's nodes end", Tone.CALM)
    return Headline("NEXT", session.note or _number(view), Tone.CALM)


def _number(view: View) -> str:
    """Which episode of how many, in the words of its stage."""
    session, stage = view.session, view.episode.stage or view.session.stage
    of = f" of {session.stage_episodes_total}" if session.stage_episodes_total else ""
    # The books know the stage as it stands before this episode.
    number = session.stage_episodes + 1 if stage == session.stage else 0
    if stage == "collect":
        return f"demonstration {number}{of}" if number else "a demonstration"
    if stage in (*EVALUATIONS, SHADOW):
        return f"trial {number}{of}" if number else "a trial"
    if stage == "rl":
        share = f", {session.env_steps} of {session.env_steps_total} online steps"
        return f"episode {view.episode.episode}{share if session.env_steps_total else ''}"
    return stage or "no episode yet"


def _about(seconds: float) -> str:
    """Words for a time that is only estimated, before what happens in it; "" for none."""
    if not math.isfinite(seconds):
        return ""
    if seconds < 60:
        return f"about {max(_ABOUT, round(seconds / _ABOUT) * _ABOUT)} s: "
    return f"about {round(seconds / 60)} min: "

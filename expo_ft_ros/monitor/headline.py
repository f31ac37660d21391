# SPDX-License-Identifier: Apache-2.0
"""What the operator needs to know first: who drives, what is waited for, what to press.

One rule a line, the most urgent first; the page shows it over its whole width.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from expo_ft_ros.control.arbiter import DEVICE_LOST, NOT_TAKEN_OVER
from expo_ft_ros.control.chunk_executor import NO_CHUNK
from expo_ft_ros.control.episode_machine import State, stop_words
from expo_ft_ros.control.plan import DONE, EVALUATIONS, SHADOW
from expo_ft_ros.data.types import Source
from expo_ft_ros.monitor.view import Diagnostic, Level, View

_CONTROL = "arbitration"  # the node of the control loop
_DEVICE = "teleop"  # the node that hears of the device
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
    if view.ending:
        more = "the run was ended from outside; this page hears nothing more of the arm: look at it"
        return Headline("ENDED", more, Tone.HELD)
    return _silent(view) or _stopped(view) or _asked(view) or _driven(view) or _between(view)


def device_lost(view: View) -> bool:
    """Whether the device was lost while somebody drove: it is held until the operator says so. By
    the word of the node that hears of it, while that speaks, and never of an arm that is driven."""
    if view.episode.state == State.RUNNING and view.driver is not Source.HOLD:
        return False
    told = Diagnostic(Level.ERROR, _DEVICE, DEVICE_LOST)
    return told in view.diagnostics or view.cause == DEVICE_LOST


def asked(view: View) -> str:
    """What the operator is asked to do before the next episode; "" for nothing, and once there is
    no next one."""
    return "" if view.session.stage == DONE else view.episode.asked


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
        more = f"press Recover once its cause is out of the way, then Release: {view.fault}"
        return Headline("STOPPED", more, Tone.BAD, "recover")
    if episode.state == State.STOPPED:
        more = f"nothing moves until Release, {_after_release(view)} ({stop_words(episode.cause)})"
        return Headline("STOPPED", more, Tone.BAD, "release")
    if device_lost(view):
        more = "the device was lost while somebody drove: drive again, or press Go on alone"
        return Headline("HELD", more, Tone.HELD, "acknowledge")
    if episode.paused:
        paused = episode.state == State.PAUSED
        more = "the arm is held until Resume" if paused else "no episode starts until Resume"
        return Headline("PAUSED", more, Tone.PAUSED, "resume")
    return None


def _after_release(view: View) -> str:
    then = f"then {asked(view)} and press Reset" if asked(view) else ""
    if view.episode.paused:
        return f"{then}, then Resume" if then else "then Resume"
    return then or "which begins the next episode"


def _asked(view: View) -> Headline | None:
    what = asked(view)
    return Headline("YOUR TURN", f"{what}, then press Reset", Tone.TURN, "reset") if what else None


def _driven(view: View) -> Headline | None:
    """While an episode runs, or is over and may still be overruled."""
    episode, number = view.episode, _number(view)
    if episode.state == State.DECIDING and view.motion_off:
        return Headline("NOTHING COUNTS", episode.cause, Tone.BUSY)
    if episode.state == State.DECIDING:
        words, other = ("SUCCESS", "failure") if episode.success else ("NO SUCCESS", "success")
        counts = f"counts as {'a success' if episode.success else 'no success'} in a moment"
        more = f"{counts}; press {other.capitalize()} if that is wrong ({episode.cause})"
        return Headline(f"{words}?", more, Tone.BUSY)
    if episode.state != State.RUNNING:
        return None
    if view.motion_off and view.driver is not Source.HOLD:
        who = "the operator" if view.driver is Source.HUMAN else "the policy"
        return Headline("NOTHING MOVES", f"{number}: {who} commands, motion is off", Tone.BUSY)
    if view.driver is Source.HUMAN:
        return Headline("A HUMAN DRIVES", f"{number}; {_once_let_go(view)}", Tone.HUMAN)
    waits = episode.stage == "collect" and not episode.steps and not view.cause
    if view.driver is Source.HOLD and (waits or view.cause == NOT_TAKEN_OVER):
        if view.take_over and not episode.human_steps:
            return Headline("YOUR TURN", f"{number}: take over ({view.take_over})", Tone.TURN)
        if view.take_over:
            return Headline("WAITING FOR YOU", f"{number}: go on driving ({view.take_over})")
        return Headline("WAITING", f"{number}: for the scripted operator", Tone.CALM)
    begins = view.cause == NO_CHUNK and not (view.sources == Source.POLICY).any()
    if view.driver is Source.HOLD and view.cause and not begins:
        return Headline("HELD", f"{view.cause}: goes on by itself once that is over", Tone.HELD)
    if view.driver is Source.HOLD:
        return Headline("READY", f"{number}: for the first chunk", Tone.CALM)
    if episode.stage in EVALUATIONS and episode.human_steps:
        more = f"{number} is void: you have driven in it, it counts for nothing"
        return Headline("POLICY DRIVES", more, Tone.GOOD)
    if episode.stage in EVALUATIONS:
        more = f"{number}, the policy drives; a push of the device makes the trial void"
        return Headline("HANDS OFF", more, Tone.GOOD)
    more = f"{number}, altered: {view.cause}" if view.cause else number
    if view.take_over:
        more = f"{more}; to take over: {view.take_over}"
    return Headline("POLICY DRIVES", more, Tone.GOOD)


def _once_let_go(view: View) -> str:
    if view.episode.stage in EVALUATIONS:
        return "which makes the trial void; let go, and the policy goes on"
    if view.episode.stage == "collect":
        return "let go, and the arm waits"
    return "let go, and the arm is the policy's again at once"


def _between(view: View) -> Headline:
    """Between two episodes, and before the first."""
    session, learning = view.session, view.learning
    if view.episode.state == State.RESETTING and view.driver is Source.HUMAN:
        more = f"the reset, for {_number(view)}; let go, and the reset goes on by itself"
        return Headline("A HUMAN DRIVES", more, Tone.HUMAN)
    if view.episode.state == State.RESETTING:
        return Headline("RESETTING", f"the scene, for {_number(view)}", Tone.BUSY)
    if learning.stage in ("imitation", "update"):
        words = "IMITATING" if learning.stage == "imitation" else "LEARNING"
        more = f"{_about(learning.seconds_left)}the robot waits, then goes on by itself"
        return Headline(f"{words} {learning.progress:.0%}", more, Tone.BUSY)
    if learning.stage == "saving":
        return Headline("SAVING", "a checkpoint, then goes on by itself", Tone.BUSY)
    if not session.stage:
        return Headline("STARTING", session.note or "waiting for the nodes", Tone.BUSY)
    if session.stage == DONE:
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
        learns = bool(session.env_steps_total and view.learning.stage)
        share = f", {session.env_steps} of {session.env_steps_total} online steps"
        return f"episode {view.episode.episode}{share if learns else ''}"
    return stage or "no episode yet"


def _about(seconds: float) -> str:
    """Words for a time that is only estimated, before what happens in it; "" for none."""
    if not math.isfinite(seconds):
        return ""
    if seconds < 60:
        return f"about {max(_ABOUT, round(seconds / _ABOUT) * _ABOUT)} s: "
    return f"about {round(seconds / 60)} min: "

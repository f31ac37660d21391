# SPDX-License-Identifier: Apache-2.0
"""Whether the arm stands, and what has it move again, for somebody who would reach in."""

from __future__ import annotations

from expo_ft_ros.control.arbiter import NOT_TAKEN_OVER
from expo_ft_ros.control.episode_machine import State
from expo_ft_ros.control.plan import DONE
from expo_ft_ros.data.types import Source
from expo_ft_ros.monitor.headline import asked, device_lost, is_silent
from expo_ft_ros.monitor.view import View

UNKNOWN = "nobody knows whether the arm moves, or whether E-STOP is heard"
_REACH_IN = "to reach in: the robot's own stop, then E-STOP"


def standing(view: View) -> str:
    """In words; "" while somebody drives."""
    episode, state = view.episode, view.episode.state
    if view.result:
        return "nothing commands the arm"
    if is_silent(view) or view.ending:
        return UNKNOWN
    if state == State.STOPPED:
        first = "Recover, then Release" if view.fault else "Release"
        return f"the arm stands until {first}; {_after_release(view)}"
    if device_lost(view):
        return f"the arm stands until somebody drives again, or Go on alone; {_REACH_IN}"
    if episode.paused:
        return f"the arm stands until Resume; {_REACH_IN}"
    if asked(view):
        return f"the arm stands until Reset; {_REACH_IN}"
    if view.session.stage == DONE:
        return "the arm stands: the run is over"
    if view.motion_off:
        return "the arm is commanded to stand"
    if state == State.RUNNING:
        return _running(view)
    if state == State.RESETTING:
        return "" if view.driver is Source.HUMAN else "the arm may move by itself"
    return f"the arm stands, and goes on by itself; {_REACH_IN}" if episode.episode else ""


def _after_release(view: View) -> str:
    """What it then waits for."""
    if asked(view):
        return "then it waits for Reset"
    return "then for Resume" if view.episode.paused else "then it goes on by itself"


def _running(view: View) -> str:
    if view.driver is not Source.HOLD:
        return ""
    if view.cause == NOT_TAKEN_OVER:
        return f"the arm stands until somebody drives; {_REACH_IN}"
    why = f" ({view.cause})" if view.cause else ""
    return f"the arm stands{why}, and goes on by itself; {_REACH_IN}"

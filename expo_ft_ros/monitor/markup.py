# SPDX-License-Identifier: Apache-2.0
"""What the console says in words and bars, as HTML. All text of others is escaped."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray

from expo_ft_ros.control.arbiter import DEVICE_LOST
from expo_ft_ros.control.episode_machine import State
from expo_ft_ros.data.types import CandidateKind, Source
from expo_ft_ros.monitor.headline import asked, device_lost, is_silent
from expo_ft_ros.monitor.paths import DRIVER_COLOURS, Colour, q_colours
from expo_ft_ros.monitor.standing import standing
from expo_ft_ros.monitor.view import Diagnostic, Level, View

_CALM, _GOOD, _BUSY, _WARN, _BAD = "#9aa3ad", "#4cc38a", "#5b9dff", "#f0b429", "#ff5d55"

_STATES: Mapping[str, str] = {
    State.RUNNING: _GOOD,
    State.DECIDING: _BUSY,
    State.RESETTING: _BUSY,
    State.PAUSED: _WARN,
    State.STOPPED: _BAD,
}
_LEVELS = {Level.OK: _GOOD, Level.WARN: _WARN, Level.ERROR: _BAD, Level.STALE: _WARN}
_WORST = (Level.ERROR, Level.STALE, Level.WARN, Level.OK)
# What a standard deviation of the critic's members, on Q's scale from 0 to 1, is called.
_SURE = ((0.05, "sure"), (0.15, "fairly sure"), (math.inf, "unsure"))
_BELIEVABLE = -0.05, 1.05  # Q of a critic that has learned what it can be
_SCALE = (1.0, 0.5, 0.0)  # of Q, which is a discounted success: marks on its axis, from above
_KEYBOARD = "keyboard"  # the operator's own terminal
_DRIVERS = {Source.POLICY: "policy drives", Source.HUMAN: "human drives"}
_COMMANDS = {Source.POLICY: "policy commands", Source.HUMAN: "human commands"}


def state_html(view: View) -> str:
    """Where the episode is, who drives, what holds the arm, what the operator is asked to do."""
    episode = view.episode
    of = f"/{view.max_steps}" if view.max_steps else ""
    where = [_stage(view), f"episode {episode.episode}", f"step {episode.steps}{of}"]
    known = [escape(word) for word in where if word] if episode.episode else ["no episode yet"]
    state, colour = _state(view)
    lines = [
        f'<div class="xf-state" style="--c:{colour}">'
        f"<b>{escape(state)}</b><span>{' · '.join(known)}</span></div>",
        f"<div>{_dot(css(DRIVER_COLOURS[view.driver]))}{_driver(view)}</div>",
    ]
    serious = (Level.ERROR, Level.STALE)
    bad = [each for each in _worst_first(view.diagnostics) if each.level in serious]
    # A terminal that was closed is no fault of the graph: where it matters the device is lost.
    bad = [each for each in bad if (each.name, each.level) != (_KEYBOARD, Level.STALE)]
    if device_lost(view):  # The headline says it.
        bad = [each for each in bad if each.message != DEVICE_LOST]
    if bad:
        others = f" (and {len(bad) - 1} more, see Health)" if len(bad) > 1 else ""
        lines.append(_note(_BAD, f"{escape(bad[0].name)}: {escape(bad[0].message)}{others}"))
    if view.reward and not is_silent(view):
        lines.append(f'<div class="xf-dim">classifier: {escape(view.reward)}</div>')
    return _block("".join(lines))


def _stage(view: View) -> str:
    nothing_learns = view.episode.stage == "rl" and not view.learning.stage
    return "nothing learns" if nothing_learns else view.episode.stage


def _state(view: View) -> tuple[str, str]:
    """The episode's state as the operator has it, and its colour."""
    state = view.episode.state
    if is_silent(view) or view.ending:
        return "unknown", _BAD
    if asked(view) and state != State.STOPPED:
        return "waits for you", _WARN
    if state == State.RUNNING and device_lost(view):
        return "held", _WARN
    if state == State.RUNNING and view.driver is Source.HOLD:
        return ("held", _WARN) if view.cause else ("waits", _CALM)
    if state == State.RUNNING and view.motion_off:
        return "shown only", _BUSY
    return state, _STATES.get(state, _CALM)


def reply_html(words: str, *, failed: bool = False) -> str:
    """What a button has come to."""
    colour = _BAD if failed else _CALM
    return _block(f'<span role="status" style="color:{colour}">{escape(words)}</span>')


def alarm_html(words: str) -> str:
    """What must not be overlooked."""
    return _block(_note(_BAD, f"<b>{escape(words)}</b>"))


def recorded_html(title: str) -> str:
    """That what the scene shows is over."""
    return _block(_note(_BUSY, f"<b>The scene shows recorded episode {escape(title)}</b>"))


def q_html(view: View, title: str = "Q") -> str:
    """A bar for each candidate on a scale from 0 to 1, by kind, with an error bar of one standard
    deviation among the critic's members; in words where no critic has valued them."""
    q, count = view.q, len(view.q)
    if not count:
        return _block(f'<span class="xf-dim">{title}: nothing to choose now{_why(view)}</span>')
    if not np.isfinite(q).any():
        words = f"the critic isn't trained yet: the first of {count} chunks is executed, unvalued"
        return _block(f'{title} <span class="xf-dim">{words}</span>')
    words = f"{float(np.nanmin(q)):.2f} to {float(np.nanmax(q)):.2f}"
    if 0 <= view.chosen < count and np.isfinite(q[view.chosen]):
        framed = "would be executed" if view.motion_off else "executed"
        if view.episode.paused:
            framed = "what it goes on with"
        words = f"<b>{q[view.chosen]:.2f}</b>{_sure(view)} (framed: {framed}), among {words}"
    colours, groups = q_colours(q), list[str]()
    for kind in CandidateKind:
        of_kind = np.flatnonzero(view.kind == kind)
        bars = "".join(_bar(view, int(number), colours[number]) for number in of_kind)
        if bars:
            marks = "" if groups else "".join(map(_mark, _SCALE))
            name = f'<span class="xf-dim">{len(of_kind)} {kind.name.lower()}</span>'
            groups.append(f'<div style="--n:{len(of_kind)}">{marks}{bars}{name}</div>')
    return _block(
        f'{title} <span class="xf-dim">{words}</span><div class="xf-q">{"".join(groups)}</div>'
    )


def _why(view: View) -> str:
    """Why there is nothing to choose, where that is known."""
    state = view.episode.state
    if view.driver is Source.HUMAN:
        return " (a human drives)"
    if state in (State.STOPPED, State.DECIDING):
        return " (stopped)" if state == State.STOPPED else " (the episode is over)"
    if state not in (State.RUNNING, State.PAUSED):
        return " (no policy acts between episodes)"
    if view.episode.stage == "collect":
        return " (a demonstration)"
    return f" ({escape(view.cause)})" if view.cause else ""


def _sure(view: View) -> str:
    low, high = _BELIEVABLE
    if not low <= view.q[view.chosen] <= high:
        return " of 1, <b>off the scale: not to be trusted yet</b>"
    spread = view.member_spread
    known = len(spread) == len(view.q) and np.isfinite(spread[view.chosen])
    if not known:
        return " of 1"
    said = next(words for most, words in _SURE if spread[view.chosen] <= most)
    return f" ± {spread[view.chosen]:.2f} of 1, <b>{said}</b>"


def _mark(value: float) -> str:
    return f'<u class="xf-dim" style="top:{1 - value:.0%}">{value:g}</u>'


def _bar(view: View, number: int, colour: NDArray[np.uint8]) -> str:
    q = float(np.clip(np.nan_to_num(view.q[number], nan=0.0), 0.0, 1.0))
    inside = f'<b style="--c:{css(colour)};--h:{q:.1%}"></b>'
    if len(view.member_spread) == len(view.q) and np.isfinite(view.member_spread[number]):
        low, high = np.clip([q - view.member_spread[number], q + view.member_spread[number]], 0, 1)
        inside += f'<s style="--l:{low:.1%};--e:{high - low:.1%}"></s>'
    chosen = ' class="chosen"' if number == view.chosen else ""
    return f"<i{chosen}>{inside}</i>"


def legend_html() -> str:
    """What the lines on the cameras' pictures and in the scene are."""
    low, high = (css(colour) for colour in q_colours(np.array([0.0, 1.0])))
    policy, human = (css(DRIVER_COLOURS[source]) for source in (Source.POLICY, Source.HUMAN))
    rows = {
        _line(high, 5): "what will be executed",
        _line(low, 2) + _line(high, 2): "other candidates: low and high Q",
        _line(high, 2, "dashed"): "edited",
        "◯": "the gripper opens or closes there",
        _line(policy, 3) + _line(human, 3): "where the policy, a human drove (in the scene)",
    }
    cells = "".join(
        f'<span class="xf-key">{key}</span><span>{words}</span>' for key, words in rows.items()
    )
    return _block(f'<div class="xf-rows xf-dim">{cells}</div>')


def rows_html(rows: Mapping[str, str], empty: str = "nothing told yet") -> str:
    """Names and words in two columns."""
    if not rows:
        return _block(f'<span class="xf-dim">{escape(empty)}</span>')
    cells = (
        f'<span class="xf-dim">{escape(name)}</span><span>{escape(words)}</span>'
        for name, words in rows.items()
    )
    return _block(f'<div class="xf-rows">{"".join(cells)}</div>')


def diagnostics_html(diagnostics: Sequence[Diagnostic]) -> str:
    """The worst first, with what it says; those that are well in one line."""
    if not diagnostics:
        return _block('<span class="xf-dim">no node has reported its health yet</span>')
    lines = [
        f"<div>{_dot(_LEVELS[each.level])}<b>{escape(each.name)}</b> "
        f"{escape(each.message or each.level.name.lower())}</div>"
        for each in _worst_first(diagnostics)
        if each.level is not Level.OK
    ]
    well = [escape(each.name) for each in _worst_first(diagnostics) if each.level is Level.OK]
    if well:
        lines.append(f'<div>{_dot(_GOOD)}<span class="xf-dim">well: {", ".join(well)}</span></div>')
    return _block("".join(lines))


def _worst_first(diagnostics: Sequence[Diagnostic]) -> list[Diagnostic]:
    return sorted(diagnostics, key=lambda each: (_WORST.index(each.level), each.name))


def _driver(view: View) -> str:
    cause, stands = escape(view.cause), escape(standing(view))
    if view.driver is Source.HOLD or is_silent(view) or view.ending:
        return stands or (f"nobody drives: {cause}" if cause else "nobody drives")
    if stands:
        return f"{_COMMANDS[view.driver]}; {stands}"
    words = f"<b>{_DRIVERS[view.driver]}</b>"
    return f'{words} <span class="xf-dim">altered: {cause}</span>' if cause else words


def _line(colour: str, thick: int, kind: str = "solid") -> str:
    return f'<i style="border-top:{thick}px {kind} {colour}"></i>'


def _note(colour: str, html: str) -> str:
    return f'<div class="xf-note" style="--c:{colour}">{html}</div>'


def _dot(colour: str) -> str:
    return f'<span class="xf-dot" style="--c:{colour}"></span>'


def css(colour: Colour | NDArray[np.uint8]) -> str:
    """A colour as style sheets name it. colour: red, green and blue in [0, 255]."""
    return f"rgb({colour[0]},{colour[1]},{colour[2]})"


def _block(html: str) -> str:
    return f'<div class="xf">{html}</div>'

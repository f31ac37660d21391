# SPDX-License-Identifier: Apache-2.0
"""What the console says in words and bars, as HTML. All text of others is escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from expo_ft_ros.control.episode_machine import State
from expo_ft_ros.data.types import CandidateKind, Source
from expo_ft_ros.monitor.paths import DRIVER_COLOURS, Colour, q_colours
from expo_ft_ros.monitor.view import Diagnostic, Level, View

STYLE = """<style>
.xf { margin: 0 .75em .6em; font-size: 14px; line-height: 1.45; overflow-wrap: anywhere; }
.xf b { font-weight: 600; }
.xf-dim { color: #8b939d; }
.xf-state { display: flex; align-items: baseline; gap: .6em; }
.xf-state b { flex: none; font-size: 21px; letter-spacing: .02em; color: var(--c);
  white-space: nowrap; }
.xf-dot { display: inline-block; width: .62em; height: .62em; border-radius: 50%;
  margin-right: .5em; background: var(--c); }
.xf-note { margin-top: .5em; padding: .45em .7em; border-left: 3px solid var(--c);
  background: color-mix(in srgb, var(--c) 14%, transparent); }
.xf-rows { display: grid; grid-template-columns: max-content 1fr; gap: .15em .9em; }
.xf-bars { display: flex; align-items: flex-end; gap: 2px; height: 76px; margin-top: .35em; }
.xf-bars i { flex: 1; min-width: 2px; background: var(--c); }
.xf-bars .edited {
  background: repeating-linear-gradient(0deg, var(--c) 0 4px, transparent 4px 6px); }
.xf-bars .gripper {
  background: repeating-linear-gradient(90deg, var(--c) 0 3px, transparent 3px 5px); }
.xf-bars .chosen { outline: 2px solid #fff; }
</style>"""
"""Once in a page."""

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
_PATTERNS = {
    CandidateKind.EDITED: "striped across: edited",
    CandidateKind.GRIPPER: "striped along: gripper decision",
}
_DRIVERS = {Source.POLICY: "policy drives", Source.HUMAN: "person drives"}


def state_html(view: View) -> str:
    """Where the episode is, who drives, what holds the arm, and what a person is asked to do."""
    episode = view.episode
    of = f"/{view.max_steps}" if view.max_steps else ""
    where = [episode.stage, f"episode {episode.episode}", f"step {episode.steps}{of}"]
    known = [escape(word) for word in where if word] if episode.episode else ["no episode yet"]
    lines = [
        f'<div class="xf-state" style="--c:{_STATES.get(episode.state, _CALM)}">'
        f"<b>{escape(episode.state)}</b><span>{' · '.join(known)}</span></div>",
        f"<div>{_dot(_css(DRIVER_COLOURS[view.driver]))}{_driver(view)}</div>",
    ]
    if view.reward:
        lines.append(f'<div class="xf-dim">classifier: {escape(view.reward)}</div>')
    if episode.asked:
        lines.append(_note(_WARN, f"<b>Please: {escape(episode.asked)}</b><br>then press Reset"))
    if episode.paused and episode.state != State.PAUSED:
        lines.append(_note(_WARN, "paused: no episode starts before Resume"))
    if episode.state == State.STOPPED:
        lines.append(_note(_BAD, f"{escape(episode.cause)}: nothing moves before Release"))
    serious = (Level.ERROR, Level.STALE)
    bad = [each for each in _worst_first(view.diagnostics) if each.level in serious]
    if bad:
        others = f" (and {len(bad) - 1} more, see Health)" if len(bad) > 1 else ""
        lines.append(_note(_BAD, f"{escape(bad[0].name)}: {escape(bad[0].message)}{others}"))
    return _block("".join(lines))


def reply_html(words: str, *, failed: bool = False) -> str:
    """What a button has come to."""
    colour = _BAD if failed else _CALM
    return _block(f'<span role="status" style="color:{colour}">{escape(words)}</span>')


def alarm_html(words: str) -> str:
    """What must not be overlooked."""
    return _block(_note(_BAD, f"<b>{escape(words)}</b>"))


def recorded_html(title: str) -> str:
    """That what the scene shows is over."""
    return _block(_note(_BUSY, f"<b>The scene shows a recording: episode {escape(title)}</b>"))


def q_html(
    q: NDArray[np.floating[Any]], kind: NDArray[np.uint8], chosen: int, title: str = "Q"
) -> str:
    """A bar for each candidate, the least Q being the lowest; (K,) each, as in `View`."""
    if not len(q) or not np.isfinite(q).any():
        words = f"{len(q)} candidates, no critic" if len(q) else "no candidates yet"
        return _block(f'<span class="xf-dim">{title}: {words}</span>')
    low, high = float(np.nanmin(q)), float(np.nanmax(q))
    heights = 10 + 90 * (np.nan_to_num(q, nan=low) - low) / max(high - low, 1e-9)
    bars = []
    for number, (height, colour) in enumerate(zip(heights, q_colours(q), strict=True)):
        name = CandidateKind(int(kind[number])).name.lower() + " chosen" * (number == chosen)
        style = f"--c:{_css(colour)};height:{height:.0f}%"
        bars.append(f'<i class="{name}" style="{style}"></i>')
    legend = f"{len(q)} candidates, {low:.2f} to {high:.2f}"
    for of_kind, words in _PATTERNS.items():
        legend += f"; {words}" * bool((kind == of_kind).any())
    return _block(
        f'{title} <span class="xf-dim">{legend}; framed: executed</span>'
        f'<div class="xf-bars">{"".join(bars)}</div>'
    )


def rows_html(rows: Mapping[str, str], empty: str = "nothing yet") -> str:
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
    cause = escape(view.cause)
    if view.driver is Source.HOLD:
        return f"held: {cause}" if cause else "nobody drives"
    words = f"<b>{_DRIVERS[view.driver]}</b>"
    return f'{words} <span class="xf-dim">altered: {cause}</span>' if cause else words


def _note(colour: str, html: str) -> str:
    return f'<div class="xf-note" style="--c:{colour}">{html}</div>'


def _dot(colour: str) -> str:
    return f'<span class="xf-dot" style="--c:{colour}"></span>'


def _css(colour: Colour | NDArray[np.uint8]) -> str:
    return f"rgb({colour[0]},{colour[1]},{colour[2]})"


def _block(html: str) -> str:
    return f'<div class="xf">{html}</div>'

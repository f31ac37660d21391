# SPDX-License-Identifier: Apache-2.0
"""A recorded episode at a glance, as SVG: Q over time, where was chosen, who drove."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from expo_ft_ros.data.types import Source
from expo_ft_ros.monitor.markup import css
from expo_ft_ros.monitor.paths import DRIVER_COLOURS
from expo_ft_ros.recording.recorded_episode import RecordedEpisode

# Of the picture, in its own units: one across is a step, and it is stretched to what room there is.
_TOP, _BOTTOM = 4.0, 84.0  # of the scale from 1 to 0
_STRIP, _HEIGHT = 90.0, 100.0  # of who drove
_CHOSEN, _RANGE, _CHOICE = "#fde725", "rgba(120,132,148,.35)", "#5a6472"
_NAMES = {Source.POLICY: "policy", Source.HUMAN: "human", Source.HOLD: "held"}


def timeline_svg(recorded: RecordedEpisode) -> str:
    """As wide as its place, a step each the same. A line where candidates were chosen, with the
    range of their Q and that of the chosen one until the next choice, both on a scale from 0 to 1;
    below it a strip in the colours of who drove."""
    length = len(recorded.episode)
    parts = [_line(y, "#444", 1) for y in (_TOP, (_TOP + _BOTTOM) / 2, _BOTTOM)]
    parts += [
        f'<line class="choice" x1="{step}" x2="{step}" y1="{_TOP}" y2="{_BOTTOM}" '
        f'stroke="{_CHOICE}" stroke-dasharray="2 3" vector-effect="non-scaling-stroke"/>'
        for step in _choices(recorded)
    ]
    parts += _q(recorded)
    for source, begin, end in spans(recorded):
        parts.append(
            f'<rect class="{_NAMES[source]}" x="{begin}" width="{end - begin}" y="{_STRIP}" '
            f'height="{_HEIGHT - _STRIP}" fill="{css(DRIVER_COLOURS[source])}"/>'
        )
    return (
        f'<svg viewBox="0 0 {length} {_HEIGHT:g}" preserveAspectRatio="none" '
        f'xmlns="http://www.w3.org/2000/svg">{"".join(parts)}</svg>'
    )


def legend_html(recorded: RecordedEpisode) -> str:
    """What the colours mean, with each driver's share of the steps."""
    length = len(recorded.episode)
    steps = dict.fromkeys(Source, 0)
    for source, begin, end in spans(recorded):
        steps[source] += end - begin
    words = [
        _entry(css(DRIVER_COLOURS[source]), f"{_NAMES[source]} {count / length:.0%}")
        for source, count in steps.items()
        if count
    ]
    if recorded.valued:
        words.append(_entry(_CHOSEN, "Q chosen"))
    return "".join(words)


def spans(recorded: RecordedEpisode) -> Iterator[tuple[Source, int, int]]:
    """(who drove, first step, step after the last) of each stretch, in order."""
    begin = 0
    for source, group in itertools.groupby(recorded.episode.source.tolist()):
        end = begin + len(list(group))
        yield Source(source), begin, end
        begin = end


def driver_name(source: Source) -> str:
    """In the words of the legend."""
    return _NAMES[source]


def _choices(recorded: RecordedEpisode) -> list[int]:
    """The steps on which candidates were chosen; what was chosen before anybody drove was so on the
    first."""
    return sorted({max(0, int(step)) for step in recorded.steps})


def _q(recorded: RecordedEpisode) -> list[str]:
    """A step of a stair for each choice that a critic valued, and the line of the chosen ones."""
    length, parts, corners = len(recorded.episode), list[str](), list[str]()
    begins = [max(0, int(step)) for step in recorded.steps]
    ends = [*begins, length][1:]
    for choice, begin, end in zip(recorded.choices, begins, ends, strict=True):
        q = choice.q
        if not np.isfinite(q).any() or end <= begin:
            continue
        low, high = _height(float(np.nanmin(q))), _height(float(np.nanmax(q)))
        parts.append(
            f'<rect class="range" x="{begin}" width="{end - begin}" y="{high:.1f}" '
            f'height="{max(0.5, low - high):.1f}" fill="{_RANGE}"/>'
        )
        if 0 <= choice.chosen < len(q) and np.isfinite(q[choice.chosen]):
            level = _height(float(q[choice.chosen]))
            corners += [f"{begin},{level:.1f}", f"{end},{level:.1f}"]
    if corners:
        parts.append(
            f'<polyline class="chosen" points="{" ".join(corners)}" fill="none" '
            f'stroke="{_CHOSEN}" stroke-width="2" vector-effect="non-scaling-stroke"/>'
        )
    return parts


def _height(q: float) -> float:
    """Where a Q lies from above; one outside of [0, 1] at its end."""
    return _BOTTOM - (_BOTTOM - _TOP) * min(1.0, max(0.0, q))


def _line(y: float, colour: str, width: int) -> str:
    return (
        f'<line x1="0" x2="100%" y1="{y:g}" y2="{y:g}" stroke="{colour}" stroke-width="{width}" '
        'vector-effect="non-scaling-stroke"/>'
    )


def _entry(colour: str, words: str) -> str:
    return f'<span><i style="background:{colour}"></i>{words}</span>'

# SPDX-License-Identifier: Apache-2.0
"""What may be said on a topic that its sender doesn't mean: made of what was said there before.

spoilt: a value that is none. again, late: a message that is known, the newest or an older one.
crossed: the newest with one field of an older one, an image, a stamp or a name as well as a number.
shifted: the newest with one number, or one stamp, a little off. Each number of the last two is one
that a sound message could have.
"""

from __future__ import annotations

import copy
import dataclasses
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

KEPT = 40
COPIES = ("spoilt", "again", "late")
PLAUSIBLE = ("crossed", "shifted")
# A reading bears no time: one that comes late is what a hand did.
TIMELESS = ("spacenav/twist", "spacenav/joy")

_DIAGNOSTIC = ("progress", "lateness", "q")  # what nobody acts on
_WORDS = ("state", "stage", "policy", "operator_mode", "encoding", "data")
_CUT = ("buttons", "view_names")  # shorter by one
_STAMP_STEP = 20_000_000  # [ns]


@dataclass(frozen=True)
class Mischief:
    """One of them. back: how many messages ago (1 is the newest); place: which field, modulo their
    number; shift: by how much a number is off; bad: what takes a number's place."""

    kind: str
    back: int
    place: int
    shift: int
    bad: float


def mischief(*kinds: str) -> st.SearchStrategy[Mischief]:
    """Any of these kinds."""
    return st.builds(
        Mischief,
        kind=st.sampled_from(kinds),
        back=st.integers(1, KEPT),
        place=st.integers(0, 10_000),
        shift=st.sampled_from([-5, -2, -1, 1, 2, 5]),
        bad=st.sampled_from([math.nan, math.inf, -math.inf]),
    )


def drawn(strategy: st.SearchStrategy[Any], count: int) -> list[Any]:
    """So many values of a strategy, always the same: for what can't be run once for each."""
    values: list[Any] = []

    @seed(0)
    @settings(
        max_examples=count,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def take(value: Any) -> None:
        values.append(value)

    take()
    return values


def save(plan: Sequence[Mischief], path: Path) -> None:
    """For another process (`load`)."""
    path.write_text(json.dumps([dataclasses.astuple(one) for one in plan]))


def load(path: Path) -> list[Mischief]:
    """What `save` wrote."""
    return [Mischief(*values) for values in json.loads(path.read_text())]


def made(heard: Sequence[Any], what: Mischief, topic: str) -> Any:
    """The message of it, of those heard there, newest last; None where there is nothing to make."""
    if topic in TIMELESS and what.kind in ("again", "late"):
        return None
    newest, older = heard[-1], heard[-min(what.back, len(heard))]
    if what.kind == "again":
        return newest
    if what.kind == "late":
        return older
    message = copy.deepcopy(newest)
    if what.kind == "spoilt":
        return _spoilt(message, what)
    if what.kind == "crossed":
        return _crossed(message, older, what)
    return _shifted(message, what)


def _leaves(message: Any) -> Iterator[tuple[Any, str, Any]]:
    """(owner, field, value) of everything in a message that is no message itself; of a list of
    messages only images are gone through."""
    for field in message.get_fields_and_field_types():
        value = getattr(message, field)
        if hasattr(value, "get_fields_and_field_types"):
            yield from _leaves(value)
        elif field == "views":
            for image in value:
                yield from _leaves(image)
        else:
            yield message, field, value


def _spoilt(message: Any, what: Mischief) -> Any:
    places = [leaf for leaf in _leaves(message) if _shows(*leaf[1:])]
    if not places:
        return None
    owner, field, value = places[what.place % len(places)]
    if isinstance(value, float):
        value = what.bad
    elif isinstance(value, str):
        value = "nonsense"
    elif field == "source":
        value = 77
    elif field in _CUT or (what.shift < 0 and not isinstance(value, np.ndarray)):
        value = value[:-1]
    else:
        value = copy.copy(value)
        value[what.place % len(value)] = what.bad
    setattr(owner, field, value)
    return message


def _shows(field: str, value: Any) -> bool:
    """Whether it can be spoilt so that whoever gets it sees it."""
    if isinstance(value, float):
        return field not in _DIAGNOSTIC
    if isinstance(value, str):
        return field in _WORDS
    if field == "source" or field in _CUT:
        return True
    kind = getattr(value, "typecode", "") or getattr(getattr(value, "dtype", None), "char", "")
    return kind in ("f", "d") and len(value) > 0


def _crossed(message: Any, older: Any, what: Mischief) -> Any:
    places = [
        (mine, theirs)
        for mine, theirs in zip(_leaves(message), _leaves(older), strict=False)
        if repr(mine[2]) != repr(theirs[2])
    ]
    if not places:
        return None
    (owner, field, _), (_, _, value) = places[what.place % len(places)]
    setattr(owner, field, value)
    return message


def _shifted(message: Any, what: Mischief) -> Any:
    places = [leaf for leaf in _leaves(message) if isinstance(leaf[2], int | float)]
    if not places:
        return None
    owner, field, value = places[what.place % len(places)]
    if isinstance(value, bool):
        value = not value
    elif isinstance(value, float):
        value = value + 0.02 * what.shift
    elif field == "nanosec":
        value = (value + _STAMP_STEP * what.shift) % 10**9
    elif field == "source":
        value = (value + what.shift) % 3
    else:
        value = max(0, value + what.shift)
    setattr(owner, field, value)
    return message

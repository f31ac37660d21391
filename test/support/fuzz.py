# SPDX-License-Identifier: Apache-2.0
"""What fuzzes share: how many examples are tried, and a change anywhere in nested values.

The same examples are tried in each run of the suite, others, and as many as EXPO_FT_FUZZ says,
where somebody looks for new ones.
"""

from __future__ import annotations

import os
from typing import Any

_ASKED = os.environ.get("EXPO_FT_FUZZ")
EXAMPLES = int(_ASKED or 60)
ALWAYS_THE_SAME = _ASKED is None


def seeds(few: int) -> range:
    """The seeds of a test that each of them makes another round of: few, or as many as asked."""
    return range(few if _ASKED is None else max(few, int(_ASKED)))


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every part of a nested value."""
    found = [path]
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    for key, part in items:
        found += places(part, (*path, key))
    return found


def edited(content: Any, number: int, value: Any, *, gone: bool) -> Any:
    """The content with another value somewhere in it, or without one."""
    path = places(content)[number % len(places(content))]
    if not path:
        return value
    owner = content
    for key in path[:-1]:
        owner = owner[key]
    if gone:
        del owner[path[-1]]
    else:
        owner[path[-1]] = value
    return content

# SPDX-License-Identifier: Apache-2.0
"""What the trials of an evaluation may be disturbed by: the names, for options.

`sim/perturbations/` does what they say, and docs/perturbations.md tells it.
"""

from __future__ import annotations

PERTURBATIONS = ("lighting", "distractors", "objects", "nudge", "push")


def parse_perturbations(text: str) -> tuple[str, ...]:
    """The names in a list with commas, in the order of `PERTURBATIONS`; () of an empty text.

    Raises:
        ValueError: for an unknown name, or one that is given twice.
    """
    names = [part.strip() for part in text.split(",")] if text.strip() else []
    for name in names:
        if name not in PERTURBATIONS:
            known = ", ".join(PERTURBATIONS)
            raise ValueError(f"no such perturbation {name!r} (known: {known})")
        if names.count(name) > 1:
            raise ValueError(f"{name} is given twice (each one once)")
    return tuple(name for name in PERTURBATIONS if name in names)

# SPDX-License-Identifier: Apache-2.0
"""When an expert takes over from the policy, and when it hands back."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum

import numpy as np

from expo_ft_ros.robots import Workspace
from expo_ft_ros.tasks.expert import Vector
from expo_ft_ros.tasks.sight import Sight

Signs = Mapping[str, tuple[bool, int]]
"""Name of a sign of failure -> seen now, and ticks that it may last at rate 1."""

_PROGRESS = 0.01  # that counts as some [m]
_MIN_TAKEOVER = 4
_MAX_PATIENCE = 1e9


class Help(IntEnum):
    """How far help goes."""

    READY = 1  # to where the rest is easy
    SECURED = 2  # until the object is in hand
    FINISHED = 3  # to the episode's end: the policy isn't trusted with it any more


class FailureDetector:
    """Counts how long each sign of failure has lasted; patience shrinks as rate grows.

    Args:
        rate: How readily it takes over, in [0, 1]: 0 never, 1 as soon as it is sure.
        late: Step of the episode after which help goes further than it would before.
    """

    def __init__(self, rate: float, late: float) -> None:
        self._late = late
        self._best = float("inf")
        self._patience = 1.0 / rate if rate > 0 else _MAX_PATIENCE
        self.reset()

    def reset(self) -> None:
        """Starts an episode."""
        self._takeovers = 0
        self._forget()

    def look(self, signs: Signs, step: int) -> tuple[str, Help] | None:
        """The sign for which a takeover is due now, and how far it goes at least; or None."""
        for name, (seen, ticks) in signs.items():
            self._counts[name] = self._counts.get(name, 0) + 1 if seen else 0
            if self._counts[name] >= ticks * self._patience:
                self._takeovers += 1
                self._ticks = 0
                # Help that wasn't enough is given once more, and further; so is late help.
                urgency = self._takeovers + (step > self._late)
                return name, Help(min(urgency, Help.FINISHED))
        return None

    def mended(self, sight: Sight, wanted: Help) -> bool:
        """Whether help ends: it went as far as wanted, and has lasted for a moment."""
        self._ticks += 1
        reached = wanted is not Help.FINISHED and (
            sight.secured or (wanted is Help.READY and sight.ready)
        )
        if self._ticks < _MIN_TAKEOVER or not reached:
            return False
        self._forget()
        return True

    def no_progress(self, sight: Sight) -> bool:
        """Whether nothing is nearer to its end than the best that was seen; asked once a tick."""
        remaining = sight.remaining()
        if remaining < self._best - _PROGRESS:
            self._best = remaining
            return False
        return True

    def _forget(self) -> None:
        """What was seen before a takeover says nothing any more."""
        self._counts: dict[str, int] = {}
        self._ticks = 0
        self._best = float("inf")


def beside(workspace: Workspace, tool: Vector, margin: float) -> bool:
    """Whether the tool (3,) is at a side of the workspace, or this near one [m]."""
    low, high = np.array(workspace.low), np.array(workspace.high)
    return bool(np.any(tool[:2] < low[:2] + margin) or np.any(tool[:2] > high[:2] - margin))


def too_high(workspace: Workspace, tool: Vector, margin: float) -> bool:
    """Whether the tool (3,) is at the workspace's top, or this near to it [m]."""
    return bool(tool[2] > workspace.high[2] - margin)


def leaving(workspace: Workspace, tool: Vector, margin: float) -> bool:
    """Whether the tool (3,) is at a side of the workspace or at its top, or this near to it [m]."""
    return beside(workspace, tool, margin) or too_high(workspace, tool, margin)

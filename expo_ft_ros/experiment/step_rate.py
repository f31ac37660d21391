# SPDX-License-Identifier: Apache-2.0
"""How fast the robot steps, for displays."""

from __future__ import annotations

SPAN = 2.0
"""Steps are counted over so long [s]."""


class StepRate:
    """Steps a second of wall time, over the last of them.

    least: shortest time that counts between two words on the number of steps [s]; the last word of
    an episode may follow at once on one of the regular ones.
    """

    def __init__(self, least: float) -> None:
        self._least = least
        self._points: list[tuple[float, int, int]] = []

    def count(self, episode: int, steps: int, now: float) -> None:
        """Takes the number of steps of an episode so far. now: [s]."""
        if self._points and self._points[-1][1] != episode:
            self._points.clear()
        self._points.append((now, episode, steps))
        self._points = [point for point in self._points if now - point[0] <= SPAN]

    def value(self, now: float) -> float:
        """[Hz]; 0 when nothing moves."""
        if len(self._points) < 2 or now - self._points[-1][0] > SPAN:
            return 0.0
        (start, _, before), (end, _, after) = self._points[0], self._points[-1]
        return (after - before) / max(end - start, self._least)

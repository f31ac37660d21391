# SPDX-License-Identifier: Apache-2.0
"""Whether commands still come: without one for a while the robot stands, whatever has happened."""

from __future__ import annotations


class CommandWatchdog:
    """Expired before the first command, and once there has been none for too long."""

    def __init__(self, timeout: float) -> None:
        """timeout: greatest time between two commands [s], of a steady clock."""
        if not timeout > 0:
            raise ValueError(f"timeout: {timeout} s must be positive")
        self._timeout = timeout
        self._newest: float | None = None

    def command(self, now: float) -> None:
        """A command has come. now: [s] of a steady clock."""
        self._newest = now

    def expired(self, now: float) -> bool:
        """Whether the robot must stand. now: [s] of the same clock."""
        # Not a number fails the comparison.
        return self._newest is None or not now - self._newest <= self._timeout

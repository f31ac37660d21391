# SPDX-License-Identifier: Apache-2.0
"""Whether commands, and the robot's measurements, still come: without them for a while the robot
stands, whatever has happened."""

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


class StateWatch:
    """Whether what a robot measures is of now: neither old nor the same for too long.

    A driver that hangs gives its last measurement again and again, and a stamp by another clock may
    lie ahead: so both the stamp's age count, and since when it hasn't changed.
    """

    def __init__(self, timeout: float) -> None:
        """timeout: greatest age of a measurement [s]."""
        if not timeout > 0:
            raise ValueError(f"timeout: {timeout} s must be positive")
        self._timeout = timeout
        self._stamp_ns: int | None = None
        self._changed = 0.0

    def check(self, stamp_ns: int, clock_ns: int, now: float) -> str:
        """Why a measurement is none any more; "" while it is one.

        Args:
            stamp_ns: When it was measured, of the clock that stamps are of [ns].
            clock_ns: That clock's present time [ns].
            now: Of a steady clock [s].
        """
        if stamp_ns != self._stamp_ns:
            self._stamp_ns, self._changed = stamp_ns, now
        unchanged, age = now - self._changed, 1e-9 * (clock_ns - stamp_ns)
        if not unchanged <= self._timeout:
            return f"hasn't changed for {unchanged:.2f} s (its driver hangs)"
        if not age <= self._timeout:
            return (
                f"is stamped {age:.2f} s ago (its driver is late, or its clock is behind this "
                "machine's: synchronise them)"
            )
        return ""

# SPDX-License-Identifier: Apache-2.0
"""What the adapter and the processes of the arm and the hand tell each other."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from expo_ft_ros.fci.shared_record import SharedRecord

Vector = NDArray[np.float64]

_TEXT = 300

ARM_COMMAND = struct.Struct("<d6dQ")
ARM_STATE = struct.Struct(f"<Q7d16d6dBQQQdB{_TEXT}s")
HAND_COMMAND = struct.Struct("<QbQ")
HAND_STATE = struct.Struct(f"<QddbBQ{_TEXT}s")


class Phase(IntEnum):
    """What a process is at."""

    STARTING = 0
    RUNNING = 1
    FAULT = 2


@dataclass(frozen=True)
class ArmCommand:
    """What the arm shall do.

    Attributes:
        stamp: When the command came [s, time.monotonic]; its age is what the watchdog goes by.
        twist: (6,) of the tool in base axes [m/s, rad/s].
        recover: Confirmations so far that the robot may recover from a fault.
    """

    stamp: float
    twist: tuple[float, ...]
    recover: int

    def write(self, record: SharedRecord) -> None:
        """Puts it in place of the one before."""
        record.write(self.stamp, *self.twist, self.recover)

    @classmethod
    def read(cls, record: SharedRecord) -> ArmCommand:
        """The newest; zeros of long ago before the first."""
        values = record.read()
        if values is None:
            return cls(float("-inf"), (0.0,) * 6, 0)
        return cls(values[0], values[1:7], values[7])


@dataclass(frozen=True)
class ArmState:
    """What the arm's process tells, 200 times a second.

    Attributes:
        stamp_ns: When the robot's state came [ns, time.time_ns].
        joints: (7,) [rad].
        pose: (16,) tool in the base frame, column by column, as libfranka's O_T_EE.
        twist: (6,) measured, in base axes [m/s, rad/s].
        phase: What the process is at.
        recovered: Confirmations that it has acted on.
        cycles: Control cycles since the process began.
        missed: States of the robot that didn't come here within their millisecond [1 ms each]; the
            robot may have got a command for them in time, or not.
        slowest: Longest time from a state to its command [s].
        priority: Real-time priority of the loop's thread; 0 for none.
        text: Why it is in a fault.
    """

    stamp_ns: int
    joints: tuple[float, ...]
    pose: tuple[float, ...]
    twist: tuple[float, ...]
    phase: Phase
    recovered: int
    cycles: int
    missed: int
    slowest: float
    priority: int
    text: str

    def write(self, record: SharedRecord) -> None:
        """Puts it in place of the one before."""
        record.write(
            self.stamp_ns,
            *self.joints,
            *self.pose,
            *self.twist,
            self.phase,
            self.recovered,
            self.cycles,
            self.missed,
            self.slowest,
            self.priority,
            _packed(self.text),
        )

    @classmethod
    def read(cls, record: SharedRecord) -> ArmState | None:
        """The newest; None before the first."""
        v = record.read()
        if v is None:
            return None
        recovered, cycles, missed, slowest, priority, text = v[31:]
        return cls(
            stamp_ns=v[0],
            joints=v[1:8],
            pose=v[8:24],
            twist=v[24:30],
            phase=Phase(v[30]),
            recovered=recovered,
            cycles=cycles,
            missed=missed,
            slowest=slowest,
            priority=priority,
            text=_unpacked(text),
        )


@dataclass(frozen=True)
class HandCommand:
    """What the hand shall do.

    A goal waits here while the hand is in a motion. One without a direction takes its place: then
    nothing follows that motion.

    Attributes:
        number: Of the goal; a new one is a new goal.
        direction: 1 opens, -1 closes, 0 does nothing.
        recover: Confirmations so far.
    """

    number: int
    direction: int
    recover: int

    def write(self, record: SharedRecord) -> None:
        """Puts it in place of the one before."""
        record.write(self.number, self.direction, self.recover)

    @classmethod
    def read(cls, record: SharedRecord) -> HandCommand:
        """The newest; no goal before the first."""
        return cls(*(record.read() or (0, 0, 0)))


@dataclass(frozen=True)
class HandState:
    """What the hand's process tells.

    Attributes:
        stamp_ns: When the width was measured [ns, time.time_ns].
        width: Measured opening [m].
        since: When the motion began that it is in [s, time.monotonic].
        direction: Of that motion: 1 opening, -1 closing, 0 none.
        phase: What the process is at.
        recovered: Confirmations that it has acted on.
        text: Why it is in a fault.
    """

    stamp_ns: int
    width: float
    since: float
    direction: int
    phase: Phase
    recovered: int
    text: str

    def write(self, record: SharedRecord) -> None:
        """Puts it in place of the one before."""
        record.write(
            self.stamp_ns, self.width, self.since, self.direction, self.phase, self.recovered,
            _packed(self.text),
        )  # fmt: skip

    @classmethod
    def read(cls, record: SharedRecord) -> HandState | None:
        """The newest; None before the first."""
        values = record.read()
        if values is None:
            return None
        stamp_ns, width, since, direction, phase, recovered, text = values
        return cls(stamp_ns, width, since, direction, Phase(phase), recovered, _unpacked(text))

    def width_at(self, now: float, speed: float, widest: float) -> float:
        """The opening [m]: as measured, and during a motion, in which libfranka tells none, as far
        as the hand gets at its speed.

        Args:
            now: [s, time.monotonic].
            speed: Of the fingers, both together [m/s].
            widest: Greatest opening [m].
        """
        travelled = self.direction * speed * max(0.0, now - self.since)
        return min(max(self.width + travelled, 0.0), widest) if self.direction else self.width


def _packed(text: str) -> bytes:
    return text.encode()[:_TEXT]


def _unpacked(text: bytes) -> str:
    return text.rstrip(b"\0").decode(errors="ignore")

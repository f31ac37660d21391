"""The newest of each input of a tick, and whether together they are one snapshot."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from sensor_msgs.msg import Image

from expo_ft_ros.devices.teleop import TeleopState
from expo_ft_ros.msg import Observation as ObservationMsg
from expo_ft_ros.msg import Proprio as ProprioMsg
from expo_ft_ros.msg import TeleopCommand
from expo_ft_ros.recording.messages import (
    BadMessage,
    image_to_array,
    nanoseconds,
    proprio_from_msg,
    teleop_from_msg,
)

SIDE, WRIST, PROPRIO, TELEOP = "camera/side", "camera/wrist", "proprio", "teleop"
AHEAD = 0.15
"""A stamp so far ahead of the clock is none [s]: all that follows would be older."""


def reject_future_stamp(stamp_ns: int, now_ns: int) -> None:
    """Raises BadMessage for a stamp that lies more than AHEAD in the future [ns]."""
    ahead = 1e-9 * (stamp_ns - now_ns)
    if ahead > AHEAD:
        raise BadMessage(f"stamped {ahead:.2f} s ahead of the clock (synchronise the clocks)")


Message: TypeAlias = Image | ProprioMsg | TeleopCommand


@dataclass(frozen=True)
class Snapshot:
    """What is known at one moment; time_ns is the newest camera or proprio stamp [ns]."""

    time_ns: int
    side: Image
    wrist: Image
    proprio: ProprioMsg
    teleop: TeleopState

    def message(self, number: int, episode: int, wanted: bool, instruction: str) -> ObservationMsg:
        """msg/Observation of it; the images are those that came, not copied."""
        return ObservationMsg(
            header=self.proprio.header,
            number=number,
            episode=episode,
            chunk_wanted=wanted,
            side=self.side,
            wrist=self.wrist,
            proprio=self.proprio,
            instruction=instruction,
        )


class Inputs:
    """Keeps the newest message of each input and its stamp [ns]."""

    def __init__(self, *, teleop: bool) -> None:
        self._sensors = (SIDE, WRIST, PROPRIO)
        self._names = (*self._sensors, TELEOP) if teleop else self._sensors
        self._messages: dict[str, Message] = {}
        self._stamps: dict[str, int] = {}
        self._travelled: float | None = None

    def put(self, name: str, message: Message, now_ns: int | None = None) -> None:
        """Takes a message; one that is older than the newest is dropped. now_ns: the clock that
        stamps are held against [ns]; None in lock-step, where they are the clock.

        Raises:
            BadMessage: for one that is broken, or stamped ahead; the newest good one stays.
        """
        _CHECKS[name](message)
        stamp, newest = nanoseconds(message.header.stamp), self._stamps.get(name, 0)
        if now_ns is not None:
            reject_future_stamp(stamp, now_ns)
            # A little ahead is fresh, but it stays so no longer than another.
            stamp = min(stamp, now_ns)
            if newest > now_ns:
                newest = 0  # The clock was set back.
        if stamp >= newest:
            self._messages[name] = message
            self._stamps[name] = stamp
        if isinstance(message, TeleopCommand) and (sent := nanoseconds(message.reading)):
            self._travelled = 1e-9 * (time.time_ns() - sent)

    def pop_travelled(self) -> float | None:
        """How long the newest reading of the person's device was under way [s]; None where none
        has come since this was asked last."""
        travelled, self._travelled = self._travelled, None
        return travelled

    @property
    def newest_ns(self) -> int:
        """Newest stamp of a sensor [ns]; 0 before there is one."""
        return max((self._stamps.get(n, 0) for n in self._sensors), default=0)

    def oldest_ns(self) -> int:
        """Oldest of the sensors' newest stamps [ns]; 0 as long as one is missing."""
        return min(self._stamps.get(n, 0) for n in self._sensors)

    def stamps(self) -> dict[str, float | None]:
        """Input -> time of its newest sample [s], None where there never was one."""
        return {n: 1e-9 * self._stamps[n] if n in self._stamps else None for n in self._names}

    def of_one_time(self) -> bool:
        """Whether every input has the same stamp."""
        return len(self._stamps) == len(self._names) and len(set(self._stamps.values())) == 1

    def behind(self) -> list[str]:
        """Inputs whose newest stamp is not the newest of all; every one when all are equal."""
        newest = max(self._stamps.values(), default=0)
        late = [n for n in self._names if self._stamps.get(n, 0) < newest]
        return late or list(self._names)

    @property
    def device_lost(self) -> bool:
        """Whether the person's device was lost while he drove, and nobody has acknowledged it."""
        command = self._messages.get(TELEOP)
        return isinstance(command, TeleopCommand) and command.engaged and not command.connected

    def missing(self) -> list[str]:
        """Sensors of which nothing ever came."""
        return [name for name in self._sensors if name not in self._messages]

    def snapshot(self) -> Snapshot | None:
        """The newest of each; None as long as a sensor is missing. A silent person is idle."""
        if self.missing():
            return None
        side, wrist, proprio = (self._messages[n] for n in self._sensors)
        command = self._messages.get(TELEOP)
        return Snapshot(self.newest_ns, side, wrist, proprio, _teleop(command))


def _teleop(command: Message | None) -> TeleopState:
    if not isinstance(command, TeleopCommand):
        return TeleopState.idle()
    return TeleopState(command.connected, command.engaged, teleop_from_msg(command))


_CHECKS: Mapping[str, Callable[[Any], object]] = {
    SIDE: image_to_array,
    WRIST: image_to_array,
    PROPRIO: proprio_from_msg,
    TELEOP: teleop_from_msg,
}

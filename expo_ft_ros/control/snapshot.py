# SPDX-License-Identifier: Apache-2.0
"""The newest of each input of a tick, and whether together they are one snapshot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from expo_ft_ros.control.safety_filter import CAMERA
from expo_ft_ros.data.types import ImageArray, Observation, Proprio
from expo_ft_ros.devices.teleop import TeleopState
from expo_ft_ros.recording.messages import reject_future_stamp

PROPRIO, TELEOP = "proprio", "teleop"


def view_input(view: str) -> str:
    """The name of a view's input, which its topic begins with."""
    return f"{CAMERA}{view}"


@dataclass(frozen=True)
class Snapshot:
    """What is known at one moment.

    time_ns: newest stamp of a camera or of proprio [ns]; views: name -> (h, w, 3) uint8 RGB, in
    the robot's order.
    """

    time_ns: int
    views: Mapping[str, ImageArray]
    proprio: Proprio
    teleop: TeleopState

    def observation(self, number: int, instruction: str, steps_left: int) -> Observation:
        """The observation that a policy is asked about; its images aren't copied."""
        return Observation(
            number=number,
            time=1e-9 * self.time_ns,
            views=self.views,
            proprio=self.proprio,
            instruction=instruction,
            steps_left=steps_left,
        )


class Inputs:
    """Keeps the newest sample of each input and its stamp [ns].

    views: names of the cameras' images; teleop: whether a teleop node's word is waited for.
    """

    def __init__(self, views: Sequence[str], *, teleop: bool) -> None:
        self._views = {view: view_input(view) for view in views}
        self._sensors = (*self._views.values(), PROPRIO)
        self._names = (*self._sensors, TELEOP) if teleop else self._sensors
        self._images: dict[str, ImageArray] = {}
        self._proprio: Proprio | None = None
        self._teleop = TeleopState.idle()
        self._stamps: dict[str, int] = {}
        self._travelled: float | None = None

    def put_image(
        self, view: str, image: ImageArray, stamp_ns: int, now_ns: int | None = None
    ) -> bool:
        """Takes a view's image, (h, w, 3) uint8 RGB; see `put_proprio`."""
        newest = self._is_newest(self._views[view], stamp_ns, now_ns)
        if newest:
            self._images[view] = image
        return newest

    def put_proprio(self, proprio: Proprio, stamp_ns: int, now_ns: int | None = None) -> bool:
        """Takes a measured state; False where it is older than the newest, which stays.

        Args:
            proprio: The state.
            stamp_ns: When it was measured [ns].
            now_ns: The clock that stamps are held against [ns]; None in lock-step, where they are
                the clock.

        Raises:
            BadMessage: for a stamp that lies ahead of the clock.
        """
        newest = self._is_newest(PROPRIO, stamp_ns, now_ns)
        if newest:
            self._proprio = proprio
        return newest

    def put_teleop(
        self,
        state: TeleopState,
        stamp_ns: int,
        now_ns: int | None = None,
        travelled: float | None = None,
    ) -> bool:
        """Takes the operator's command; see `put_proprio`. travelled: how long the device's reading
        that it follows was under way [s]; None where it follows none."""
        newest = self._is_newest(TELEOP, stamp_ns, now_ns)
        if newest:
            self._teleop = state
        if travelled is not None:
            self._travelled = travelled
        return newest

    def _is_newest(self, name: str, stamp_ns: int, now_ns: int | None) -> bool:
        newest = self._stamps.get(name, 0)
        if now_ns is not None:
            reject_future_stamp(stamp_ns, now_ns)
            # A little ahead is fresh, but it stays so no longer than another.
            stamp_ns = min(stamp_ns, now_ns)
            if newest > now_ns:
                newest = 0  # The clock was set back.
        if stamp_ns < newest:
            return False
        self._stamps[name] = stamp_ns
        return True

    def pop_travelled(self) -> float | None:
        """How long the newest reading of the operator's device was under way [s]; None where none
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

    def ages(self, now_ns: int) -> dict[str, float]:
        """Input -> how old its newest sample is [s], of those of which there is one.

        Args:
            now_ns: The clock that stamps are of [ns].
        """
        return {n: 1e-9 * (now_ns - self._stamps[n]) for n in self._names if n in self._stamps}

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
        """Whether the device was lost while the operator drove, and nobody has acknowledged it."""
        return self._teleop.engaged and not self._teleop.connected

    def missing(self) -> list[str]:
        """Sensors of which nothing ever came."""
        return [name for name in self._sensors if name not in self._stamps]

    def snapshot(self) -> Snapshot | None:
        """The newest of each; None as long as a sensor is missing. A silent operator is idle."""
        if self._proprio is None or len(self._images) < len(self._views):
            return None
        views = {view: self._images[view] for view in self._views}
        return Snapshot(self.newest_ns, views, self._proprio, self._teleop)

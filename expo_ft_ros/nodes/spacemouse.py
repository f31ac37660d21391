# SPDX-License-Identifier: Apache-2.0
"""Reads a SpaceMouse through spacenavd's own library, for who has no spacenav_node.

It says what that node says, on the same topics: axes along REP 103, 1 at full deflection, and
silence while the device rests. A device that is pulled out is told as readings that are no numbers,
which teleop takes for a loss; where spacenavd itself goes away the node ends.
"""

from __future__ import annotations

import ctypes
import select
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from sensor_msgs.msg import Joy

from expo_ft_ros.control.thread_priority import DEVICE_PRIORITY
from expo_ft_ros.ros.graph_node import ERROR, OK, GraphNode, NodeParameters, parameter
from expo_ft_ros.ros.messages import header_of, twist_of
from expo_ft_ros.ros.process import main as run_nodes

LIBRARY = "libspnav.so.0"
_POLL = 0.004
_MOTION, _BUTTON, _DEVICE = 1, 2, 3  # spnav.h, as _REMOVED
_REMOVED = 1
_NOTHING = (float("nan"),) * 6


@dataclass(frozen=True)
class SpaceMouseParameters(NodeParameters):
    """Parameters of the spacemouse node."""

    full_scale: float = parameter(
        350.0, "Reading of spacenavd at full deflection.", low=1.0, high=10_000.0
    )


class SpaceMouse:
    """The connection to spacenavd. Raises OSError where library or daemon are missing."""

    def __init__(self) -> None:
        try:
            self._library = ctypes.CDLL(LIBRARY)
        except OSError as error:
            raise OSError(f"{LIBRARY} is missing: apt-get install libspnav0 ({error})") from error
        if self._library.spnav_open() == -1:
            raise OSError("spacenavd doesn't answer: apt-get install spacenavd, then start it")
        # A union of structures of integers; the largest has a pointer at its end.
        self._event = (ctypes.c_int * 32)()

    def events(self) -> Iterator[Sequence[int]]:
        """What came since, as the integers of spnav_event, its type first.

        Raises OSError when spacenavd is gone.
        """
        while select.select([self._library.spnav_fd()], [], [], 0)[0]:
            if self._library.spnav_poll_event(ctypes.byref(self._event)) == 0:
                raise OSError("spacenavd is gone (start it again, then go on with resume:=latest)")
            yield list(self._event)

    def close(self) -> None:
        """Ends the connection."""
        self._library.spnav_close()


class SpaceMouseNode(GraphNode[SpaceMouseParameters]):
    """Publishes each change of the device."""

    NAME = "spacemouse"
    URGENT = DEVICE_PRIORITY
    PARAMETERS = SpaceMouseParameters

    def _setup(self) -> None:
        self._device: SpaceMouse | None = SpaceMouse()
        self._buttons = [0, 0]
        self._twist_out = self.publisher("spacenav/twist", needed=1)
        self._joy_out = self.publisher("spacenav/joy", needed=1)
        self.wall_timer(_POLL, self._read)

    def _teardown(self) -> None:
        device, self._device = getattr(self, "_device", None), None
        if device is not None:
            device.close()

    def _read(self) -> None:
        if self._device is None:
            return
        for kind, *values in self._device.events():
            if kind == _MOTION:
                self._move(values)
            elif kind == _BUTTON and values[1] >= 0:
                self._press(values[1], values[0])
            elif kind == _DEVICE:
                self._plug(removed=values[0] == _REMOVED)

    def _move(self, values: Sequence[int]) -> None:
        """Forward is spacenavd's z, left its -x, up its y, as in spacenav_node."""
        x, y, z, rx, ry, rz = np.array(values[:6]) / self.parameters.full_scale
        self._twist_out.publish(twist_of(np.array([z, -x, y]), np.array([rz, -rx, ry])))

    def _press(self, number: int, pressed: int) -> None:
        self._buttons += [0] * (number + 1 - len(self._buttons))
        self._buttons[number] = int(bool(pressed))
        self._joy_out.publish(Joy(header=header_of(self.now_ns()), buttons=self._buttons))

    def _plug(self, *, removed: bool) -> None:
        if removed:
            nothing = np.array(_NOTHING)
            self._twist_out.publish(twist_of(nothing[:3], nothing[3:]))
        self.report(*((ERROR, "the SpaceMouse was pulled out") if removed else (OK, "ready")))


def main() -> None:
    """Runs the spacemouse node."""
    run_nodes(SpaceMouseNode)


if __name__ == "__main__":
    main()

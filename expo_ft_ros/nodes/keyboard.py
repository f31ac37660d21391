# SPDX-License-Identifier: Apache-2.0
"""Corrections by the keyboard of the terminal it runs in: `./expo-ft keyboard`, on `joy`.

A terminal hands keys over only while it has the focus, so that what is typed elsewhere moves
nothing. Its end, be it Ctrl-C, a signal or a terminal that is closed, is a last reading at rest and
a driver that is gone, which teleop takes for a lost device.
"""

from __future__ import annotations

import signal
from dataclasses import dataclass

from rclpy.duration import Duration
from sensor_msgs.msg import Joy

from expo_ft_ros.control.thread_priority import DEVICE_PRIORITY
from expo_ft_ros.devices.keyboard import Keyboard, KeyboardConfig, key_map
from expo_ft_ros.devices.terminal import Terminal
from expo_ft_ros.ros.graph_node import GraphNode, NodeParameters, parameter
from expo_ft_ros.ros.messages import header_of
from expo_ft_ros.ros.process import main as run_nodes

# The end of a publisher may overtake its last message; a listener that hangs must not keep it.
_LAST_WORD = Duration(seconds=0.2)


@dataclass(frozen=True)
class KeyboardParameters(NodeParameters):
    """Parameters of the keyboard node."""

    lockstep: bool = parameter(
        True, "Reliable: it isn't told what the graph is, and either kind hears it then."
    )


class KeyboardNode(GraphNode[KeyboardParameters]):
    """Publishes what is held, `rate` times a second, also at rest."""

    NAME = "keyboard"
    URGENT = DEVICE_PRIORITY
    PARAMETERS = KeyboardParameters

    def _setup(self) -> None:
        self._terminal: Terminal | None = None
        config = KeyboardConfig.load()
        self._keyboard = Keyboard(config)
        self._out = self.publisher("joy", needed=1)
        self._terminal = Terminal()
        self.wall_timer(1 / config.rate, self._read)
        print(key_map(), flush=True)

    def _teardown(self) -> None:
        terminal, self._terminal = getattr(self, "_terminal", None), None
        if terminal is not None:
            terminal.close()

    def _safety_action(self) -> None:
        self._keyboard.release()
        self._say()
        self._out.wait_for_all_acked(_LAST_WORD)

    def _read(self) -> None:
        typed = None if self._terminal is None else self._terminal.read()
        if typed is None:
            self._keyboard.release()
            self.stop(0)
        else:
            self._keyboard.press(typed, self.wall_time())
        self._say()

    def _say(self) -> None:
        axes, buttons = self._keyboard.reading(self.wall_time())
        self._out.publish(Joy(header=header_of(self.now_ns()), axes=axes, buttons=buttons))


def main() -> None:
    """Runs the keyboard node."""
    # As SIGINT and SIGTERM do, that of a closed terminal wakes the node to its end (StopSignals
    # hears of every signal that has a handler); unhandled it would kill it before its last word.
    signal.signal(signal.SIGHUP, lambda *_: None)
    run_nodes(KeyboardNode)


if __name__ == "__main__":
    main()

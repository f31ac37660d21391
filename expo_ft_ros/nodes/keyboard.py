# SPDX-License-Identifier: Apache-2.0
"""Corrections by the keyboard of the terminal it runs in: `./expo-ft keyboard`, on `joy`.

A terminal hands keys over only while it has the focus, so that what is typed elsewhere moves
nothing. Its end, be it Ctrl-C, a signal or a terminal that is closed, is a last reading at rest and
a driver that is gone, which teleop takes for a lost device.
"""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.duration import Duration
from sensor_msgs.msg import Joy

from expo_ft_ros.control.arbiter import DEVICE_LOST
from expo_ft_ros.control.thread_priority import DEVICE_PRIORITY
from expo_ft_ros.devices.keyboard import Keyboard, KeyboardConfig, key_map
from expo_ft_ros.devices.teleop import DEVICE, FRAME, REDO, Takeover, TeleopConfig
from expo_ft_ros.devices.terminal import Terminal
from expo_ft_ros.ros.graph_node import GraphNode, NodeParameters, parameter
from expo_ft_ros.ros.health import statuses_of_graph
from expo_ft_ros.ros.messages import header_of
from expo_ft_ros.ros.process import main as run_nodes

# The end of a publisher may overtake its last message; a listener that hangs must not keep it.
_LAST_WORD = Duration(seconds=0.2)
_SILENT = 3.0  # teleop says how it is each second [s]
_NOBODY = "no graph listens yet: start one with operator:=keyboard"
_OTHER = "the graph that runs listens to {}, not to this terminal: start it with operator:=keyboard"
_WORDS = {
    Takeover.RELEASED.value: "connected: any key takes over",
    Takeover.ENGAGED.value: "YOU DRIVE: let go, or press space, to give the arm back",
    DEVICE_LOST: "LOST: the arm is held; press a key, or Go on alone in the console",
}
"""What teleop says of itself -> what that means here; anything else is said as it is."""


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
        self._said, self._heard_at = "", self.wall_time()
        # Unknown yet: what was answered before anybody sat here is no news.
        self._redo_said: str | None = None
        self.subscription("/diagnostics", self._on_diagnostics, needed=False)
        self._terminal = Terminal()
        self.wall_timer(1 / config.rate, self._read)
        self._frame = TeleopConfig.load(device="keyboard").frame
        print(key_map(self._frame), flush=True)
        self._tell(_NOBODY)

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
        if self.wall_time() - self._heard_at > _SILENT:
            self._tell(_NOBODY)
        self._say()

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for name, status in statuses_of_graph(self, message):
            if name == "teleop":
                self._heard_at = self.wall_time()
                values = {each.key: each.value for each in status.values}
                device = values.get(DEVICE, self.NAME)
                if device != self.NAME:
                    self._tell(_OTHER.format(device))
                    continue
                self._tell(_WORDS.get(status.message, status.message))
                self._show_frame(values.get(FRAME, self._frame))
                said = values.get(REDO, "")
                if said != self._redo_said and self._redo_said is not None:
                    print(said, flush=True)
                self._redo_said = said

    def _show_frame(self, frame: str) -> None:
        """The graph may have another configuration than this terminal."""
        if frame != self._frame:
            self._frame = frame
            print(key_map(frame), flush=True)

    def _tell(self, words: str) -> None:
        """A line for each change."""
        if words != self._said:
            self._said = words
            print(f"{time.strftime('%H:%M:%S')} {words}", flush=True)

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

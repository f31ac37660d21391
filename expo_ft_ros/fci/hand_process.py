# SPDX-License-Identifier: Apache-2.0
"""The hand: a process that waits for its motions, so that nothing else has to.

python -m expo_ft_ros.fci.hand_process ROBOT ADDRESS COMMAND_FD STATE_FD

A motion is finished before the next one begins; of the goals that come meanwhile the newest counts,
unless it is withdrawn. pylibfranka gives no width meanwhile: `HandState.width_at` estimates it.
"""

from __future__ import annotations

import importlib
import sys
import time
from typing import Any

from expo_ft_ros.fci.child_process import Confirmations, one_line, run_loop
from expo_ft_ros.fci.messages import HAND_COMMAND, HAND_STATE, HandCommand, HandState, Phase
from expo_ft_ros.fci.shared_record import SharedRecord
from expo_ft_ros.robots import RobotConfig
from expo_ft_ros.robots.fci_config import FciConfig, require_pylibfranka

_ANYWHERE = 1.0
"""Of the width at which a grasp counts as one [m]."""

_HOMED = 0.005
"""By which a hand that has been homed may open less wide than the robot's file says [m]."""

_RETRY = 0.2
"""Between looks for a confirmation in a fault [s]."""


class HandLoop:
    """Tells the width, and goes from goal to goal."""

    def __init__(
        self, robot: RobotConfig, fci: FciConfig, commands: SharedRecord, states: SharedRecord
    ) -> None:
        """The hand is reached by `run`."""
        require_pylibfranka()
        self._franka: Any = importlib.import_module("pylibfranka")
        self._limits, self._fci = robot.limits, fci
        self._commands, self._states = commands, states
        self._confirmations = Confirmations(lambda: HandCommand.read(commands).recover)
        self._done = 0
        self._width, self._stamp_ns = 0.0, 0
        self._stopping = False

    def stop(self) -> None:
        """Ends after the present motion."""
        self._stopping = True

    def run(self) -> None:
        """Until `stop`."""
        while not self._stopping:
            self._tell(Phase.STARTING)
            try:
                hand = self._franka.Gripper(self._fci.address)
                self._require_homed(hand)
                # What was asked for before a fault is over.
                self._done = HandCommand.read(self._commands).number
                self._serve(hand)
            except (self._franka.FrankaException, RuntimeError) as error:
                self._wait_in_fault(one_line(error))

    def _require_homed(self, hand: Any) -> None:
        widest = hand.read_once().max_width
        if widest < self._limits.gripper_max_width - _HOMED:
            raise RuntimeError(
                f"it opens {widest:.3f} m, not {self._limits.gripper_max_width:.3f} m as "
                "limits.gripper_max_width has it (home it in Desk, or correct the robot's file)"
            )

    def _serve(self, hand: Any) -> None:
        while not self._stopping:
            self._width, self._stamp_ns = hand.read_once().width, time.time_ns()
            command = HandCommand.read(self._commands)
            direction = command.direction if command.number != self._done else 0
            self._done = command.number
            self._tell(Phase.RUNNING, direction)
            speed = self._limits.gripper_velocity
            if direction < 0:
                force = self._fci.grasp_force
                hand.grasp(0.0, speed, force, _ANYWHERE, _ANYWHERE)
            elif direction > 0:
                hand.move(self._limits.gripper_max_width, speed)

    def _wait_in_fault(self, text: str) -> None:
        print(f"hand: {text}", file=sys.stderr, flush=True)
        self._confirmations.forget()
        self._tell(Phase.FAULT, text=text)
        while not (self._stopping or self._confirmations.given()):
            time.sleep(_RETRY)

    def _tell(self, phase: Phase, direction: int = 0, text: str = "") -> None:
        seen = self._confirmations.seen
        HandState(
            self._stamp_ns, self._width, time.monotonic(), direction, phase, seen, text
        ).write(self._states)


def main(words: list[str]) -> int:
    """Runs until SIGTERM; 0 after a clean end."""
    return run_loop(HandLoop, HAND_COMMAND, HAND_STATE, words)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

# SPDX-License-Identifier: Apache-2.0
"""Which goals the hand's process begins, with a stand-in for libfranka."""

import sys

from expo_ft_ros.fci.hand_process import HandLoop
from expo_ft_ros.fci.messages import HAND_COMMAND, HAND_STATE, HandCommand, HandState, Phase
from expo_ft_ros.fci.shared_record import SharedRecord
from expo_ft_ros.robots import load_robot
from support.fake_franka import FakeFranka, FrankaError

CLOSE, OPEN, NOTHING = -1, 1, 0


class Box:
    """The loop, and who commands."""

    def __init__(self, monkeypatch, *, confirmed=0):
        self.franka = FakeFranka()
        monkeypatch.setitem(sys.modules, "pylibfranka", self.franka)
        monkeypatch.setattr("time.sleep", lambda seconds: self.stop())
        commands = SharedRecord.create("commands", HAND_COMMAND)
        self._commands = SharedRecord(commands.descriptor, HAND_COMMAND)
        self._states = SharedRecord.create("states", HAND_STATE)
        self.command(0, NOTHING, confirmed)
        robot = load_robot("franka_fci")
        self.loop = HandLoop(robot, robot.fci, commands, self._states)
        self._acts, self._reads = [], 0
        self.franka.when_read = self._read

    def command(self, number, direction, confirmed=0):
        HandCommand(number, direction, confirmed).write(self._commands)

    @property
    def state(self):
        return HandState.read(self._states)

    def stop(self):
        self.loop.stop()

    def run(self, *acts):
        """An act every fifth time that the width is read; ends in a fault, or after the last."""
        self._acts = list(acts)
        self.loop.run()
        return self.franka.calls

    def _read(self):
        self._reads += 1
        if self._reads % 5 == 0:
            (self._acts.pop(0) if self._acts else self.stop)()


def test_the_newest_goal_follows_a_motion(monkeypatch):
    box = Box(monkeypatch)
    box.franka.when_moved = lambda: box.command(2, OPEN)
    assert box.run(lambda: box.command(1, CLOSE)) == ["connect", "close", "open"]


def test_a_goal_that_is_withdrawn_meanwhile_does_not_follow(monkeypatch):
    box = Box(monkeypatch)

    def meanwhile():
        box.command(2, OPEN)
        box.command(3, NOTHING)

    box.franka.when_moved = meanwhile
    assert box.run(lambda: box.command(1, CLOSE)) == ["connect", "close"]


def test_a_confirmation_during_a_motion_is_none_of_the_fault_in_which_that_ends(monkeypatch):
    box = Box(monkeypatch)

    def meanwhile():
        box.command(1, CLOSE, confirmed=1)
        raise FrankaError("libfranka gripper: Command failed!")

    box.franka.when_moved = meanwhile
    assert box.run(lambda: box.command(1, CLOSE)) == ["connect", "close"]
    assert box.state.phase is Phase.FAULT
    assert box.state.recovered == 1, "so that the adapter takes the next one"


def test_a_process_that_takes_another_s_place_recovers_nothing_by_itself(monkeypatch):
    box = Box(monkeypatch, confirmed=2)

    def refuse():
        raise FrankaError("libfranka gripper: Connection refused")

    box.franka.when_read = refuse
    assert box.run() == ["connect"]
    assert "Connection refused" in box.state.text

# SPDX-License-Identifier: Apache-2.0
"""When the arm's process connects, recovers and drives, with a stand-in for libfranka."""

import sys

import pytest

from expo_ft_ros.fci.arm_process import ArmLoop
from expo_ft_ros.fci.child_process import Confirmations
from expo_ft_ros.fci.messages import ARM_COMMAND, ARM_STATE, ArmCommand, ArmState, Phase
from expo_ft_ros.fci.shared_record import SharedRecord
from expo_ft_ros.robots import load_robot
from support.fake_franka import FakeFranka

DRIVES = ["set_collision_behavior", "start", "stop"]


class Box:
    """The loop, a robot in a reflex, and who confirms."""

    def __init__(self, monkeypatch, confirmed=0):
        self.franka = FakeFranka()
        monkeypatch.setitem(sys.modules, "pylibfranka", self.franka)
        commands = SharedRecord.create("commands", ARM_COMMAND)
        self._commands = SharedRecord(commands.descriptor, ARM_COMMAND)
        self._states = SharedRecord.create("states", ARM_STATE)
        self.confirm(confirmed)
        robot = load_robot("franka_fci")
        self.loop = ArmLoop(robot, robot.fci, commands, self._states)
        self.faults = []

    def confirm(self, count):
        ArmCommand(float("-inf"), (0.0,) * 6, count).write(self._commands)

    def run(self, *acts):
        """Does an act each time that a fault was reported five times, then stops."""
        left, reports = list(acts), 0

        def read():
            nonlocal reports
            state = ArmState.read(self._states)
            if state is None or state.phase is not Phase.FAULT:
                return
            if not self.faults or self.faults[-1] != state.text:
                self.faults.append(state.text)
            reports += 1
            if reports % 5:
                return
            if left:
                left.pop(0)()
            else:
                self.loop.stop()

        self.franka.when_read = read
        self.loop.run()
        return self.franka.calls


def test_a_robot_in_a_reflex_is_sent_nothing_until_it_is_recovered(monkeypatch):
    box = Box(monkeypatch)
    calls = box.run(lambda: box.confirm(1))
    assert calls == ["connect", "recover", *DRIVES]
    assert "the robot has stopped itself: [cartesian_reflex]" in box.faults[0]


def test_the_ended_motion_is_gone_before_the_next_recovery(monkeypatch):
    box = Box(monkeypatch)
    calls = box.run(lambda: box.confirm(1), lambda: box.confirm(2))
    assert calls == ["connect", "recover", *DRIVES, "recover", *DRIVES]


def test_a_process_that_takes_another_s_place_recovers_nothing_by_itself(monkeypatch):
    """The confirmations before it were given for what the one before has reported."""
    assert Box(monkeypatch, confirmed=3).run() == ["connect"]


def test_a_confirmation_during_a_recovery_is_none_of_the_next_fault(monkeypatch):
    box = Box(monkeypatch)
    calls = box.run(lambda: (box.confirm(1), box.confirm(2)))
    assert calls == ["connect", "recover", *DRIVES]


def test_a_connection_that_is_back_shows_what_the_robot_has_before_it_is_recovered(monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: box.franka.when_read())
    box = Box(monkeypatch)

    def cut():
        box.franka.connected = False

    def back():
        box.franka.connected = True
        box.confirm(1)

    calls = box.run(cut, back, lambda: box.confirm(2))
    assert calls[:3] == ["connect", "connect", "recover"]
    assert box.faults[1] == "libfranka: Connection lost"
    assert box.faults[2].startswith("no recovery: the robot has stopped itself")


@pytest.mark.parametrize("before", [0, 3])
def test_a_confirmation_counts_once_and_only_after_the_fault(before):
    count = before
    confirmations = Confirmations(lambda: count)
    confirmations.forget()
    assert not confirmations.given()
    count += 2
    assert confirmations.given()
    assert not confirmations.given()
    count += 1
    confirmations.forget()
    assert not confirmations.given()

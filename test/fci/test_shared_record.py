# SPDX-License-Identifier: Apache-2.0
"""The newest message between two processes, also where the writer dies in the middle of one."""

import os
import struct
import subprocess
import sys

import pytest

from expo_ft_ros.fci.messages import (
    ARM_COMMAND,
    ARM_STATE,
    HAND_STATE,
    ArmCommand,
    ArmState,
    HandState,
    Phase,
)
from expo_ft_ros.fci.shared_record import SharedRecord

BODY = struct.Struct("<400Q")

WRITER = """
import struct, sys
from expo_ft_ros.fci.shared_record import SharedRecord
record, k = SharedRecord(int(sys.argv[1]), struct.Struct("<400Q")), 0
print("ready", flush=True)
while True:
    k += 1
    record.write(*[k] * 400)
"""


def test_a_reader_gets_whole_messages_only_and_ever_newer_ones():
    record = SharedRecord.create("test", BODY)
    assert record.read() is None
    record.write(*range(400))
    assert record.read() == tuple(range(400))
    record.close()
    record.close()


@pytest.mark.process
def test_a_writer_in_another_process_is_read_whole_until_it_is_killed():
    record = SharedRecord.create("test", BODY)
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(record.descriptor)],
        pass_fds=(record.descriptor,),
        stdout=subprocess.PIPE,
    )
    try:
        assert writer.stdout.readline()
        newest, seen = 0, 0
        while seen < 2000:
            values = record.read()
            if values is None or values[0] == newest:
                continue
            assert set(values) == {values[0]}, "a torn message"
            assert values[0] > newest
            newest, seen = values[0], seen + 1
    finally:
        writer.kill()
        writer.wait()
        writer.stdout.close()
    assert set(record.read()) == {record.read()[0]}
    record.close()


def test_a_message_that_was_begun_only_is_not_read():
    record = SharedRecord.create("test", BODY)
    other = SharedRecord(os.dup(record.descriptor), BODY)
    record.write(*[1] * 400)
    assert other.read() == (1,) * 400
    torn = bytearray(record._memory[:])
    torn[-8] ^= 1
    record._memory[:] = bytes(torn)
    assert other.read() == (1,) * 400, "the message before"
    record.close()
    other.close()


def test_states_and_commands_come_out_as_they_went_in():
    record = SharedRecord.create("test", ARM_STATE)
    state = ArmState(
        stamp_ns=5,
        joints=tuple(map(float, range(7))),
        pose=tuple(map(float, range(16))),
        twist=tuple(map(float, range(6))),
        phase=Phase.FAULT,
        recovered=2,
        cycles=10,
        missed=1,
        slowest=0.5,
        priority=99,
        text="reflex: " + "é" * 400,
    )
    state.write(record)
    read = ArmState.read(record)
    assert read.text.startswith("reflex: é")
    assert state.text.startswith(read.text)
    assert read == ArmState(**{**vars(state), "text": read.text})
    record.close()
    record = SharedRecord.create("test", ARM_COMMAND)
    assert ArmCommand.read(record).stamp == float("-inf")
    command = ArmCommand(1.5, (1.0, 2.0, 3.0, 4.0, 5.0, 6.0), 7)
    command.write(record)
    assert ArmCommand.read(record) == command
    record.close()
    record = SharedRecord.create("test", HAND_STATE)
    hand = HandState(1, 0.06, 10.0, -1, Phase.RUNNING, 0, "")
    hand.write(record)
    assert HandState.read(record) == hand
    record.close()


def test_the_width_in_a_motion_is_estimated_and_stays_possible():
    hand = HandState(1, 0.06, 10.0, -1, Phase.RUNNING, 0, "")
    assert hand.width_at(10.2, 0.1, 0.08) == pytest.approx(0.04)
    assert hand.width_at(20.0, 0.1, 0.08) == 0.0
    opening = HandState(1, 0.06, 10.0, 1, Phase.RUNNING, 0, "")
    assert opening.width_at(20.0, 0.1, 0.08) == 0.08
    still = HandState(1, 0.06, 10.0, 0, Phase.RUNNING, 0, "")
    assert still.width_at(20.0, 0.1, 0.08) == 0.06

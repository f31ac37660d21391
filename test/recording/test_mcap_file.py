# SPDX-License-Identifier: Apache-2.0
"""MCAP files: what was written comes back, and a cut takes only what comes after it."""

from __future__ import annotations

import random
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mcap.reader import make_reader
from mcap_ros2.writer import Writer

from expo_ft_ros.data.types import Verdict
from expo_ft_ros.recording.mcap_file import BagWriter, CutOffError, TopicType, read_bag
from expo_ft_ros.recording.messages import verdict_from_msg

TOPICS = {"words": TopicType("std_msgs/String", "string data\n")}


def cdr(text: str) -> bytes:
    """A string, serialized: little-endian, with its length and a zero at its end."""
    data = text.encode() + b"\0"
    return b"\x00\x01\x00\x00" + struct.pack("<I", len(data)) + data


def write(path, texts):
    writer = BagWriter(path, TOPICS)
    writer.note("run", {"config.yaml": "task: cube_pick"})
    for number, text in enumerate(texts):
        writer.write("words", cdr(text), time=number, stamp=number)
    writer.close()


def test_messages_and_notes_come_back(tmp_path):
    path = tmp_path / "a.mcap"
    write(path, ["one", "two", ""])
    read = list(read_bag(path))
    assert [(r.topic, r.message.data, r.time) for r in read] == [
        ("words", "one", 0),
        ("words", "two", 1),
        ("words", "", 2),
    ]
    with path.open("rb") as file:
        notes = {note.name: note.metadata for note in make_reader(file).iter_metadata()}
    assert notes == {"run": {"config.yaml": "task: cube_pick"}}


def test_nothing_is_overwritten(tmp_path):
    path = tmp_path / "a.mcap"
    write(path, ["one"])
    with pytest.raises(FileExistsError):
        BagWriter(path, TOPICS)


def test_a_topic_that_was_not_announced_is_refused(tmp_path):
    writer = BagWriter(tmp_path / "a.mcap", TOPICS)
    with pytest.raises(KeyError, match="noise"):
        writer.write("noise", b"", 0, 0)
    writer.close()


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(share=st.floats(0, 1, exclude_max=True), length=st.sampled_from([10, 70_000]))
def test_a_cut_takes_only_what_comes_after_it(tmp_path_factory, share, length):
    path = tmp_path_factory.mktemp("cut") / "a.mcap"
    # Noise, which doesn't shrink: each chunk holds two of the long ones.
    rng = random.Random(1)
    texts = ["".join(rng.choices("abcdefgh", k=length)) for _ in range(12)]
    write(path, texts)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    bag, read = read_bag(path), []
    with pytest.raises(CutOffError, match=r"a\.mcap: cut off after"):
        read.extend(recorded.message.data for recorded in bag)
    assert read == texts[: len(read)]
    if length > 10_000:
        assert len(read) >= int(len(texts) * share) - 4


def test_a_flipped_byte_is_no_message(tmp_path):
    path = tmp_path / "a.mcap"
    write(path, ["a" * 200_000, "b" * 200_000])
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(bytes(data))
    good = {"a" * 200_000, "b" * 200_000}
    try:
        read = [recorded.message.data for recorded in read_bag(path)]
    except CutOffError:
        return
    assert set(read) <= good


OLD_REWARD = """\
uint64 observation
uint32 episode
float32 value
bool success
string reason
"""


def test_a_verdict_recorded_before_human_resets_is_read(tmp_path):
    path = tmp_path / "a.mcap"
    with path.open("wb") as file:
        writer = Writer(file)
        schema = writer.register_msgdef("expo_ft_ros/msg/Reward", OLD_REWARD)
        said = {"observation": 3, "episode": 1, "value": 1.0, "success": True, "reason": "lifted"}
        writer.write_message("/reward", schema, said, log_time=1, publish_time=1)
        writer.finish()
    (recorded,) = read_bag(path)
    assert verdict_from_msg(recorded.message) == Verdict(1.0, True, "lifted")

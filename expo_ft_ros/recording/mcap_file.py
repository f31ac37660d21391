# SPDX-License-Identifier: Apache-2.0
"""MCAP files of ROS 2 messages, written while they come and read without ROS.

rosbag2, Foxglove and the `mcap` tool read them as well. A file that was cut off anywhere gives what
was written before the cut.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mcap.exceptions import McapError
from mcap.records import Channel, Footer, Message, Schema
from mcap.stream_reader import CRCValidationError, StreamReader
from mcap.writer import CompressionType, Writer
from mcap_ros2.decoder import DecoderFactory
from zstandard import ZstdError

from expo_ft_ros.data.files import sync_folder, writing

# Compressed and written when it has grown so large [bytes]: about a camera image, so that what a
# cut takes is the last tick.
_CHUNK = 1 << 17
_CUT = (McapError, CRCValidationError, ZstdError, EOFError, struct.error)
_LARGEST = 1 << 28  # of a record; a length that is garbage is none to allocate [bytes]


class CutOffError(ValueError):
    """The file ends before its end was written; all that came before it is good."""


@dataclass(frozen=True)
class TopicType:
    """What is written to a topic: type "package/Message", and its definition with those it uses,
    as rosbag2 writes it."""

    name: str
    definition: str


@dataclass(frozen=True)
class Recorded:
    """A message of a file. topic: as in the topic table; time: when it was written [ns]."""

    topic: str
    message: Any
    time: int


class BagWriter:
    """Writes one file. Not for two threads at a time.

    Raises:
        FileExistsError: when there is such a file: nothing is overwritten.
        DiskError: when it can't be written, by every method.
    """

    def __init__(self, path: Path, topics: Mapping[str, TopicType]) -> None:
        self._topics = topics
        self._path = path
        self._file = path.open("xb")
        self._writer = Writer(self._file, chunk_size=_CHUNK, compression=CompressionType.ZSTD)
        with writing(path):
            self._writer.start(profile="ros2", library="expo_ft_ros")
        self._schemas: dict[str, int] = {}
        self._channels: dict[str, int] = {}

    def note(self, name: str, values: Mapping[str, str]) -> None:
        """Writes text that is no message, such as the run's configuration."""
        with writing(self._path):
            self._writer.add_metadata(name, dict(values))
            self._file.flush()

    def write(self, topic: str, data: bytes, time: int, stamp: int) -> None:
        """Appends a message, serialized as CDR. time: now; stamp: of its header [ns].

        Raises KeyError for a topic that was not announced.
        """
        with writing(self._path):
            channel = self._channels.get(topic)
            if channel is None:
                channel = self._announce(topic)
            self._writer.add_message(channel, log_time=time, data=data, publish_time=stamp)
            # What is in the process's own buffer is lost when it is killed.
            self._file.flush()

    def close(self) -> None:
        """Writes the end of the file, and waits until the disk has it and its name."""
        if self._file.closed:
            return
        with writing(self._path):
            try:
                self._writer.finish()  # type: ignore[no-untyped-call]
                self._file.flush()
                os.fsync(self._file.fileno())
                sync_folder(self._path.parent)
            finally:
                self._file.close()

    def _announce(self, topic: str) -> int:
        type_ = self._topics[topic]
        package, _, title = type_.name.partition("/")
        if type_.name not in self._schemas:
            self._schemas[type_.name] = self._writer.register_schema(
                name=f"{package}/msg/{title}", encoding="ros2msg", data=type_.definition.encode()
            )
        name = topic if topic.startswith("/") else f"/{topic}"
        channel = self._writer.register_channel(name, "cdr", self._schemas[type_.name])
        self._channels[topic] = channel
        return channel


def read_bag(path: Path, wanted: Callable[[str], bool] | None = None) -> Iterator[Recorded]:
    """The messages of a file, in the order in which they were written.

    Args:
        path: The file.
        wanted: Whether a topic is read; None: all are.

    Raises:
        CutOffError: after the last one, where the file was cut off or is broken from there on.
        ValueError: for a message that isn't what its definition says.
    """
    decoders = DecoderFactory()
    for message, channel, schema in _records(path):
        name = channel.topic.removeprefix("/")
        if wanted is not None and not wanted(name):
            continue
        try:
            decode = decoders.decoder_for(channel.message_encoding, schema)
            if decode is not None:
                yield Recorded(name, decode(message.data), message.log_time)
        except (ValueError, KeyError, NotImplementedError, struct.error, McapError) as error:
            raise ValueError(f"{path}: a message of {name} can't be decoded: {error}") from error


def _records(path: Path) -> Iterator[tuple[Message, Channel, Schema | None]]:
    schemas: dict[int, Schema] = {}
    channels: dict[int, Channel] = {}
    count, ended = 0, False
    with path.open("rb") as file:
        reader = StreamReader(file, validate_crcs=True, record_size_limit=_LARGEST)
        records = iter(reader.records)
        while True:
            try:
                record = next(records, None)
            except _CUT as error:
                why = str(error) or type(error).__name__
                raise CutOffError(f"{path}: cut off after {count} messages ({why})") from error
            if record is None:
                break
            if isinstance(record, Schema):
                schemas[record.id] = record
            elif isinstance(record, Channel):
                channels[record.id] = record
            elif isinstance(record, Message):
                count += 1
                channel = channels.get(record.channel_id)
                if channel is None:
                    raise CutOffError(f"{path}: message {count} is of no channel that it names")
                yield record, channel, schemas.get(channel.schema_id)
            ended = ended or isinstance(record, Footer)
    if not ended:
        raise CutOffError(f"{path}: cut off after {count} messages")

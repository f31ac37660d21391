# SPDX-License-Identifier: Apache-2.0
"""The newest message between two processes, in memory that both see; neither waits for the other.

The memory has no name and goes with its last process, however that ends.
"""

from __future__ import annotations

import mmap
import os
import struct
import zlib
from typing import Any

_SEAL = struct.Struct("<QI4x")  # Messages so far, and the checksum of that number and the message.
_COUNT = struct.Struct("<Q")


class SharedRecord:
    """One writer, one reader, a message of fixed size, of which only the newest counts.

    A reader that meets a write in progress, or what a killed writer has left of one, finds that
    the checksum doesn't fit, and gives the message before. So there is no lock, and nothing
    depends on the order in which a processor's writes become visible.
    """

    def __init__(self, descriptor: int, body: struct.Struct) -> None:
        """Maps what `create` has made.

        Args:
            descriptor: Of the memory; stays open.
            body: The message's fields.

        Raises:
            OSError: where it is no such memory.
            ValueError: where it is smaller than the message.
        """
        self.descriptor = descriptor
        self._body = body
        self._memory = mmap.mmap(descriptor, _SEAL.size + body.size)
        self._count = 0
        self._last: tuple[Any, ...] | None = None

    @classmethod
    def create(cls, name: str, body: struct.Struct) -> SharedRecord:
        """New memory without a message. name: for a look at /proc."""
        descriptor = os.memfd_create(name)
        os.ftruncate(descriptor, _SEAL.size + body.size)
        return cls(descriptor, body)

    def write(self, *values: Any) -> None:
        """Puts a message in place of the one before. values: as struct.pack takes them."""
        self._count += 1
        body = self._body.pack(*values)
        checksum = zlib.crc32(body, zlib.crc32(_COUNT.pack(self._count)))
        self._memory[:] = _SEAL.pack(self._count, checksum) + body

    def read(self) -> tuple[Any, ...] | None:
        """The newest whole message; None before the first."""
        content = self._memory[:]
        count, checksum = _SEAL.unpack_from(content)
        body = content[_SEAL.size :]
        if count and checksum == zlib.crc32(body, zlib.crc32(_COUNT.pack(count))):
            self._last = self._body.unpack(body)
        return self._last

    def close(self) -> None:
        """Lets go of the memory; a second time without effect."""
        if not self._memory.closed:
            self._memory.close()
            os.close(self.descriptor)

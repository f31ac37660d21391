# SPDX-License-Identifier: Apache-2.0
"""The checkpoints of a folder, in the order of what they hold; free of torch.

Times of files say nothing: a copy or a `touch` changes them. A checkpoint's header says which
version of the weights it holds, and how long the whole file is.
"""

from __future__ import annotations

import itertools
import json
import re
import struct
import time
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO

SUFFIX = ".safetensors"
SKELETON, VERSION, CHECKSUM = "skeleton", "version", "crc32"
"""Fields of a header's metadata."""
UNSEALED = "0" * 10
"""The checksum's digits until it is known."""

_NAMED = re.compile(r"_v(\d+)$")
_UNKNOWN = -1
_LENGTH = struct.Struct("<Q")
_LONGEST_HEADER = 100 << 20
_PIECE = 1 << 20
_BROKEN = (OSError, struct.error, ValueError, TypeError, AttributeError, LookupError)


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint's file.

    Attributes:
        path: Where it lies.
        version: Which version of the weights it holds; of a file that is cut off, by its name; -1
            where neither says one.
        whole: Whether all of the file is there.
    """

    path: Path
    version: int
    whole: bool


def checkpoint_path(folder: Path, version: int) -> Path:
    """A new checkpoint's file."""
    return folder / f"{time.time_ns() // 10**9:010d}_v{version:05d}{SUFFIX}"


def read_checkpoint(path: Path) -> Checkpoint:
    """What a file's header says of it."""
    named = _NAMED.search(path.stem)
    version = int(named[1]) if named else _UNKNOWN
    try:
        with path.open("rb") as file:
            header, about = _header(file)
        version = int(about.get(VERSION, version))
        tensors = [entry for name, entry in json.loads(header).items() if name != "__metadata__"]
        end = max((entry["data_offsets"][1] for entry in tensors), default=0)
        whole = SKELETON in about and path.stat().st_size == _LENGTH.size + len(header) + end
    except _BROKEN:
        return Checkpoint(path, version, whole=False)
    return Checkpoint(path, version, whole)


def seal(path: Path) -> None:
    """Writes the checksum into a file whose header has `UNSEALED` in its place."""
    with path.open("r+b") as file:
        place = _digits(_header(file)[0])
        value = _sum(file, place)
        file.seek(place)
        file.write(f"{value:0{len(UNSEALED)}d}".encode())


def is_intact(path: Path) -> bool:
    """Whether a file holds what was written; one of an older version, which has no checksum, is
    taken for it. Reads all of the file."""
    try:
        with path.open("rb") as file:
            header, about = _header(file)
            if CHECKSUM not in about:
                return VERSION not in about
            return _sum(file, _digits(header)) == int(about[CHECKSUM])
    except _BROKEN:
        return False


def _sum(file: IO[bytes], place: int) -> int:
    """CRC-32 of a file as it was before its checksum was written to `place`."""
    file.seek(0)
    value = zlib.crc32(file.read(place))
    value = zlib.crc32(UNSEALED.encode(), value)
    file.seek(place + len(UNSEALED))
    while piece := file.read(_PIECE):
        value = zlib.crc32(piece, value)
    return value


def _digits(header: bytes) -> int:
    """Where in a file the checksum's digits begin."""
    key = f'"{CHECKSUM}":"'.encode()
    return _LENGTH.size + header.index(key) + len(key)


def _header(file: IO[bytes]) -> tuple[bytes, dict[str, str]]:
    """The header's bytes, and its metadata."""
    (length,) = _LENGTH.unpack(file.read(_LENGTH.size))
    header = file.read(length) if length <= _LONGEST_HEADER else b""
    return header, json.loads(header)["__metadata__"]


def list_checkpoints(folder: Path) -> list[Checkpoint]:
    """The checkpoints of a folder, the newest last; of two of one version the one that was named
    later."""
    found = [read_checkpoint(path) for path in folder.glob(f"*{SUFFIX}")]
    return sorted(found, key=lambda checkpoint: (checkpoint.version, checkpoint.path.name))


def newest_whole(folder: Path) -> tuple[Checkpoint | None, tuple[Path, ...]]:
    """The checkpoint to begin with, and the newer ones that are cut off or damaged, the newest
    first."""
    skipped: list[Path] = []
    for checkpoint in reversed(list_checkpoints(folder)):
        if checkpoint.whole and is_intact(checkpoint.path):
            return checkpoint, tuple(skipped)
        skipped.append(checkpoint.path)
    return None, tuple(skipped)


def remove_older(folder: Path, keep: int) -> None:
    """Removes what is older than the `keep` newest checkpoints that one could begin with; nothing
    where there is none. What is cut off or damaged counts for nothing."""
    newest_first = reversed(list_checkpoints(folder))
    good = (found for found in newest_first if found.whole and is_intact(found.path))
    kept = [found.path for found in itertools.islice(good, keep)]
    for checkpoint in list_checkpoints(folder) if kept else ():
        if checkpoint.path == kept[-1]:
            break
        checkpoint.path.unlink()

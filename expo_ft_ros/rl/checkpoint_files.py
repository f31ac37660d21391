# SPDX-License-Identifier: Apache-2.0
"""The checkpoints of a folder, in the order of what they hold; free of torch.

Times of files say nothing: a copy or a `touch` changes them. A checkpoint's header says which
version of the weights it holds, and how long the whole file is.
"""

from __future__ import annotations

import json
import re
import struct
import time
from dataclasses import dataclass
from pathlib import Path

SUFFIX = ".safetensors"
SKELETON, VERSION = "skeleton", "version"
"""Fields of a header's metadata."""

_NAMED = re.compile(r"_v(\d+)$")
_UNKNOWN = -1
_LENGTH = struct.Struct("<Q")
_LONGEST_HEADER = 100 << 20


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
            (length,) = _LENGTH.unpack(file.read(_LENGTH.size))
            header = json.loads(file.read(length) if length <= _LONGEST_HEADER else b"")
        about = header.pop("__metadata__")
        version = int(about.get(VERSION, version))
        end = max((tensor["data_offsets"][1] for tensor in header.values()), default=0)
        whole = SKELETON in about and path.stat().st_size == _LENGTH.size + length + end
    except (OSError, struct.error, ValueError, TypeError, AttributeError, LookupError):
        return Checkpoint(path, version, whole=False)
    return Checkpoint(path, version, whole)


def list_checkpoints(folder: Path) -> list[Checkpoint]:
    """The checkpoints of a folder, the newest last; of two of one version the one that was named
    later."""
    found = [read_checkpoint(path) for path in folder.glob(f"*{SUFFIX}")]
    return sorted(found, key=lambda checkpoint: (checkpoint.version, checkpoint.path.name))


def newest_whole(folder: Path) -> tuple[Checkpoint | None, tuple[Path, ...]]:
    """The checkpoint to begin with, and the newer ones that are not whole, the newest first."""
    skipped: list[Path] = []
    for checkpoint in reversed(list_checkpoints(folder)):
        if checkpoint.whole:
            return checkpoint, tuple(skipped)
        skipped.append(checkpoint.path)
    return None, tuple(skipped)


def remove_older(folder: Path, keep: int) -> None:
    """Removes what is older than the `keep` newest whole checkpoints; what isn't whole counts for
    nothing."""
    found = list_checkpoints(folder)
    kept = [checkpoint for checkpoint in found if checkpoint.whole][-keep:]
    for checkpoint in found:
        if kept and checkpoint == kept[0]:
            break
        checkpoint.path.unlink()

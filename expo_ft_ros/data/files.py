"""Files that are there whole or not at all, also after a loss of power."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_REMEDIES = {
    errno.ENOSPC: "free some room on that disk, then go on with the run by resume:=",
    errno.EDQUOT: "free some of your quota on that disk, then go on with the run by resume:=",
    errno.EROFS: "the disk is read-only: mount it anew, or write elsewhere",
    errno.EACCES: "give yourself the right to it, or write elsewhere",
    errno.EPERM: "give yourself the right to it, or write elsewhere",
    errno.EMFILE: "raise the limit of open files: ulimit -n",
}


def write_atomically(path: Path, content: Mapping[str, Any], *, durable: bool = True) -> None:
    """JSON, in place of what the file held. durable: waits for the disk, which a loss of power
    takes; else only who reads it never finds a part."""
    partial = path.with_suffix(".partial")
    with partial.open("w") as file:
        json.dump(content, file, indent=1)
    if durable:
        put_in_place(partial, path)
    else:
        partial.replace(path)


def explain(error: OSError) -> str:
    """What an error of the operating system is about, in one line: place, cause, remedy."""
    place = error.filename or "a file"
    remedy = _REMEDIES.get(error.errno or 0)
    return f"{place}: {error.strerror or error}" + (f" ({remedy})" if remedy else "")


def put_in_place(partial: Path, path: Path) -> None:
    """Gives a written file its name, once the disk has all of it; the name is on the disk, too."""
    with partial.open("rb") as file:
        os.fsync(file.fileno())
    partial.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Waits until the disk has a folder's names: else a new file may be gone after a loss of
    power, though its content was written."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

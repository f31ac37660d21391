# SPDX-License-Identifier: Apache-2.0
"""Files that are there whole or not at all, also after a loss of power."""

from __future__ import annotations

import contextlib
import errno
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

_REMEDIES = {
    errno.ENOSPC: "free some room on that disk, then go on with the run by resume:=",
    errno.EDQUOT: "free some of your quota on that disk, then go on with the run by resume:=",
    errno.EFBIG: "raise the limit of a file's size: ulimit -f",
    errno.EROFS: "the disk is read-only: mount it anew, or write elsewhere",
    errno.EACCES: "give yourself the right to it, or write elsewhere",
    errno.EPERM: "give yourself the right to it, or write elsewhere",
    errno.EMFILE: "raise the limit of open files: ulimit -n",
}


class DiskError(OSError):
    """A file that can't be written; str() names it, the cause and the remedy, in one line."""

    def __str__(self) -> str:
        return explain(self)


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """What the system says while `path` is written is raised as a DiskError that names it: most of
    its errors, a full disk's among them, don't."""
    try:
        yield
    except DiskError:
        raise
    except OSError as error:
        # Libraries put words of their own around the system's.
        cause = os.strerror(error.errno) if error.errno else str(error)
        raise DiskError(error.errno or 0, cause, str(path)) from error


def write_atomically(path: Path, content: Mapping[str, Any], *, durable: bool = True) -> None:
    """JSON, in place of what the file held.

    Args:
        path: The file.
        content: What it is to hold.
        durable: Whether to wait for the disk, which a loss of power takes; else only who reads it
            never finds a part.

    Raises:
        DiskError: where it can't be written; the file is as it was.
    """
    partial = path.with_suffix(".partial")
    with replacing(partial, path, durable=durable), partial.open("w") as file:
        json.dump(content, file, indent=1)


@contextlib.contextmanager
def replacing(partial: Path, path: Path, *, durable: bool = True) -> Iterator[None]:
    """Gives what is written to `partial` within its name `path`.

    Args:
        partial: Where it is written, beside `path`; gone where that fails.
        path: The file.
        durable: Whether to wait until the disk has content and name.

    Raises:
        DiskError: where it can't be written; the file is as it was.
    """
    with writing(path):
        try:
            yield
            if durable:
                put_in_place(partial, path)
            else:
                partial.replace(path)
        except BaseException:
            # It would fill the disk further.
            partial.unlink(missing_ok=True)
            raise


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

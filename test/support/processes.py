# SPDX-License-Identifier: Apache-2.0
"""What runs on this machine, as a test needs to know it: by a word of its command line."""

import os
from collections.abc import Iterator
from pathlib import Path


def processes_naming(word: str) -> dict[int, str]:
    """Process id -> command line of every live process that names the word, but for this one."""
    return {
        pid: command
        for pid, command in _commands()
        if word in command and pid != os.getpid() and is_alive(pid)
    }


def is_alive(pid: int) -> bool:
    """Whether it runs; one that nobody has reaped yet does not."""
    fields = _stat(pid)
    return bool(fields) and fields[0] != "Z"


def parent_of(pid: int) -> int:
    """Process id of its parent; 0 where it is gone."""
    fields = _stat(pid)
    return int(fields[1]) if fields else 0


def _commands() -> Iterator[tuple[int, str]]:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes()
        except OSError:  # gone meanwhile
            continue
        yield int(path.parent.name), command.replace(b"\0", b" ").decode(errors="replace")


def _stat(pid: int) -> list[str]:
    """The fields of /proc/<pid>/stat after the command's name: state, parent, ..."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return []

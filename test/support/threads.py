# SPDX-License-Identifier: Apache-2.0
"""What the kernel keeps for the threads of a process."""

from __future__ import annotations

import ctypes
import platform
import struct
from pathlib import Path
from typing import NamedTuple

import pytest

_SCHED_GETATTR = {"x86_64": 315, "aarch64": 275}.get(platform.machine())


class Scheduling(NamedTuple):
    """Of a thread; slice_ns is the kernel's own where nobody has asked for another."""

    thread: str
    policy: int
    nice: int
    slice_ns: int


def scheduling_of(pid: int) -> list[Scheduling]:
    """That of each thread of the process; skips the test where it can't be asked."""
    if _SCHED_GETATTR is None:
        pytest.skip("sched_getattr's number isn't known here")
    found: list[Scheduling] = []
    for thread in Path(f"/proc/{pid}/task").iterdir():
        buffer = ctypes.create_string_buffer(48)
        if ctypes.CDLL(None).syscall(_SCHED_GETATTR, int(thread.name), buffer, 48, 0) != 0:
            pytest.skip("this machine refuses sched_getattr")
        # struct sched_attr: size, policy, flags, nice, priority, runtime, deadline, period.
        _, policy, _, nice, _, runtime, _, _ = struct.unpack("<IIQiIQQQ", buffer.raw)
        name = (thread / "comm").read_text().strip()
        found.append(Scheduling(name, policy, nice, runtime))
    return found

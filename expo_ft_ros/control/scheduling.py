"""How soon the kernel lets a process run that has just been woken."""

from __future__ import annotations

import ctypes
import os
import platform

SHORT_SLICE = 100_000
"""The shortest slice that the kernel grants [ns]."""

SINCE = (6, 12)
"""The first Linux that keeps it."""

# sched_setattr(2), of which glibc has had a function since 2.41 only.
_SYSCALL = {"x86_64": 314, "aarch64": 274}


class _Attributes(ctypes.Structure):
    """struct sched_attr, its first version: 48 bytes."""

    _fields_ = (
        ("size", ctypes.c_uint32),
        ("sched_policy", ctypes.c_uint32),
        ("sched_flags", ctypes.c_uint64),
        ("sched_nice", ctypes.c_int32),
        ("sched_priority", ctypes.c_uint32),
        ("sched_runtime", ctypes.c_uint64),
        ("sched_deadline", ctypes.c_uint64),
        ("sched_period", ctypes.c_uint64),
    )


def wake_early() -> bool:
    """Asks for the shortest slice for the calling thread and those it will start, so that on being
    woken it takes the place of whoever computes there; whether the kernel took it.

    It runs no more often or longer for that, so it needs no privilege. Linux before `SINCE` takes
    it and does nothing.
    """
    number = _SYSCALL.get(platform.machine())
    if number is None or os.sched_getscheduler(0) != os.SCHED_OTHER:
        return False
    attributes = _Attributes(
        size=ctypes.sizeof(_Attributes),
        sched_nice=os.getpriority(os.PRIO_PROCESS, 0),
        sched_runtime=SHORT_SLICE,
    )
    done: int = ctypes.CDLL(None).syscall(number, 0, ctypes.byref(attributes), 0)
    return done == 0

# SPDX-License-Identifier: Apache-2.0
"""How soon the kernel lets a thread run that has just been woken."""

from __future__ import annotations

import ctypes
import os
import platform
import threading

SHORT_SLICE = 100_000
"""The shortest slice that the kernel grants [ns]."""

SINCE = (6, 12)
"""The first Linux that keeps it."""

TICK_PRIORITY, DEVICE_PRIORITY = 2, 1
"""Real-time priorities of the control loop and of the operator's way to it: below all that a
robot's driver asks for (ros2_control: 50, libfranka: 99)."""

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


def set_short_slice() -> bool:
    """Asks for the shortest slice for the calling thread and those it will start, so that on being
    woken it takes the place of the thread that computes there; whether the kernel took it.

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


def set_fifo_priority(priority: int = DEVICE_PRIORITY) -> bool:
    """Has the calling thread, and those it will start, come before all without a real-time
    priority (SCHED_FIFO); whether it may, which takes CAP_SYS_NICE or a limit on `rtprio`.

    Not for a thread that computes for long: the others on its core wait.
    """
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(priority))
    except OSError:  # Not allowed, or a sandbox's kernel that doesn't know it.
        return False
    return True


def may_set_fifo_priority() -> bool:
    """Whether the tick would be granted what it asks of `set_fifo_priority`; changes nothing for
    the calling thread."""
    answers: list[bool] = []
    thread = threading.Thread(target=lambda: answers.append(set_fifo_priority(TICK_PRIORITY)))
    thread.start()
    thread.join()
    return answers[0]

# SPDX-License-Identifier: Apache-2.0
"""The slice that the kernel keeps for a node's threads, asked of the kernel."""

import ctypes
import errno
import os
import platform
import subprocess
import sys
import threading

import pytest

from expo_ft_ros.control.thread_priority import (
    DEVICE_PRIORITY,
    SHORT_SLICE,
    SINCE,
    may_set_fifo_priority,
    set_fifo_priority,
)
from support.threads import scheduling_of

_TAKES = """
import os, sys, threading
from expo_ft_ros.control.thread_priority import set_short_slice

os.nice(int(sys.argv[1]))
taken = set_short_slice()
threading.Thread(target=threading.Event().wait, daemon=True).start()
print(taken, flush=True)
sys.stdin.read()
"""


def _kernel() -> tuple[int, ...]:
    return tuple(int(part) for part in platform.release().split("-")[0].split(".")[:2])


@pytest.mark.process
@pytest.mark.parametrize("nice", [0, 5])
def test_threads_have_the_short_slice_and_the_same_niceness(nice):
    own = os.getpriority(os.PRIO_PROCESS, 0)
    command = [sys.executable, "-c", _TAKES, str(nice)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        if process.stdout.readline() != b"True\n":
            pytest.skip("this machine refuses sched_setattr")
        threads = scheduling_of(process.pid)
        process.stdin.close()
    assert len(threads) >= 2
    for thread in threads:
        assert (thread.policy, thread.nice) == (os.SCHED_OTHER, min(19, own + nice))
        if _kernel() >= SINCE:
            assert thread.slice_ns == SHORT_SLICE


def test_the_structure_is_the_first_version_of_the_kernels():
    from expo_ft_ros.control.thread_priority import _Attributes

    assert ctypes.sizeof(_Attributes) == 48
    assert _Attributes.sched_runtime.offset == 24


def test_a_thread_comes_first_and_no_other_does():
    """In a thread of its own: what one was given it could not give back without a privilege."""
    seen = []

    def first() -> None:
        seen.append(set_fifo_priority())
        seen.append((os.sched_getscheduler(0), os.sched_getparam(0).sched_priority))

    before = os.sched_getscheduler(0)
    thread = threading.Thread(target=first)
    thread.start()
    thread.join()
    granted, got = seen
    assert granted == may_set_fifo_priority()
    assert got == ((os.SCHED_FIFO, DEVICE_PRIORITY) if granted else (before, 0))
    assert os.sched_getscheduler(0) == before


@pytest.mark.parametrize("error", [errno.EPERM, errno.EINVAL, errno.ENOSYS])
def test_who_may_not_come_first_is_told_so(monkeypatch, error):
    def refuse(*_):
        raise OSError(error, "refused")

    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    assert not set_fifo_priority()
    assert not may_set_fifo_priority()

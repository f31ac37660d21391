"""The slice that the kernel keeps for a node's threads, asked of the kernel."""

import ctypes
import errno
import json
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

# sched_getattr(2) on this process's threads; its 48 bytes: size, policy, flags, nice, priority,
# runtime, deadline, period.
_ASK = """
import ctypes, json, os, platform, struct, sys, threading
from expo_ft_ros.control.thread_priority import set_short_slice

os.nice(int(sys.argv[1]))
taken = set_short_slice()
started = threading.Event()
threading.Thread(target=started.wait, daemon=True).start()
number = {"x86_64": 315, "aarch64": 275}[platform.machine()]
rows = []
for thread in os.listdir("/proc/self/task"):
    buffer = ctypes.create_string_buffer(48)
    ctypes.CDLL(None).syscall(number, int(thread), buffer, 48, 0)
    rows.append(struct.unpack("<IIQiIQQQ", buffer.raw))
print(json.dumps({"taken": taken, "rows": rows}))
"""


def _kernel() -> tuple[int, ...]:
    return tuple(int(part) for part in platform.release().split("-")[0].split(".")[:2])


@pytest.mark.process
@pytest.mark.skipif(
    platform.machine() not in ("x86_64", "aarch64"), reason="sched_setattr's number isn't known"
)
@pytest.mark.parametrize("nice", [0, 5])
def test_threads_have_the_short_slice_and_the_same_niceness(nice):
    own = os.getpriority(os.PRIO_PROCESS, 0)
    done = subprocess.run(
        [sys.executable, "-c", _ASK, str(nice)], capture_output=True, text=True, check=True
    )
    answer = json.loads(done.stdout.splitlines()[-1])
    if not answer["taken"]:
        pytest.skip("this machine refuses sched_setattr")
    assert len(answer["rows"]) >= 2
    for _, policy, _, niceness, _, runtime, _, _ in answer["rows"]:
        assert (policy, niceness) == (0, min(19, own + nice))
        if _kernel() >= SINCE:
            assert runtime == SHORT_SLICE


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

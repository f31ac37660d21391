# SPDX-License-Identifier: Apache-2.0
"""No process of a graph outlives who started it, however that one ends."""

from __future__ import annotations

import ctypes
import os
import signal

PARENT_PID_VARIABLE = "EXPO_FT_PARENT_PID"
"""Tells a process whose death it must not outlive."""

_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Asks the kernel for SIGTERM when the runner that started this process dies.

    Raises:
        RuntimeError: when it is gone already.
    """
    parent = os.environ.get(PARENT_PID_VARIABLE)
    if not parent:
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != int(parent):
        raise RuntimeError(
            f"the process that started this one ({PARENT_PID_VARIABLE}={parent}) is gone; "
            f"unset {PARENT_PID_VARIABLE} to start a node by hand"
        )

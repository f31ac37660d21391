# SPDX-License-Identifier: Apache-2.0
"""What the commands share that serve something until they are interrupted, or show it."""

from __future__ import annotations

import os
import signal
import sys
import threading
import webbrowser

from expo_ft_ros.parent_process import PARENT_PID_VARIABLE

LOCAL_HOST = "127.0.0.1"
"""Where a command listens unless it is told otherwise: nobody else can reach it."""

_LOOK = 1.0  # for a parent that is gone [s]


def show(url: str) -> None:
    """Opens an address in a browser, where somebody sits at a screen."""
    if sys.stdout.isatty() and any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY"))):
        webbrowser.open(url)


def until_interrupted(said: str, url: str = "") -> None:
    """Says that it serves, once Ctrl-C and SIGTERM end it, and waits for one of them, also where a
    shell that started it in the background has it ignore Ctrl-C; and for the end of a process
    that this one must not outlive.

    Args:
        said: In these words.
        url: What is shown to somebody at a screen; "" for nothing.
    """
    ends = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ends.set())
    print(said, flush=True)
    if url:
        show(url)
    parent = os.environ.get(PARENT_PID_VARIABLE)
    while not ends.wait(_LOOK if parent else None) and os.getppid() == int(parent or 0):
        pass

# SPDX-License-Identifier: Apache-2.0
"""The terminal that the operator sits at, read key by key."""

from __future__ import annotations

import contextlib
import os
import select
import sys
import termios

from expo_ft_ros.configuration import ConfigError

_MOST = 4096
_NO_KEY = b"\0"  # _POSIX_VDISABLE of Linux


def require_terminal() -> None:
    """Checks that standard input is a terminal.

    Raises:
        ConfigError: when it isn't; says how to have one.
    """
    if sys.stdin is None or not sys.stdin.isatty():
        raise ConfigError(
            "standard input is no terminal, so there are no keys to read "
            "(run ./expo-ft keyboard in a terminal of its own; with ssh or docker take -t)"
        )


class Terminal:
    """Standard input without line editing and echo, until `close`. Ctrl-C stays a signal.

    Raises ConfigError where it is no terminal.
    """

    def __init__(self) -> None:
        require_terminal()
        self._file = sys.stdin.fileno()
        self._before = termios.tcgetattr(self._file)
        mode = termios.tcgetattr(self._file)
        mode[0] &= ~termios.IXON  # Ctrl-S would hold up what writes to it.
        mode[3] &= ~(termios.ICANON | termios.ECHO | termios.IEXTEN)
        keys = mode[6]
        keys[termios.VMIN], keys[termios.VTIME] = 1, 0
        # Both would leave the terminal as it is now: Ctrl-Z, Ctrl-\.
        keys[termios.VSUSP] = keys[termios.VQUIT] = _NO_KEY
        # What was typed before is nobody's word.
        termios.tcsetattr(self._file, termios.TCSAFLUSH, mode)

    def read(self) -> bytes | None:
        """What was typed since the last call; None: the terminal is gone. Never waits."""
        if not select.select([self._file], [], [], 0)[0]:
            return b""
        try:
            return os.read(self._file, _MOST) or None
        except OSError:
            return None

    def close(self) -> None:
        """As it was before, without what is still unread; a terminal that is gone is let be."""
        with contextlib.suppress(termios.error):
            termios.tcsetattr(self._file, termios.TCSANOW, self._before)
            termios.tcflush(self._file, termios.TCIFLUSH)

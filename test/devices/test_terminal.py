# SPDX-License-Identifier: Apache-2.0
"""The terminal, on both ends of a pseudo-terminal."""

from __future__ import annotations

import os
import pty
import select
import sys
import termios
from collections.abc import Iterator

import pytest

from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.devices.terminal import Terminal


@pytest.fixture
def outside(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The operator's end; the other one is standard input."""
    outside, inside = pty.openpty()
    with os.fdopen(inside) as stream:
        monkeypatch.setattr("sys.stdin", stream)
        yield outside
    if is_open(outside):
        os.close(outside)


def is_open(file: int) -> bool:
    try:
        os.fstat(file)
    except OSError:
        return False
    return True


def typed(outside: int, keys: bytes) -> None:
    """Types, and waits until that has come: the kernel takes it from end to end when it likes."""
    os.write(outside, keys)
    assert select.select([sys.stdin], [], [], 10)[0]


def test_keys_come_at_once_and_none_is_a_signal_but_ctrl_c(outside):
    before = termios.tcgetattr(outside)
    terminal = Terminal()
    assert terminal.read() == b""
    keys = b"w\x1b[A\x1a\x1c\x13\x16\x04\x7f\xc3\xb6"
    typed(outside, keys)
    assert terminal.read() == keys
    assert terminal.read() == b""
    modes = termios.tcgetattr(outside)
    assert modes[3] & termios.ISIG
    assert modes[6][termios.VINTR] == b"\x03"
    terminal.close()
    assert termios.tcgetattr(outside) == before


def test_it_hands_over_neither_what_was_typed_before_nor_after(outside):
    typed(outside, b"w\n")
    terminal = Terminal()
    assert terminal.read() == b""
    typed(outside, b"wwww\n")
    terminal.close()
    again = Terminal()
    assert again.read() == b""
    again.close()


def test_a_terminal_that_is_gone_says_so_and_can_be_closed(outside):
    terminal = Terminal()
    os.close(outside)
    assert terminal.read() is None
    assert terminal.read() is None
    terminal.close()
    terminal.close()


def test_no_terminal_is_an_error_with_a_remedy(monkeypatch):
    with open(os.devnull) as nothing:
        for stream in (nothing, None):
            monkeypatch.setattr("sys.stdin", stream)
            with pytest.raises(ConfigError, match=r"run \./expo-ft keyboard in a terminal"):
                Terminal()

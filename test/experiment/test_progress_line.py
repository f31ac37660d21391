# SPDX-License-Identifier: Apache-2.0
"""How far something is: a bar in a terminal, a line now and then elsewhere."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from expo_ft_ros.experiment.progress_line import EVERY, FIRST_AFTER, ProgressLine, counted


def console(*, terminal: bool) -> tuple[Console, io.StringIO]:
    stream = io.StringIO()
    return Console(file=stream, force_terminal=terminal, width=80), stream


@pytest.mark.parametrize("terminal", [True, False])
def test_a_terminal_shows_how_far_it_is(terminal):
    made, stream = console(terminal=terminal)
    with counted(range(3), "frames", made) as steps:
        assert list(steps) == [0, 1, 2]
    assert ("frames" in stream.getvalue()) is terminal
    assert ("100%" in stream.getvalue()) is terminal


def test_elsewhere_what_is_quick_says_nothing_and_what_is_slow_a_line_now_and_then():
    made, stream = console(terminal=False)
    now = 0.0
    with ProgressLine("episodes", made, lambda: now) as line:
        for done in range(1, 101):
            now = 0.1 * done
            line.tell(done, 100)
    said = stream.getvalue().splitlines()
    assert said == ["episodes: 20 of 100", "episodes: 70 of 100"]
    assert (FIRST_AFTER, EVERY) == (2.0, 5.0)


def test_what_fails_leaves_no_bar_behind_and_is_raised():
    made, stream = console(terminal=True)

    def fail() -> None:
        with counted([1, 2], "episodes", made) as items:
            for item in items:
                raise ValueError(f"broken {item}")

    with pytest.raises(ValueError, match="broken 1"):
        fail()
    # The cursor is shown again, and the bar's line is empty.
    assert stream.getvalue().endswith("\x1b[2K") or "\x1b[?25h" in stream.getvalue()


def test_nothing_to_count_is_no_mistake():
    made, _ = console(terminal=True)
    with counted([], "episodes", made) as items:
        assert list(items) == []

# SPDX-License-Identifier: Apache-2.0
"""Which comparison is played, and that only one is: without processes."""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path

import pytest

from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.dashboard.checkpoint_comparison import new_comparison
from expo_ft_ros.dashboard.comparisons import Comparisons
from expo_ft_ros.dashboard.helpers import Helpers
from support.dashboards import dashboard, words_of

pytest.importorskip("expo_ft_ros.msg", reason="the messages are not built")


class Played(Helpers):
    """Plays nothing; a thread that asks what is played waits a little for another that asks."""

    def __init__(self) -> None:
        super().__init__()
        self.begun: list[str] = []
        self._asking = threading.Barrier(2)

    def named(self, prefix: str) -> list[str]:
        found = list(self.begun)
        with contextlib.suppress(threading.BrokenBarrierError):
            self._asking.wait(0.3)
        return found

    def start(self, name, module, words, nice):
        self.begun.append(name)

    def end(self, name):
        self.begun.remove(name)


@pytest.fixture
def names(tmp_path, monkeypatch) -> list[str]:
    """Of two comparisons that wait to be gone on with."""
    monkeypatch.setenv("EXPO_FT_RUNS", str(tmp_path / "runs"))
    files = [Path("/a/checkpoints/1"), Path("/b/checkpoints/1")]
    return [new_comparison(files, 2, "agent")[0].stem for _ in range(2)]


def test_two_that_are_asked_for_at_once_are_not_both_played(names):
    helpers = Played()
    comparisons = Comparisons(helpers)
    refused: list[str] = []

    def go_on(name: str) -> None:
        try:
            comparisons.go_on(name)
        except ConfigError as error:
            refused.append(str(error))

    asking = [threading.Thread(target=go_on, args=[name]) for name in names]
    for each in asking:
        each.start()
    for each in asking:
        each.join()
    assert len(helpers.begun) == 1
    (said,) = refused
    assert "one at a time" in said
    # What is played is gone on with already.
    comparisons.go_on(helpers.begun[0].removeprefix("comparison "))
    assert len(helpers.begun) == 1


def test_the_page_says_why_it_does_not_go_on(names, tmp_path, monkeypatch):
    first, second = names
    monkeypatch.setattr(Helpers, "named", lambda self, prefix: [f"comparison {first}"])
    with dashboard(tmp_path) as asking:
        answer = asking.post(f"/comparisons/{second}/resume")
        assert answer.status_code == 422
        assert f"{first} is being played" in words_of(answer.text)
        assert "Go on</button>" in answer.text
        assert asking.post(f"/comparisons/{first}/resume").status_code == 200

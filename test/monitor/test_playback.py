# SPDX-License-Identifier: Apache-2.0
"""What a page may ask of the player of recorded episodes, and what it is told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.sync.client import ClientConnection, connect

pytest.importorskip("rclpy", reason="ROS 2's rclpy is not installed")
pytest.importorskip("expo_ft_ros.msg", reason="the messages are not built")

from expo_ft_ros.data.types import Source
from expo_ft_ros.experiment.operator_word import words_of
from expo_ft_ros.experiment.run_folder import lock_folder
from expo_ft_ros.monitor.console import Console
from expo_ft_ros.monitor.controls_page import BUTTONS
from expo_ft_ros.monitor.episodes_page import SOCKET
from expo_ft_ros.monitor.playback import Recordings
from expo_ft_ros.recording.episode_store import UNCOUNTED, set_aside
from expo_ft_ros.robots import load_robot
from expo_ft_ros.tasks import load_task
from expo_ft_ros.tasks.classifiers import make_classifier
from support.episodes import VIEWS
from support.recordings import record
from support.runs import make_run

HELPED = [Source.POLICY, Source.HUMAN, Source.HUMAN]
LONG = 60.0


@pytest.fixture
def run(tmp_path) -> Path:
    """Two episodes that are counted; of the second's number another was set aside."""
    run = make_run(tmp_path / "run")
    folder = run / "episodes"
    record(folder, 1, [Source.HUMAN] * 3, stage="collect")
    set_aside(record(folder, 2, [Source.POLICY] * 3), UNCOUNTED)
    record(folder, 2, HELPED)
    (run / "progress.json").write_text('{"session": {"episode": 3}}')
    return run


class Page:
    """A page of the console of a run. told: the newest of each value."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection, self.told = connection, {}
        self.until(lambda told: len(told.get("rows", ())) == 3)

    def say(self, **what: object) -> None:
        self._connection.send(json.dumps(what))

    def until(self, holds) -> None:
        while not holds(self.told):
            self.told |= json.loads(self._connection.recv(timeout=LONG))

    def reads(self, words: str) -> None:
        self.until(lambda told: words in told.get("reply", ""))


@pytest.fixture
def page(run) -> Iterator[Page]:
    console = Console(
        dict.fromkeys(BUTTONS, str),
        load_task("cube_pick"),
        load_robot("sim").limits,
        VIEWS,
        port=0,
        recordings=Recordings(run / "episodes", words_of(run)),
        classifier=make_classifier(load_task("cube_pick")),
    )
    with connect(f"ws{console.url.removeprefix('http').rstrip('/')}{SOCKET}") as connection:
        yield Page(connection)
    console.close()


def test_the_table_has_every_file_with_what_became_of_it(page):
    said = [(row["file"], row["outcome"], round(row["human"], 2)) for row in page.told["rows"]]
    newest, aside, oldest = said
    assert newest == ("000002", "success", 0.67)
    assert aside == ("000002.uncounted", "uncounted", 0.0)
    assert oldest == ("000001", "success", 1.0)


def test_a_word_is_on_the_file_that_was_meant_not_on_another_of_its_number(page, run):
    before = sorted(path.name for path in (run / "episodes").iterdir())
    for word in ("success", "failure", "discard", "restore"):
        page.say(word=word, file="000002.uncounted")
        page.reads("000002.uncounted: set aside as uncounted")
        page.say(open="")
        page.until(lambda told: not told["reply"])
    assert sorted(path.name for path in (run / "episodes").iterdir()) == before


def test_of_a_run_that_goes_on_nothing_is_relabelled(page, run):
    with lock_folder(run):
        for word in ("failure", "discard"):
            page.say(word=word, file="000002")
            page.reads("is running, and has learned from it already (stop it first)")
            page.say(open="")
            page.until(lambda told: not told["reply"])
    page.say(word="failure", file="000002")
    page.reads("000002.mcap is a failure now")
    page.until(lambda told: told["rows"][0]["outcome"] == "failure")
    assert page.told["rows"][0]["relabelled"]


def test_what_means_nothing_is_left_out(page):
    for what in (
        {"step": 3},
        {"play": True},
        {"word": "remove", "file": "000002"},
        {"open": 2},
        {"open": "../../etc/passwd"},
        {"word": "discard", "file": "../000002"},
        {},
    ):
        page.say(**what)
    page.say(open="000001")
    page.until(lambda told: told.get("episode"))
    assert (page.told["episode"]["steps"], page.told["episode"]["file"]) == (3, "000001")
    page.say(step=99)
    page.until(lambda told: told["frame"] and told["frame"]["step"] == 3)
    assert len(page.told["frame"]["images"]) == len(VIEWS)
    assert len(page.told["rows"]) == 3

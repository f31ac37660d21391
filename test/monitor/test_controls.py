# SPDX-License-Identifier: Apache-2.0
"""What the buttons' pages are told, and what comes of what they ask: without a browser."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from websockets.sync.client import ClientConnection, connect

from expo_ft_ros.control.arbiter import DEVICE_LOST
from expo_ft_ros.control.episode_machine import EpisodeSnapshot, State
from expo_ft_ros.data.types import Source
from expo_ft_ros.monitor.auth_proxy import AuthProxy
from expo_ft_ros.monitor.controls import Controls, NotDone, said_of
from expo_ft_ros.monitor.controls_page import BUTTONS, SOCKET, page
from expo_ft_ros.monitor.view import Diagnostic, LearningView, Level, SessionView, View
from support.views import make_view

HOSTILE = '{"button": ["estop"], "beat": Infinity, "episode": 0, "stop": 0}'


class Served:
    """Controls behind a gate; what each button answers is in `answers`."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.answers: dict[str, object] = {}
        self.controls = Controls({name: self._action(name) for name in BUTTONS})
        self.gate = AuthProxy({"/": page("a <title>")}, {SOCKET: self.controls.talk})

    def _action(self, name: str):
        def call() -> str:
            self.calls.append(name)
            answer = self.answers.get(name, "taken")
            return answer() if callable(answer) else answer

        return call

    def close(self) -> None:
        self.gate.close()
        self.controls.close()

    def show(self, episode: int, state: str = "running") -> None:
        self.controls.episode = episode
        snapshot = EpisodeSnapshot(episode, state, "rl")
        self.controls.show(replace(make_view(), episode=snapshot))


class Page:
    """One that is open: what it has been told, and what it presses."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.told = json.loads(socket.recv(timeout=60))

    def press(self, button: str, **otherwise: object) -> None:
        heard = {name: self.told[name] for name in ("beat", "episode", "stop")}
        self.socket.send(json.dumps({"button": button, **heard, **otherwise}))

    def until(self, key: str, words: str) -> None:
        while words not in str(self.told[key]):
            self.told |= json.loads(self.socket.recv(timeout=60))


@pytest.fixture
def served() -> Iterator[Served]:
    made = Served()
    yield made
    made.close()


@contextlib.contextmanager
def open_page(served: Served) -> Iterator[Page]:
    address = f"ws://127.0.0.1:{served.gate.port}{SOCKET}"
    with connect(address, proxy=None) as socket:
        yield Page(socket)


def test_every_page_is_told_the_same(served):
    served.show(3)
    with open_page(served) as one, open_page(served) as other:
        assert "episode 3" in one.told["state"]
        served.show(4, "stopped")
        for each in (one, other):
            each.until("state", "episode 4")
            assert "release" not in each.told["idle"]
        one.press("release")
        for each in (one, other):
            each.until("reply", "Release: taken")
    assert served.calls == ["release"]


EPISODE = {"success", "failure", "reset"}
HELD = {"driver": Source.HOLD}


def test_a_button_that_would_do_nothing_is_told_with_why(served):
    lost = Diagnostic(Level.ERROR, "teleop", DEVICE_LOST)
    paused = EpisodeSnapshot(3, "paused", paused=True)
    for changes, means in (
        ({}, {*EPISODE, "pause"}),
        ({"episode": paused}, {*EPISODE, "resume"}),
        ({"episode": replace(paused, state="ended")}, {"resume"}),
        (
            {"episode": replace(paused, state="stopped", asked="look")},
            {"success", "failure", "resume", "release"},
        ),
        ({"episode": replace(paused, state="stopped", discarded=True)}, {"resume", "release"}),
        (
            {"episode": replace(paused, state="stopped", discarded=True), "fault": "reflex"},
            {"resume", "recover", "release"},
        ),
        ({"episode": EpisodeSnapshot(3, "resetting", asked="look")}, {"reset", "pause"}),
        (HELD | {"cause": DEVICE_LOST}, {*EPISODE, "pause", "acknowledge"}),
        (HELD | {"diagnostics": (lost,)}, {*EPISODE, "pause", "acknowledge"}),
    ):
        served.controls.show(make_view(**changes))
        with open_page(served) as each:
            idle = each.told["idle"]
            assert {*BUTTONS} - {*idle} == means | {"estop", "save_checkpoint"}
            assert all(idle.values())
    served.controls.show(make_view(session=SessionView(stage="collect")))
    with open_page(served) as each:
        assert "redo" not in each.told["idle"]
    first = EpisodeSnapshot(1, "running", "collect")
    served.controls.show(make_view(session=SessionView(stage="collect"), episode=first))
    with open_page(served) as each:
        assert each.told["idle"]["redo"] == "no demonstration yet"
    served.controls.show(make_view(learning=LearningView()))
    with open_page(served) as each:
        assert each.told["idle"]["save_checkpoint"] == "nothing learns here"


def test_an_answer_is_forgotten_when_it_is_no_news_any_more(served, monkeypatch):
    monkeypatch.setattr("expo_ft_ros.monitor.controls._OLD", 0.2)
    served.show(3)
    with open_page(served) as each:
        each.press("pause")
        each.until("reply", "Pause: taken")
        while each.told["reply"]:
            each.told |= json.loads(each.socket.recv(timeout=60))


def test_the_last_word_has_been_told_before_the_end(served):
    served.show(3)
    with open_page(served) as one, open_page(served) as other:
        served.controls.show_last(replace(make_view(), result="27 of 30 successes"))
        served.close()
        for each in (one, other):
            each.until("over", "True")
            assert each.told["headline"]["words"] == "FINISHED"
            assert each.told["headline"]["more"].startswith("27 of 30 successes; ")
            assert set(each.told["idle"]) == set(BUTTONS)


def test_a_verdict_on_an_episode_that_is_over_is_not_passed_on(served):
    served.show(12)
    with open_page(served) as each:
        # The next has begun, which the page doesn't know yet.
        served.controls.episode = 13
        for name in ("success", "failure", "reset"):
            each.press(name)
            each.until("reply", f"{BUTTONS[name].label}: meant for episode 12")
        each.press("pause")
        each.until("reply", "Pause: taken")
        each.press("success", episode=13)
        each.until("reply", "Success: taken")
    assert served.calls == ["pause", "success"]


def test_what_was_pressed_long_ago_is_not_obeyed_unless_it_holds_the_arm(served, monkeypatch):
    served.show(1)
    with open_page(served) as each:
        later = time.monotonic() + 60
        monkeypatch.setattr("expo_ft_ros.monitor.controls.time.monotonic", lambda: later)
        each.press("resume")
        each.until("reply", "Resume: came too late")
        each.press("estop")
        each.until("reply", "E-STOP: taken")
        each.press("pause")
        each.until("reply", "Pause: taken")
        # It goes on with the next sign of life.
        served.show(1)
        each.until("beat", "1")
        each.press("resume")
        each.until("reply", "Resume: taken")
    assert served.calls == ["estop", "pause", "resume"]


def test_a_stop_is_not_released_by_one_who_has_not_seen_it(served):
    """Two operators: one releases what the other has just stopped again."""
    served.show(3, "stopped")
    with open_page(served) as one, open_page(served) as other:
        one.until("stop", "1")
        other.press("estop")
        other.until("reply", "E-STOP: taken")
        one.press("release")
        other.until("reply", "Release: somebody has stopped the arm again meanwhile")
        one.until("reply", "Release: somebody has stopped")
        one.press("release")
        one.until("reply", "Release: taken")
    assert served.calls == ["estop", "release"]


def test_what_is_pressed_again_has_been_heard_but_each_stop_is_passed_on(served):
    answer = threading.Event()
    served.answers = dict.fromkeys(("reset", "estop"), lambda: "late" if answer.wait(10) else "")
    with open_page(served) as each:
        for name in ("reset", "reset", "estop", "estop"):
            each.press(name)
        each.press("pause")
        each.until("reply", "Pause: taken")
        answer.set()
        each.until("reply", "late")
    assert sorted(served.calls) == ["estop", "estop", "pause", "reset"]


def test_a_stop_that_failed_stays_in_sight(served):
    def nobody() -> str:
        raise NotDone("nobody offers <estop>")

    served.answers["estop"] = nobody
    with open_page(served) as each:
        each.press("estop")
        each.until("alarm", "nobody offers &lt;estop&gt;")
        each.press("pause")
        each.until("reply", "Pause: taken")
        assert "nobody offers" in each.told["alarm"]
        served.answers["estop"] = "stopped"
        each.press("estop")
        each.until("reply", "stopped")
        assert each.told["alarm"] == ""


def test_the_alarm_ends_once_the_arm_is_stopped_all_the_same(served):
    """It was obeyed late, or somebody else's was."""

    def late() -> str:
        raise NotDone("no answer (it may yet obey)")

    served.answers["estop"] = late
    served.show(3)
    with open_page(served) as each:
        each.press("estop")
        each.until("alarm", "it may yet obey")
        served.show(3, "running")
        served.show(3, "stopped")
        while each.told["alarm"]:
            each.told |= json.loads(each.socket.recv(timeout=60))


@pytest.mark.parametrize(
    "text", ["", "estop", "[]", '{"button": "estop"}', "{}", b"\x00", "1", "[" * 9999, HOSTILE]
)
def test_what_means_nothing_ends_nothing(served, text):
    with open_page(served) as each:
        each.socket.send(text)
        each.press("self-destruction")
        each.press("pause")
        each.until("reply", "Pause: taken")
    assert served.calls == ["pause"]


def test_it_can_be_shown_before_anybody_looks_and_after_it_is_closed():
    served = Served()
    served.show(7)
    with open_page(served) as each:
        assert "episode 7" in each.told["state"]
    served.gate.close()
    served.show(8)
    served.close()
    served.show(9)


def test_a_button_without_an_action_is_named():
    with pytest.raises(ValueError, match="buttons that do nothing: release"):
        Controls({name: str for name in BUTTONS if name != "release"})


def test_the_page_escapes_its_title():
    assert b"<title>a &lt;title&gt;</title>" in page("a <title>")


@pytest.mark.parametrize("state", [*State, "recorded"])
def test_that_motion_is_off_is_said_all_the_time_and_only_then(state):
    view = View(episode=EpisodeSnapshot(3, str(state), "shadow"))
    for moment in (view, replace(view, result="over"), replace(view, driver=Source.HUMAN)):
        assert said_of(moment)["motion"] == ""
        off = said_of(replace(moment, motion_off=True))
        assert off["motion"] == "MOTION OFF: the arm is commanded to stand"
    assert b'<div id="motion" role="status"></div>' in page("a")

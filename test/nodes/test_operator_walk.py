# SPDX-License-Identifier: Apache-2.0
"""The operator in the browser and at the keyboard, through a whole training that is started in the
browser, too: at each moment both pages, on a desk and on a phone, say first what is needed to go
on, in the colour of such a moment and with the button that it takes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from expo_ft_ros.experiment.run_folder import is_running, runner_of
from expo_ft_ros.monitor.controls_page import BUTTONS
from support.browser import PHONE, Visit, wait_until
from support.console_run import free_port, is_served
from support.dashboards import dashboard
from support.keyboard_seat import Seat
from support.tiny_training import SMALLEST

pytestmark = [pytest.mark.realtime, pytest.mark.slow]

_DESK = (1440, 900)
_OPTIONS = {
    "demos": "1",
    "steps": "400",
    "eval_trials": "1",
    "operator": "keyboard",
    "realtime": "true",
    "seed": "3",
    "console": "true",
}
_PICTURES = os.environ.get("EXPO_FT_PICTURES", "")
"""Folder for a picture of each moment; empty: none."""
_LISTEN = """() => {
  const bar = document.getElementById("headline"), told = window.told = [];
  const text = (part) => bar.querySelector(part).textContent;
  const note = () => {
    const next = document.querySelector("button.next");
    const press = next ? ` [${next.id}]` : "";
    const line = `${text("b")}: ${text("span")} <${bar.className}>${press}`;
    if (told[told.length - 1] !== line) told.push(line);
  };
  const seen = {subtree: true, childList: true, characterData: true, attributes: true};
  new MutationObserver(note).observe(document.body, seen);
  note();
}"""


class Pages:
    """The console on both, and what their headlines have said."""

    def __init__(self, browser: Any, url: str, spin: Callable[[float], Any]) -> None:
        self._visits = [Visit(browser, url, size, scene=bool(_PICTURES)) for size in (_DESK, PHONE)]
        self._spin = spin
        self._moment = 0
        for visit in self._visits:
            visit.page.evaluate(_LISTEN)
        self._read = [0, 0]

    def told(self, *words: str) -> bool:
        """Whether both have said it since the last moment; that moment is then this one."""
        found = [
            self._place(visit, first, words)
            for visit, first in zip(self._visits, self._read, strict=True)
        ]
        if None in found:
            return False
        self._read = [place for place in found if place is not None]
        return True

    def tell(self, *words: str, patience: float = 240.0, until: Callable[[], Any] = bool) -> None:
        """Waits for a headline with all these words, and does something meanwhile."""
        end = time.monotonic() + patience
        while not self.told(*words):
            assert time.monotonic() < end, f"no headline says {words}: {self.all_told()}"
            until()
            self._spin(0.02)
        self._moment += 1
        if _PICTURES:
            name = words[0].lower().replace(" ", "_")
            for visit, kind in zip(self._visits, ("desk", "phone"), strict=True):
                visit.page.screenshot(
                    path=str(Path(_PICTURES) / f"{self._moment:02d}_{name}_{kind}.png")
                )

    def press(self, name: str, page: int = 0) -> None:
        """A button of one of them."""
        self._visits[page].button(BUTTONS[name].label).click()

    def all_told(self) -> list[str]:
        """Of the first."""
        return list(self._visits[0].page.evaluate("window.told"))

    def close(self) -> list[str]:
        """Leaves both; gives what their own consoles said."""
        said = [line for visit in self._visits for line in visit.complaints]
        for visit in self._visits:
            visit.close()
        return said

    @staticmethod
    def _place(visit: Visit, first: int, words: tuple[str, ...]) -> int | None:
        told = visit.page.evaluate("window.told")
        places = range(first, len(told))
        return next((at for at in places if all(word in told[at] for word in words)), None)


@pytest.fixture
def seat(graph) -> Iterator[Seat]:
    made = Seat(graph, own=True)
    yield made
    made.end()


@pytest.fixture
def size(graph) -> str:
    """Of networks that learn within a test, in an imitation that is long enough to be seen."""
    text = Path(SMALLEST["size"]).read_text()
    path = graph.folder / "size.yaml"
    path.write_text(text.replace("  steps: 12\n", "  steps: 400\n"))
    return str(path)


@pytest.mark.timeout(2400)
def test_the_operator_is_told_what_matters_at_each_moment(graph, browser, seat, size, monkeypatch):
    probe = graph.probe

    def drive() -> None:
        seat.type("w")

    with training(browser, graph, size, monkeypatch) as url:
        probe.until(lambda: is_served(url), "the console", timeout=240)
        pages = Pages(browser, url, probe.spin)
        pages.tell("YOUR TURN", "demonstration 1 of 1: take over", "<turn>", patience=240)
        pages.tell("A HUMAN DRIVES", "demonstration 1 of 1", "<human>", until=drive)
        pages.press("success")
        pages.tell("IMITATING", "%", "<busy>")
        pages.tell("HANDS OFF", "trial 1 of 1", "<good>", patience=400)
        pages.tell("POLICY DRIVES", "online steps", "<good>", patience=240)
        pages.tell("A HUMAN DRIVES", "<human>", until=drive)
        pages.tell("POLICY DRIVES")
        pages.press("pause", page=1)
        pages.tell("PAUSED", "until Resume", "<paused> [resume]")
        pages.press("resume", page=1)
        pages.tell("POLICY DRIVES")
        pages.press("estop")
        pages.tell("STOPPED", "nothing moves until Release", "<bad> [release]")
        pages.press("release")
        pages.tell("POLICY DRIVES")
        pages.tell("A HUMAN DRIVES", until=drive)
        seat.hold("w", lambda: any(seat.joys[-1].axes))
        seat.shut()
        pages.tell("HELD", "the device was lost while somebody drove", "<held> [acknowledge]")
        pages.press("acknowledge")
        pages.tell("POLICY DRIVES")
        pages.tell("LEARNING", "%")
        pages.tell("HANDS OFF", "trial 1 of 1", patience=400)
        pages.tell("FINISHED", "./expo-ft report", patience=400)
        assert pages.close() == []
        (run,) = (graph.folder / "runs").glob("20*")
    look_through(browser, run)


@contextmanager
def training(browser: Any, graph: Any, size: str, monkeypatch: Any) -> Iterator[str]:
    """One that is started on the page of all runs, and ended with it; gives its console's
    address."""
    runs, port = graph.folder / "runs", free_port()
    monkeypatch.setenv("EXPO_FT_RUNS", str(runs))
    monkeypatch.setenv("ROS_DOMAIN_ID", str(graph.domain))
    with dashboard(runs) as asking:
        page = browser.new_page()
        page.goto(asking.origin)
        page.get_by_role("link", name="Start train").click()
        page.get_by_text("All other options").click()
        options = {**_OPTIONS, "size": size, "console_port": str(port)}
        for name, value in options.items():
            page.locator(f"[name={name}]").fill(value)
        page.get_by_role("button", name="Start train").click()
        page.get_by_role("link", name="Live console").wait_for()
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            page.close()
            for run in runs.glob("20*"):
                if (pid := runner_of(run)) is not None:
                    os.kill(pid, signal.SIGINT)
                wait_until(lambda run=run: not is_running(run), "the run's end")


def look_through(browser: Any, run: Path) -> None:
    """Afterwards: an online episode is chosen, played and relabelled; both see the same."""
    port = free_port()
    command = [sys.executable, "-m", "expo_ft_ros.cli", "episodes", "browse", str(run)]
    with subprocess.Popen([*command, f"port:={port}"], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline()
            for width, height in (_DESK, PHONE):
                page = browser.new_page(viewport={"width": width, "height": height})
                page.goto(f"http://127.0.0.1:{port}/episodes")
                if (width, height) == _DESK:
                    page.locator("tbody tr", has_text="rl").first.click()
                page.get_by_role("button", name="Play", exact=True).click()
                word = "success" if (width, height) == _DESK else "failure"
                page.get_by_role("button", name=word, exact=True).click()
                page.get_by_text(f"is a {word} now").wait_for()
                page.close()
        finally:
            process.terminate()

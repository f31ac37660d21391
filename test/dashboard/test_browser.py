# SPDX-License-Identifier: Apache-2.0
"""The pages of all runs in a real browser, on a desk and on a phone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from expo_ft_ros.experiment.run_folder import lock_folder
from support.browser import DESKTOP, PHONE, wait_until
from support.dashboards import Asking, dashboard
from support.runs import make_run, training

pytest.importorskip("expo_ft_ros.msg", reason="the messages are not built")

TOKEN = "sixteen-letters_0"
NAME = "2026-11-29_10-00-00_a_task_whose_name_is_as_long_as_they_come"


@pytest.fixture
def runs(tmp_path, monkeypatch) -> Path:
    folder = tmp_path / "runs"
    monkeypatch.setenv("EXPO_FT_RUNS", str(folder))
    run = make_run(folder / NAME, training(), console=True, console_port=8094)
    (run / "logs").mkdir()
    (run / "logs" / "session.log").write_text("the first line\n" + "x" * 500 + "\n")
    return folder


@pytest.fixture
def asking(runs) -> Iterator[Asking]:
    with dashboard(runs, TOKEN) as made:
        yield made


@pytest.fixture(params=[DESKTOP, PHONE], ids=["desktop", "phone"])
def page(browser, asking, request) -> Iterator[Any]:
    """Let in by the token; what the browser complains of fails the test."""
    width, height = request.param
    context = browser.new_context(viewport={"width": width, "height": height})
    made = context.new_page()
    made.set_default_timeout(120_000)
    complaints: list[str] = []
    made.on("console", lambda said: complaints.append(said.text))
    made.on("pageerror", lambda error: complaints.append(str(error)))
    made.goto(f"{asking.origin}/?token={TOKEN}")
    yield made
    context.close()
    refused = "the server responded with a status of 422"
    assert [each for each in complaints if refused not in each] == []


def test_the_operator_goes_from_the_list_to_a_run_and_stops_it(page, runs):
    with lock_folder(runs / NAME) as lock:
        # Of nobody, so that nobody is stopped.
        lock.truncate(0)
        page.reload()
        page.get_by_text("running").wait_for()
        assert not overflows(page)
        page.get_by_role("link", name=NAME).click()
        page.get_by_text("the first line").wait_for()
        with (runs / NAME / "logs" / "session.log").open("a") as log:
            log.write("what is new\n")
        page.get_by_text("what is new").wait_for()
        assert page.get_by_role("link", name="Live console").is_visible()
        assert not overflows(page)
        # The browser names the page that asks, or it would be refused.
        page.get_by_role("button", name="Stop").click()
        page.get_by_text("it isn't running").wait_for()
    # The page follows what becomes of it.
    page.get_by_role("button", name="Go on with it").wait_for()


@pytest.mark.slow
def test_what_is_refused_is_said_where_it_was_typed(page):
    page.get_by_role("link", name="Start train").click()
    assert not overflows(page)
    page.locator("[name=steps]").fill("0")
    page.get_by_role("button", name="Start train").click()
    page.get_by_text("expo-ft: steps:=0: Input should be").wait_for()
    assert page.locator("[name=steps]").input_value() == "0"
    assert not overflows(page)
    # A phone's thumb finds the button.
    wait_until(lambda: page.get_by_role("button", name="Start train").is_visible(), "the button")


def test_comparisons_fit(page):
    page.get_by_role("link", name="Compare checkpoints").click()
    page.get_by_text("On the same scenes").wait_for()
    assert not overflows(page)


def overflows(page: Any) -> bool:
    """Whether it is wider than the screen."""
    return bool(page.evaluate("document.documentElement.scrollWidth > innerWidth"))

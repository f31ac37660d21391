# SPDX-License-Identifier: Apache-2.0
"""The pages of all runs in a real browser, on a desk and on a phone."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

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


def test_the_list_changes_in_place(page, runs):
    """Who reads it by ear or has scrolled isn't thrown back to its beginning."""
    for place in range(30):
        make_run(runs / f"older_{place}", training())
    page.reload()
    link = page.get_by_role("link", name=NAME)
    link.evaluate("link => { link.isTheSame = true; link.focus(); scrollTo(0, 300); }")
    scrolled = page.evaluate("scrollY")
    new = make_run(runs / "a_new_one", training())
    started = yaml.safe_load((new / "config.yaml").read_text())
    started["started"] = "2026-11-30T10:00:00+00:00"
    (new / "config.yaml").write_text(yaml.safe_dump(started))
    with lock_folder(runs / NAME):
        page.get_by_role("link", name="a_new_one").wait_for(state="attached")
        page.get_by_text("running", exact=True).wait_for()
        assert page.evaluate("document.activeElement.isTheSame")
        assert link.evaluate("link => link.isTheSame")
        # The browser itself keeps in view what was seen, where it can.
        assert page.evaluate("scrollY") >= scrolled > 0
    shutil.rmtree(new)
    page.get_by_role("link", name="a_new_one").wait_for(state="detached")
    assert page.evaluate("document.activeElement.isTheSame")


def test_what_was_unfolded_stays_so_while_a_run_stops(page, runs):
    with lock_folder(runs / NAME) as lock:
        lock.flush()
        pid, since = os.getpid(), ""
        since = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19]
        (runs / NAME / ".stopping").write_text(json.dumps([pid, since, 0.0]))
        page.get_by_role("link", name=NAME).click()
        page.get_by_text("stopping", exact=True).wait_for()
        assert page.get_by_role("button", name="Stop", exact=True).count() == 0
        hurry = page.get_by_role("button", name="Hurry")
        assert not hurry.is_visible()
        page.get_by_text("It takes too long?").click()
        assert hurry.is_visible()
        page.get_by_text("the first line").wait_for()
        (runs / NAME / "status.json").write_text(json.dumps({"stage": "rl", "env_steps": 4321}))
        page.get_by_role("cell", name="4321").wait_for()
        # Neither what the operator has opened nor what the run has said is gone.
        assert hurry.is_visible()
        assert page.get_by_text("the first line").is_visible()
        assert not overflows(page)
    page.get_by_role("button", name="Go on with it").wait_for()
    assert hurry.count() == 0


def test_a_page_says_that_its_dashboard_is_gone(browser, asking):
    page = browser.new_page()
    page.set_default_timeout(120_000)
    page.goto(f"{asking.origin}/?token={TOKEN}")
    asking.dashboard.close()
    page.get_by_text("The dashboard doesn't answer").wait_for()
    assert page.get_by_role("link", name=NAME).is_visible()
    page.close()


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

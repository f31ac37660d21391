# SPDX-License-Identifier: Apache-2.0
"""How runs are started and stopped, with processes that stand for them."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from expo_ft_ros.dashboard.helpers import lower_priority
from expo_ft_ros.dashboard.run_control import RunControl
from support.browser import wait_until
from support.dashboards import dashboard, words_of
from support.processes import is_alive
from support.runs import make_run

pytestmark = pytest.mark.process

RUNNER = """
import os, signal, sys
from pathlib import Path
from expo_ft_ros.experiment.run_folder import lock_folder
said = iter(("asked", "hurries", "again"))
signal.signal(signal.SIGINT, lambda *_: os.write(1, next(said).encode() + b"\\n"))
lock = lock_folder(Path(sys.argv[1]))
print("holds it", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def run(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("EXPO_FT_RUNS", str(tmp_path / "runs"))
    return make_run(tmp_path / "runs" / "first")


@pytest.fixture
def runner(run) -> Iterator[subprocess.Popen[str]]:
    """Holds the run, says how often it was interrupted, and ends by a line."""
    command = [sys.executable, "-c", RUNNER, str(run)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "holds it\n"
        yield process
        process.kill()


def test_a_double_click_on_stop_hurries_nobody(run, runner, monkeypatch):
    with dashboard(run.parent) as asking:
        assert "asked to stop" in words_of(asking.post("/runs/first/stop").text)
        assert runner.stdout.readline() == "asked\n"
        again = words_of(asking.post("/runs/first/stop").text)
        assert "it is stopping already" in again
        assert "stopping" in words_of(asking.get("/").text)
        page = asking.get("/runs/first").text
        assert "Stop</button>" not in page
        # Nor does a click too many on what stands there now.
        early = words_of(asking.post("/runs/first/hurry").text)
        assert "less than 5 s ago" in early
        monkeypatch.setattr("expo_ft_ros.dashboard.run_control.HURRIES_AFTER", 0.0)
        assert "Hurry (loses what it has learned since its last checkpoint" in page
        assert "it hurries" in words_of(asking.post("/runs/first/hurry").text)
        assert runner.stdout.readline() == "hurries\n"
    runner.communicate("ends\n", timeout=60)
    assert runner.returncode == 0


def test_a_dashboard_that_is_started_anew_knows_what_an_earlier_one_has_asked(run, runner):
    control = RunControl(run.parent)
    assert "wasn't asked" in control.hurry(run)
    assert "asked to stop" in control.stop(run)
    anew = RunControl(run.parent)
    assert anew.is_stopping(run)
    assert "already" in anew.stop(run)
    runner.communicate("ends\n", timeout=60)
    assert not anew.is_stopping(run)
    assert anew.hurry(run) == anew.stop(run) == "it isn't running"


def test_what_was_asked_of_one_runner_was_not_asked_of_the_next(run, runner):
    control = RunControl(run.parent)
    control.stop(run)
    runner.communicate("ends\n", timeout=60)
    command = [sys.executable, "-c", RUNNER, str(run)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "holds it\n"
        assert not control.is_stopping(run)
        assert "asked to stop" in control.stop(run)
        assert process.stdout.readline() == "asked\n"
        process.communicate("ends\n", timeout=60)


def test_it_is_stopped_where_that_cannot_be_written_down(run, runner, monkeypatch):
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    control = RunControl(run.parent)
    monkeypatch.setattr(Path, "write_text", full)
    assert "asked to stop" in control.stop(run)
    assert "already" in control.stop(run)


@pytest.fixture
def command(tmp_path, monkeypatch) -> Callable[[str], None]:
    """Has a script be the program that a start runs."""

    def be(text: str) -> None:
        script = tmp_path / "program"
        script.write_text(f"#!/bin/sh\n{text}\n")
        script.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(script))

    return be


def test_what_says_no_folder_is_ended(tmp_path, command, monkeypatch):
    for name in ("_PATIENCE", "_GRACE"):
        monkeypatch.setattr(f"expo_ft_ros.dashboard.run_control.{name}", 0.2)
    command(f"trap '' INT TERM\necho $$ > {tmp_path}/pid\necho thinking\nsleep 600 & wait\nwait")
    started = RunControl(tmp_path / "logs").start("train", [])
    assert started.path is None
    assert started.said == "thinking"
    pid = int((tmp_path / "pid").read_text())
    wait_until(lambda: not is_alive(pid), "its end")


def test_runs_have_no_low_priority_from_who_asks_for_them(tmp_path, command):
    """A control loop isn't to wait because a page does."""
    command("nice")
    own = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    control = RunControl(tmp_path / "logs")
    said: list[str] = []

    def ask() -> None:
        lower_priority(threading.current_thread(), own + 3)
        assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == own + 3
        said.append(control.start("train", []).said)

    asking = threading.Thread(target=ask)
    asking.start()
    asking.join()
    assert said == [str(own)]
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == own

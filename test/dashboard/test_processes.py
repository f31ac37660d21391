# SPDX-License-Identifier: Apache-2.0
"""The dashboard and what it starts, with real processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from websockets.sync.client import connect

from expo_ft_ros.cli import main as cli
from expo_ft_ros.dashboard.helpers import BROWSER_NICE, REPORT_NICE, TRIALS_NICE
from expo_ft_ros.dashboard.run_control import RunControl
from expo_ft_ros.data.types import Source
from expo_ft_ros.experiment.run_folder import is_running, runs_by_start
from support.browser import wait_until
from support.console_run import free_port, is_served
from support.dashboards import PATIENCE, Asking, dashboard, words_of
from support.domains import own_domain
from support.kept_runs import kept_run
from support.processes import is_alive, processes_naming
from support.recordings import record
from support.runs import make_run, training

pytest.importorskip("rclpy", reason="ROS 2's rclpy is not installed")

pytestmark = [pytest.mark.process, pytest.mark.slow, pytest.mark.timeout(600)]

HELD = """
import signal, sys, time
from pathlib import Path
from expo_ft_ros.experiment.run_folder import lock_folder
asked = []
signal.signal(signal.SIGINT, lambda *_: asked.append(1))
lock = lock_folder(Path(sys.argv[1]))
print("holds it", flush=True)
while not asked:
    time.sleep(0.05)  # A pause would miss a signal that comes right before it.
"""


@pytest.fixture
def runs(tmp_path, monkeypatch) -> Path:
    folder = tmp_path / "runs"
    monkeypatch.setenv("EXPO_FT_RUNS", str(folder))
    return folder


@pytest.fixture
def asking(runs, at_once) -> Iterator[Asking]:
    with dashboard(runs) as made:
        yield made


@pytest.fixture
def at_once(monkeypatch) -> None:
    """On a machine whose cores are taken what has the lowest priority takes minutes."""
    monkeypatch.setattr("expo_ft_ros.dashboard.helpers.set_niceness", lambda pid, nice: None)


def until(holds, what: str) -> None:
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end, f"waited {PATIENCE:g} s for: {what}"
        time.sleep(0.1)


def the_helper(words: str) -> int:
    """The process of those words, which has the server's own, or none for an instant, before it is
    another program."""
    found: list[int] = []

    def one() -> bool:
        found[:] = processes_naming(words)
        return len(found) == 1

    until(one, words)
    return found[0]


@pytest.mark.parametrize(
    "given", [{"steps": "0"}, {"stepps": "300"}, {"task": "none"}, {"operator": "nobody"}]
)
def test_a_start_is_refused_in_the_words_of_the_command(runs, asking, capsys, given):
    answer = asking.post("/start/train", **given)
    assert answer.status_code == 422
    assert cli.main(["train", *(f"{name}:={value}" for name, value in given.items())]) == 2
    assert capsys.readouterr().err.strip() in words_of(answer.text)
    assert not list(runs.glob("*/config.yaml"))
    # What was typed is kept.
    assert all(
        f'value="{value}"' in answer.text for name, value in given.items() if name != "stepps"
    )


def test_a_run_is_started_followed_outlives_its_server_and_is_stopped(runs, monkeypatch):
    with own_domain() as domain:
        monkeypatch.setenv("ROS_DOMAIN_ID", str(domain))
        port = free_port()
        words = {"demos": "100", "console": "true", "console_port": str(port), "seed": "3"}
        with dashboard(runs) as asking:
            answer = asking.post("/start/collect", **words)
            (run,) = runs_by_start()
            assert answer.status_code == 200
            assert answer.url.path == f"/runs/{run.name}"
            try:
                assert asking.dashboard.running == [run]
                until(lambda: is_served(f"http://127.0.0.1:{port}"), "its console")
                assert "Live console" in asking.get(f"/runs/{run.name}").text
                asking.until("/", lambda words: "collecting demonstrations" in words, "its stage")
                address = f"ws://127.0.0.1:{asking.dashboard.port}/runs/{run.name}/follow"
                with connect(f"{address}?log=terminal", proxy=None) as page:
                    lines: list[str] = []
                    while not any("collecting demonstrations" in line for line in lines):
                        lines += json.loads(page.recv(timeout=PATIENCE))["lines"]
                    assert lines[0] == f"Run: {run}"
                # A server of its own domain is in its way, in the words of the command.
                again = words_of(asking.post("/start/collect", demos="1").text)
                assert "expo-ft: " in again
                assert "domain" in again.lower()
            except BaseException:
                RunControl(runs).stop(run)
                raise
        assert is_running(run)
        with dashboard(runs) as asking:
            assert "asked to stop" in words_of(asking.post(f"/runs/{run.name}/stop").text)
            asking.until(f"/runs/{run.name}", lambda words: "stopped" in words, "its end")
            log = (run / "logs" / "terminal.log").read_text()
            until(lambda: "stopped by SIGINT" in (run / "logs" / "terminal.log").read_text(), log)
        assert not processes_naming(str(run))


def test_a_run_that_somebody_else_started_is_stopped_as_by_ctrl_c(runs, asking):
    run = make_run(runs / "first")
    with subprocess.Popen(
        [sys.executable, "-c", HELD, str(run)], stdout=subprocess.PIPE, text=True
    ) as held:
        try:
            assert held.stdout is not None
            held.stdout.readline()
            assert "asked to stop" in words_of(asking.post("/runs/first/stop").text)
            assert held.wait(60) == 0
        finally:
            held.kill()
    assert "it isn't running" in words_of(asking.post("/runs/first/stop").text)


def test_what_an_old_lock_names_is_left_alone(runs, asking):
    """The number may be another process's by now."""
    run = make_run(runs / "first")
    with subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"]) as other:
        try:
            (run / ".lock").write_text(str(other.pid))
            assert "it isn't running" in words_of(asking.post("/runs/first/stop").text)
            assert other.poll() is None
        finally:
            other.kill()


def test_a_report_is_made_and_shown(runs, asking):
    make_run(runs / "first", training(), summary={})
    asking.post("/runs/first/report")
    text = asking.until("/runs/first/report", lambda words: "Training" in words, "the report")
    assert "first" in text
    picture = asking.get("/runs/first/report/curves.png")
    assert (picture.status_code, picture.headers["Content-Type"]) == (200, "image/png")
    policy = asking.get("/runs/first/report.html").headers["Content-Security-Policy"]
    assert "script-src 'none'" in policy


def test_recordings_are_opened_and_end_with_the_dashboard(runs, at_once):
    for name in ("first", "second", "third"):
        run = make_run(runs / name)
        record(run / "episodes", 1, [Source.POLICY] * 3)
        (run / "progress.json").write_text('{"session": {"episode": 2}}')
    with dashboard(runs) as asking:
        for name in ("first", "second", "third"):
            # A double click.
            with ThreadPoolExecutor(2) as clicks:
                answer, same = clicks.map(asking.post, [f"/runs/{name}/browse"] * 2)
            assert answer.status_code == 200
            assert same.text == answer.text
            url = answer.text.split("0;url=")[1].split('"')[0]
            assert asking.client.get(f"{url}episodes").status_code == 200

        # The oldest has made room.
        def browsing() -> dict[int, str]:
            left = processes_naming("episodes browse")
            return {pid: words for pid, words in left.items() if str(runs) in words}

        until(lambda: len(browsing()) == 2, "the end of the oldest")
        mine = browsing()
        assert not any("first" in words.split("browse")[1] for words in mine.values())
        broken = runs / "broken"
        make_run(broken)
        (broken / "config.yaml").write_text("command: train\noptions: {}\n")
        answer = asking.post("/runs/broken/browse")
        assert answer.status_code == 422
        assert "doesn't say the task" in words_of(answer.text)
    until(lambda: not any(map(is_alive, mine)), "their end")


def test_checkpoints_are_compared_scene_by_scene(runs, asking):
    run = kept_run()
    page = asking.get(f"/comparisons?run={run.name}").text
    files = [str(path) for path in sorted((run / "checkpoints").iterdir())]
    assert len(files) == 2
    assert all(f'value="{file}"' in page for file in files)
    begun = asking.post("/comparisons", checkpoint=files, scenes="3", rule="agent")
    assert begun.status_code == 200
    text = asking.until(begun.url.path, lambda words: "done; 3 scenes" in words, "the trials")
    assert text.count("3/3") == 2
    assert "Pair by pair" in text
    assert "none is shown" in text
    (saved,) = (runs / "comparisons").glob("*.json")
    played = json.loads(saved.read_text())["played"]
    assert {len(each["success"]) for each in played.values()} == {3}
    assert saved.stem in asking.get("/comparisons").text


def test_what_cannot_be_compared_is_refused(runs, asking):
    run = kept_run()
    files = [str(path) for path in sorted((run / "checkpoints").iterdir())]

    def refused(**fields) -> str:
        answer = asking.post("/comparisons", **{"scenes": "3", "rule": "agent", **fields})
        assert answer.status_code == 422
        return words_of(answer.text)

    assert "two to 6 checkpoints" in refused(checkpoint=files[:1])
    assert "scenes" in refused(checkpoint=files, scenes="0")
    assert "scenes" in refused(checkpoint=files, scenes="many")
    assert "rule" in refused(checkpoint=files, rule="other")
    assert "named twice" in refused(checkpoint=[files[0], files[0]])
    assert "no checkpoint of a run" in refused(checkpoint=[files[0], "/etc/passwd"])
    assert not (runs / "comparisons").exists()


def test_one_is_played_at_a_time_can_be_stopped_and_gone_on_with(runs, asking):
    run = kept_run()
    files = [str(path) for path in sorted((run / "checkpoints").iterdir())]
    begun = asking.post("/comparisons", checkpoint=files, scenes="900", rule="agent").url.path
    again = asking.post("/comparisons", checkpoint=files, scenes="2", rule="agent")
    assert "one at a time" in words_of(again.text)
    helper = the_helper(str(runs / "comparisons"))
    asking.until(begun, lambda words: " 0/900 0/900" not in words, "a trial")
    asking.post(f"{begun}/stop")
    until(lambda: not is_alive(helper), "its end")
    asking.until(begun, lambda words: "stopped; 900 scenes" in words, "that it is stopped")
    asking.post(f"{begun}/resume")
    assert "playing; 900 scenes" in words_of(asking.get(begun).text)
    helper = the_helper(str(runs / "comparisons"))
    asking.dashboard.close()
    wait_until(lambda: not is_alive(helper), "its end")


def test_who_drives_a_robot_comes_first(runs):
    """By niceness, where the kernel groups processes by session that of the session, too."""
    make_run(runs / "first", training(), summary={})
    with dashboard(runs) as asking:
        found: dict[int, str] = {}
        while not found:  # It is over where this process is halted for longer than it takes.
            asking.post("/runs/first/report")
            found = processes_naming(f"report {runs / 'first'}")
        (helper,) = found
        assert os.getpriority(os.PRIO_PROCESS, helper) == REPORT_NICE
        assert BROWSER_NICE < REPORT_NICE < TRIALS_NICE == 19
        assert os.getsid(helper) == helper
    assert not is_alive(helper)


def test_the_command_is_interrupted_from_when_it_says_so(runs):
    port = free_port()
    command = [sys.executable, "-m", "expo_ft_ros.cli", "console", f"port:={port}"]
    # As of a shell's background job, which is told to ignore it.
    ignoring = signal.signal(signal.SIGINT, signal.SIG_IGN)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    signal.signal(signal.SIGINT, ignoring)
    with process:
        try:
            assert process.stdout is not None
            said = process.stdout.readline()
            assert (
                said
                == f"dashboard of {runs}: http://127.0.0.1:{port}/ (Ctrl-C ends it, runs go on)\n"
            )
            # What it says holds from then on: Ctrl-C ends it.
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 0
        finally:
            process.kill()


def test_a_second_server_at_the_same_port_is_refused(runs, asking, capsys):
    assert is_served(asking.dashboard.url)
    assert cli.main(["console", f"port:={asking.dashboard.port}"]) == 2
    assert "address already in use" in capsys.readouterr().err


def test_who_could_be_reached_by_others_needs_a_token(monkeypatch, capsys):
    monkeypatch.delenv("EXPO_FT_CONSOLE_TOKEN", raising=False)
    assert cli.main(["console", "host:=0.0.0.0"]) == 2
    assert "host:=0.0.0.0: others would reach" in capsys.readouterr().err

# SPDX-License-Identifier: Apache-2.0
"""What the pages of all runs say, to whom, and what they refuse: without a graph."""

from __future__ import annotations

import datetime
import http.client
import json
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from expo_ft_ros.dashboard.run_control import RunControl, Started
from expo_ft_ros.dashboard.run_list import RunList
from expo_ft_ros.experiment.run_folder import lock_folder
from expo_ft_ros.experiment.run_overview import folder_bytes
from support.dashboards import Asking, dashboard, words_of
from support.runs import make_run, training

pytest.importorskip("expo_ft_ros.msg", reason="the messages are not built")

TOKEN = "sixteen-letters_0"
SUMMARY = {
    "eval_before": {"successes": 3, "trials": 30},
    "eval_after": {"successes": 27, "trials": 30},
    "env_steps": 2000,
}


@pytest.fixture
def runs(tmp_path, monkeypatch) -> Path:
    folder = tmp_path / "runs"
    monkeypatch.setenv("EXPO_FT_RUNS", str(folder))
    make_run(folder / "first", training(), summary=SUMMARY)
    second = make_run(folder / "second", training())
    (second / "status.json").write_text(json.dumps({"stage": "rl", "env_steps": 120}))
    return folder


@pytest.fixture
def asking(runs) -> Iterator[Asking]:
    with dashboard(runs) as made:
        yield made


def started(run: Path, when: str) -> None:
    config = yaml.safe_load((run / "config.yaml").read_text())
    (run / "config.yaml").write_text(yaml.safe_dump({**config, "started": when}))


def test_the_list_says_how_each_run_stands_the_newest_first(runs, asking):
    started(runs / "first", "2026-11-29T10:00:00+00:00")
    started(runs / "second", "2026-11-30T10:00:00+00:00")
    (runs / "second" / "large").write_bytes(b"x" * 3_000_000)
    with lock_folder(runs / "second"):
        words = words_of(asking.get("/").text)
        assert words.index("second") < words.index("first 2026-11-29")
        assert "second 2026-11-30 10:00 cube_pick train running reinforcement learning" in words
        assert "120 3 MB" in words
    assert "first 2026-11-29 10:00 cube_pick train finished 2000 3/30 -> 27/30" in words
    # What has changed is told anew.
    words = words_of(asking.get("/").text)
    assert "cube_pick train stopped reinforcement learning" in words
    (runs / "second" / "summary.json").write_text(json.dumps(SUMMARY))
    assert "stopped" not in words_of(asking.get("/").text)


def test_no_runs_are_no_error(tmp_path, monkeypatch):
    monkeypatch.setenv("EXPO_FT_RUNS", str(tmp_path / "nothing"))
    with dashboard(tmp_path) as asking:
        assert "There is no run yet" in asking.get("/").text
        assert asking.get("/comparisons").status_code == 200


def test_a_broken_run_takes_no_other_along(runs, asking):
    (runs / "first" / "config.yaml").write_text("{")
    (runs / "second" / "status.json").write_text("[" * 100_000)
    words = words_of(asking.get("/").text)
    assert "first" in words
    assert "second" in words
    assert asking.get("/runs/first").status_code == 200


def test_a_page_of_a_run_offers_what_can_be_done_with_it(runs, asking):
    finished = asking.get("/runs/first").text
    assert all(word in finished for word in ("Report", "Recordings", "Compare checkpoints"))
    assert "Stop</button>" not in finished
    assert "Go on with it" not in finished
    assert "Go on with it" in asking.get("/runs/second").text
    with lock_folder(runs / "second"):
        running = asking.get("/runs/second").text
        assert "Stop</button>" in running
        assert "Live console" not in running
        assert "Go on with it" not in running


def test_a_live_console_is_opened_with_the_token_that_it_shares(runs):
    make_run(runs / "third", console=True, console_port=8093)
    with dashboard(runs, TOKEN) as asking, lock_folder(runs / "third"):
        asking.get(f"/?token={TOKEN}")
        assert "Live console" in asking.get("/runs/third").text
        answer = asking.get("/runs/third/live")
        assert 'content="0;url=http://127.0.0.1:8093/"' in answer.text
        assert answer.headers["Set-Cookie"].startswith(f"expo_ft_console_8093={TOKEN}; HttpOnly")


def test_what_a_run_is_called_is_text_and_no_way_out_of_the_folder(runs, asking):
    name = "<script>alert(1)<script>&'\" ?#%2e"
    make_run(runs / name)
    page = asking.get("/").text
    assert "<script>alert" not in page
    address = page.split('<a href="/runs/%3Cscript')[1].split('"')[0]
    assert asking.get("/runs/%3Cscript" + address).status_code == 200
    (runs.parent / "config.yaml").write_text("options: {}")
    for path in ("/runs/..", "/runs/%2e%2e", "/runs/..%2fruns%2ffirst", "/runs/", "/runs/none"):
        assert status_of(asking, path) == 404, path
    assert status_of(asking, "/runs/first/report/..%2f..%2fconfig.yaml") == 404
    assert status_of(asking, "/runs/first/report/config.yaml") == 404
    assert status_of(asking, "/comparisons/..%2ffirst%2fsummary") == 404


def status_of(asking: Asking, path: str) -> int:
    """Of a path as it stands, which httpx would tidy up."""
    connection = http.client.HTTPConnection("127.0.0.1", asking.dashboard.port, timeout=120)
    connection.request("GET", path)
    status = connection.getresponse().status
    connection.close()
    return status


@pytest.mark.parametrize("path", ["/start/train", "/runs/first/stop", "/comparisons"])
def test_another_page_changes_nothing(asking, path):
    for origin in ("http://evil.example", "null", "http://127.0.0.1:1"):
        answer = asking.client.post(path, data={"task": "x"}, headers={"Origin": origin})
        assert answer.status_code == 403
    rebound = {"Host": f"evil.example:{asking.dashboard.port}"}
    assert asking.client.post(path, data={}, headers=rebound).status_code == 403
    assert asking.client.get("/", headers=rebound).status_code == 403


def test_without_the_token_there_is_nothing(runs):
    with dashboard(runs, TOKEN) as asking:
        for path in ("/", "/runs/first", "/start/train", "/comparisons"):
            assert asking.get(path).status_code == 403
        assert asking.post("/runs/first/stop").status_code == 403
        address = f"ws://127.0.0.1:{asking.dashboard.port}/runs/first/follow"
        with pytest.raises(InvalidStatus), connect(address, proxy=None):
            pass
        assert asking.client.get(f"/?token={TOKEN}").status_code == 303
        assert asking.get("/runs/first").status_code == 200
        assert asking.post("/runs/first/stop").status_code == 200


def test_a_stop_of_what_does_not_run_says_so(asking):
    assert "it isn't running" in words_of(asking.post("/runs/first/stop").text)
    # It was told once.
    assert "it isn't running" not in asking.get("/runs/first").text


def test_an_answer_is_for_the_browser_that_has_asked(asking):
    headers = {"Origin": asking.origin}
    answer = asking.client.post("/runs/first/stop", headers=headers, follow_redirects=False)
    assert answer.status_code == 303
    # Another one comes first.
    assert "it isn't running" not in asking.get("/runs/first").text
    assert "it isn't running" in words_of(asking.get(answer.headers["Location"]).text)


def test_a_run_goes_on_with_a_console_of_another_port_where_its_own_is_taken(
    runs, asking, monkeypatch
):
    given: list[list[str]] = []

    def start(self: RunControl, command: str, words: list[str]) -> Started:
        given.append(words)
        return Started(runs / "third", "")

    monkeypatch.setattr(RunControl, "start", start)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        run = make_run(runs / "third", training(), console=True, console_port=port)
        page = asking.post("/runs/third/resume").text
    ((first, second),) = given
    assert first == f"resume:={run}"
    name, _, other = second.partition(":=")
    assert (name, other.isdecimal(), other != str(port)) == ("console_port", True, True)
    assert f"its console is at port {other} from now on: {port} is taken" in words_of(page)
    asking.post("/runs/third/resume")
    assert given[1:] == [[first]]


def test_who_serves_pages_comes_after_who_drives_a_robot(runs, monkeypatch):
    own = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    monkeypatch.setattr("expo_ft_ros.dashboard.app.PAGES_NICE", own + 2)
    before = set(threading.enumerate())
    with dashboard(runs) as asking:
        asking.get("/")
        new = {each.name: each.native_id for each in set(threading.enumerate()) - before}
        nice = {name: os.getpriority(os.PRIO_PROCESS, each) for name, each in new.items() if each}
        served = {name: each for name, each in nice.items() if not name.startswith("starter")}
        assert len(served) >= 2
        assert set(served.values()) == {own + 2}
    # Who opens it goes on as before, and so do the runs that it starts.
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == own
    assert {each for name, each in nice.items() if name not in served} == {own}


def test_a_run_that_has_ended_is_weighed_once(runs, monkeypatch):
    weighed: list[str] = []

    def weigh(path: Path) -> int:
        weighed.append(path.name)
        return folder_bytes(path)

    monkeypatch.setattr("expo_ft_ros.dashboard.run_list.folder_bytes", weigh)
    monkeypatch.setattr("expo_ft_ros.dashboard.run_list._WEIGHED_FOR", 0.0)
    known = RunList()

    def size() -> int:
        run = known.find("first")
        assert run is not None
        return known.size(run)

    small = size()
    assert (size(), len(weighed)) == (small, 1)
    # An export, say.
    (runs / "first" / "more").mkdir()
    (runs / "first" / "more" / "large").write_bytes(b"x" * 1_000_000)
    assert size() >= small + 1_000_000
    assert len(weighed) == 2
    with lock_folder(runs / "first"):
        size(), size()
        assert len(weighed) == 4
    size(), size()
    assert len(weighed) == 5


def test_no_page_is_loaded_anew_by_itself(runs, asking):
    with lock_folder(runs / "second"):
        for path in ("/", "/runs/second", "/comparisons"):
            assert 'http-equiv="refresh"' not in asking.get(path).text
        assert 'data-refresh="5"' in asking.get("/").text
        assert 'data-refresh="5"' in asking.get("/runs/second").text
    assert "data-refresh" not in asking.get("/runs/second").text


def test_a_form_has_a_limit_of_size_and_of_time(asking, monkeypatch):
    large = {"checkpoint": "x" * 100_000}
    assert asking.post("/comparisons", **large).status_code == 413
    monkeypatch.setattr("expo_ft_ros.dashboard.app.PATIENCE", 0.5)
    head = f"POST /comparisons HTTP/1.1\r\nHost: 127.0.0.1:{asking.dashboard.port}\r\n"
    with socket.create_connection(("127.0.0.1", asking.dashboard.port), timeout=120) as slow:
        slow.sendall((head + "Content-Length: 1000\r\n\r\nrun=").encode())
        assert slow.recv(100).startswith(b"HTTP/1.1 408")


def test_pages_run_their_own_scripts_alone(asking):
    for path in ("/", "/runs/first", "/start/train", "/comparisons"):
        answer = asking.get(path)
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert ("sha256-" in policy) == ("<script>" in answer.text)


def test_the_form_has_the_options_of_the_command_with_a_console_that_is_free(asking):
    page = asking.get("/start/eval").text
    assert 'name="checkpoint"' in page
    assert 'name="steps"' not in page
    assert 'name="steps"' in asking.get("/start/train").text
    assert 'name="console" value="true"' in page
    assert asking.get("/start/doctor").status_code == 404


def test_lines_and_state_are_followed(runs, asking):
    log = runs / "second" / "logs" / "session.log"
    log.parent.mkdir()
    log.write_text("".join(f"line {number}\n" for number in range(20_000)) + "half a")
    (log.parent / "other.log").write_text("not this\n")
    address = f"ws://127.0.0.1:{asking.dashboard.port}/runs/second/follow?log=session"
    with connect(address, proxy=None) as page:
        told = json.loads(page.recv(timeout=120))
        assert told["running"] is False
        assert "reinforcement learning online" in told["status"]
        assert told["lines"][-1] == "line 19999"
        assert 1000 < len(told["lines"]) < 20_000
        with log.open("a") as more, lock_folder(runs / "second"):
            more.write(" line\n")
            more.flush()
            lines, running = [], False
            while not (lines and running):
                told = json.loads(page.recv(timeout=120))
                lines, running = lines + told["lines"], running or told.get("running", False)
        assert lines == ["half a line"]
    for name in ("../second/logs/session", "none"):
        with connect(address.replace("session", name), proxy=None) as page:
            assert json.loads(page.recv(timeout=120))["lines"] == []


def test_times_are_of_the_start_and_not_of_files(runs, asking):
    when = datetime.datetime(2026, 1, 2, 3, 4, tzinfo=datetime.UTC)
    started(runs / "first", when.isoformat())
    assert "2026-01-02 03:04" in asking.get("/runs/first").text

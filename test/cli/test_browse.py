# SPDX-License-Identifier: Apache-2.0
"""The episodes of a stopped run in a browser, by a command."""

import signal
import subprocess
import sys
import urllib.request

import pytest

from expo_ft_ros.cli import main as cli
from support.console_run import free_port, is_served
from support.recordings import record
from support.runs import make_run

pytest.importorskip("rclpy", reason="ROS 2's rclpy is not installed")

from expo_ft_ros.data.types import Source


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setenv("EXPO_FT_RUNS", str(tmp_path))
    run = make_run(tmp_path / "a")
    record(run / "episodes", 1, [Source.POLICY] * 3)
    (run / "progress.json").write_text('{"session": {"episode": 2}}')
    return run


@pytest.mark.process
def test_it_is_served_until_it_is_interrupted(run):
    port = free_port()
    command = [sys.executable, "-m", "expo_ft_ros.cli", "episodes", "browse", "a"]
    # As of a shell's background job, which is told to ignore it.
    ignoring = signal.signal(signal.SIGINT, signal.SIG_IGN)
    process = subprocess.Popen([*command, f"port:={port}"], stdout=subprocess.PIPE, text=True)
    signal.signal(signal.SIGINT, ignoring)
    with process:
        try:
            url = f"http://127.0.0.1:{port}/"
            assert process.stdout.readline() == f"episodes of {run}: {url} (Ctrl-C ends it)\n"
            assert is_served(url)
            for path in ("", "scene", "episodes"):
                with urllib.request.urlopen(url + path) as answer:
                    assert answer.status == 200
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 0
        finally:
            process.kill()


def test_what_cannot_be_browsed_is_refused(run, capsys):
    assert cli.main(["episodes", "browse", "none"]) == 2
    assert "no run there" in capsys.readouterr().err
    assert cli.main(["episodes", "browse", "a", "--port", "3"]) == 2
    assert "write port:=3" in capsys.readouterr().err
    config = run / "config.yaml"
    config.write_text("command: train\noptions: {}\n")
    assert cli.main(["episodes", "browse", "a"]) == 2
    assert "doesn't say the task" in capsys.readouterr().err

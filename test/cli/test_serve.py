# SPDX-License-Identifier: Apache-2.0
"""A policy that is served from the command line, and one that is evaluated from a server."""

import contextlib
import signal
import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest

from expo_ft_ros.cli import main as cli
from expo_ft_ros.experiment.options import EvalOptions
from expo_ft_ros.experiment.preflight import prepare_run
from expo_ft_ros.serving.remote_policy import RemotePolicy
from support.browser import wait_until
from support.console_run import free_port
from support.policy_servers import KEYS, ROBOT, TASK, answering, observation, serving


@contextlib.contextmanager
def served(*words: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`expo-ft serve` and its address."""
    command = [sys.executable, "-m", "expo_ft_ros.cli", "serve", *words, "port:=0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            lines = iter(process.stdout.readline, "")
            told = next(line for line in lines if line.startswith("Policy server: "))
            yield process, told.split()[2]
        finally:
            process.kill()


@pytest.mark.process
def test_the_package_s_policy_is_served_until_it_is_interrupted():
    with served("demo") as (process, address):
        policy = RemotePolicy(address, KEYS, TASK, ROBOT)
        policy.open()
        assert policy.metadata["horizon"] == 16
        assert policy.act(observation()).shape == (16, 7)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
        wait_until(lambda: policy.try_again() or policy.lost, "the loss")
        assert f"{address}: the connection is closed" in policy.lost


@pytest.fixture(autouse=True)
def runs(tmp_path, monkeypatch):
    monkeypatch.setenv("EXPO_FT_RUNS", str(tmp_path / "runs"))
    return tmp_path / "runs"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("train", "policy:=ws://a:1"), "policy: a policy server gives chunks, and no noise"),
        (("bench", "learn", "policy:=ws://a:1"), "it is evaluated only"),
        (("eval", "policy:=http://a:1"), "is not ws://<host>:<port>"),
        (("eval", "policy:=ws://a:1", "checkpoint:=latest"), "checkpoint:=latest: policy:="),
        (("eval", "policy:=ws://a:1", "size:=small"), "size:=small: policy:=ws://a:1 has a policy"),
        (("eval", "policy:=ws://a:1", "keys:=droi"), "did you mean droid"),
        (("eval", "keys:=droid"), "keys:=droid: are those of a policy server, and none is named"),
        (("serve", "nowhere"), "run:=nowhere: no run there"),
        (("serve", "demo", "keys:=droid"), "droid.yaml: state: the policy sees"),
        (("serve", "demo", "host:=not.a.host.invalid"), "serve: host: not.a.host.invalid"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_starts(words, told, capsys, runs):
    assert cli.main(list(words)) == cli.EXIT_USAGE
    assert told in capsys.readouterr().err
    assert not runs.exists()


def test_a_server_that_is_not_there_is_told_before_anything_starts(capsys, runs):
    port = free_port()
    assert cli.main(["eval", f"policy:=ws://127.0.0.1:{port}"]) == cli.EXIT_USAGE
    told = capsys.readouterr().err
    assert f"policy:=ws://127.0.0.1:{port}: can't be reached: Connection refused" in told
    assert not runs.exists()


def test_so_is_one_whose_actions_are_others(capsys, runs):
    with serving(answering(np.zeros((16, 8)))) as server:
        assert cli.main(["eval", f"policy:={server.address}"]) == cli.EXIT_USAGE
    assert "shape (16, 8), wanted is (H, 7)" in capsys.readouterr().err
    assert not runs.exists()


def test_in_real_time_an_answer_may_not_take_longer_than_a_callback(tmp_path, capsys):
    path = tmp_path / "slow.yaml"
    path.write_text("images: {base: a}\nstate: {b: [vector]}\ntimeout: 3.0\n")
    words = ["eval", "policy:=ws://a:1", f"keys:={path}", "realtime:=true"]
    assert cli.main(words) == cli.EXIT_USAGE
    assert f"{path}: timeout: 3 s is more than 1.5 s" in capsys.readouterr().err


def test_an_evaluation_of_a_server_needs_no_weights():
    with serving() as server:
        prepared = prepare_run("eval", [f"policy:={server.address}"], EvalOptions)
    assert prepared.weights is None
    assert prepared.options.policy == server.address

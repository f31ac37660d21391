# SPDX-License-Identifier: Apache-2.0
"""A learner of two processes in a whole training; one of them is killed, and the run goes on."""

from __future__ import annotations

import json
import os
import re
import signal
from pathlib import Path

import pytest
import yaml

from support.processes import is_alive
from support.tiny_training import run

pytestmark = [pytest.mark.process, pytest.mark.slow]

SAYS = re.compile(r"computed by 2 processes, on the CPU each: this one and (\d+)")


def further_processes(folder: Path, name: str) -> list[int]:
    log = folder / "logs" / f"{name}.log"
    return [int(pid) for pid in SAYS.findall(log.read_text())] if log.exists() else []


@pytest.mark.timeout(300)
def test_a_run_ends_with_a_process_of_its_learner_and_can_go_on(graph):
    folder, killed = graph.folder, []

    def kill() -> None:
        """While the arm moves online, once there have been updates."""
        path = folder / "status.json"
        status = json.loads(path.read_text()) if path.exists() else {}
        if not killed and status.get("stage") == "rl":
            killed.extend(further_processes(folder, "agent"))
            os.kill(killed[0], signal.SIGKILL)

    stopped = run(folder, graph.domain, "sync", kill, learner_processes=2, steps=100)
    log = (folder / "logs" / "agent.log").read_text()
    assert killed, log
    assert (stopped.code, stopped.warnings) == (1, ()), log
    assert "agent ended with exit code 1 while it was needed" in stopped.cause
    assert f"rank 1 (process {killed[0]}) was killed by SIGKILL while it was needed" in log

    done = run(folder, graph.domain, "async", learner_processes=2, steps=100)
    assert done.code == 0, f"{done.cause}\n{done.tail}"
    assert done.warnings == ()
    (other,) = further_processes(folder, "learner")
    assert not is_alive(other)
    assert not further_processes(folder, "policy"), "it only acts"
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert "vla/loss" in lines[-1]["metrics"]
    written = yaml.safe_load((folder / "params" / "learner.yaml").read_text())
    assert written["/**"]["ros__parameters"]["learner_processes"] == 2

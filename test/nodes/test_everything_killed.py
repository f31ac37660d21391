# SPDX-License-Identifier: Apache-2.0
"""SIGKILL to every process at once, twice and more: what was counted stays, and the run ends.

EXPO_FT_KILLS says how often, where somebody looks for a moment that loses something.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from expo_ft_ros.experiment.run_folder import first_uncounted
from expo_ft_ros.recording.episode_store import load_episode, whole_files
from support.processes import processes_naming

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PATIENCE = 300.0
KILLS = max(2, int(os.environ.get("EXPO_FT_KILLS", "2")))
"""The first while demonstrations are collected, the others at a drawn one of so many steps each."""
EACH = 100
STEPS = EACH * (KILLS - 1) + 30


def start(folder: Path, domain: int) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-m", "support.tiny_training", str(folder), str(domain), str(STEPS)]
    with (folder / "output.log").open("ab") as output:
        return subprocess.Popen(
            words, cwd=ROOT, stdout=output, stderr=output, start_new_session=True
        )


def kill_everybody(folder: Path) -> None:
    """Stopped first, so that nobody sees another's death."""
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for pid in processes_naming(str(folder)):
            with contextlib.suppress(ProcessLookupError):  # It has just ended.
                os.kill(pid, number)
    end = time.monotonic() + 60
    while processes_naming(str(folder)) and time.monotonic() < end:
        time.sleep(0.02)
    assert not processes_naming(str(folder))


def wait_for(folder: Path, condition: Callable[[dict[str, Any]], bool]) -> None:
    """Waits until the run's status, of this start of it, is so."""
    since, end = time.time(), time.monotonic() + PATIENCE
    while time.monotonic() < end:
        path = folder / "status.json"
        status = json.loads(path.read_text()) if path.exists() else {"time": 0.0}
        if status["time"] > since and condition(status):
            return
        time.sleep(0.02)
    raise AssertionError(f"did not come about: {(folder / 'output.log').read_text()[-3000:]}")


def books(folder: Path) -> list[dict[str, Any]]:
    """Of each episode that is counted its line of metrics."""
    path = folder / "metrics.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    before = first_uncounted(folder)
    # The last may be cut off, or of an episode that isn't counted.
    counted = [json.loads(line) for line in lines[: before - 1]]
    assert [line["episode"] for line in counted] == list(range(1, before))
    return counted


@pytest.mark.timeout(500 * KILLS)
def test_what_was_counted_stays_and_the_run_goes_on(graph) -> None:
    folder, seed = graph.folder, int(time.time())
    print(f"seed {seed}")
    dice = random.Random(seed)

    def collecting(status: dict[str, Any]) -> bool:
        return status["stage"] == "collect" and status["state"] == "running"

    def online_after(steps: float) -> Callable[[dict[str, Any]], bool]:
        return lambda status: status["stage"] == "rl" and status["env_steps"] > steps

    moments = [EACH * i + dice.uniform(0.2, 0.9) * EACH for i in range(KILLS - 1)]
    kept: list[dict[str, Any]] = []
    for moment in (collecting, *map(online_after, moments)):
        process = start(folder, graph.domain)
        try:
            wait_for(folder, moment)
            time.sleep(dice.uniform(0.0, 1.0))
        finally:
            kill_everybody(folder)
            process.wait()
        now = books(folder)
        assert now[: len(kept)] == kept, "an episode that was counted is gone"
        kept = now
    process = start(folder, graph.domain)
    try:
        code = process.wait(PATIENCE)
    finally:
        kill_everybody(folder)
        process.wait()
    assert code == 0, (folder / "output.log").read_text()[-3000:]
    done = books(folder)
    assert done[: len(kept)] == kept
    assert len((folder / "metrics.jsonl").read_text().splitlines()) == len(done)
    counted = [line for line in done if not line["discarded"]]
    files = whole_files(folder / "episodes")
    assert [int(path.stem) for path in files] == [line["episode"] for line in counted]
    for path, line in zip(files, counted, strict=True):
        assert len(load_episode(path).source) <= line["steps"]
        assert load_episode(path).outcome.success == line["success"]
    online = sum(line["steps"] for line in counted if line["stage"] == "rl")
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["env_steps"] == online >= STEPS
    learned = [line for line in counted if line["stage"] in ("collect", "rl")]
    # Leading steps in which nobody drove are left out of replay.
    missing = sum(line["steps"] for line in learned) - done[-1]["transitions"]
    assert 0 <= missing <= 3 * len(learned)

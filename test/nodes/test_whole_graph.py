# SPDX-License-Identifier: Apache-2.0
"""A short training as a newcomer starts it, with the operator who uses every service meanwhile."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from expo_ft_ros.cli.main import main
from expo_ft_ros.data.types import Source, is_explored
from expo_ft_ros.recording.episode_store import load_episodes
from expo_ft_ros.report.wandb_sync import scalars
from expo_ft_ros.rl.checkpoint import load_state
from support.console_run import free_port
from support.pages import require_whole
from support.processes import processes_naming
from support.tiny_training import SMALLEST

pytestmark = pytest.mark.slow

STEPS = 400


@pytest.fixture(scope="module")
def finished() -> dict[str, Path]:
    """Folders of runs that have ended well."""
    return {}


@pytest.fixture
def training(graph, tmp_path):
    """`expo-ft train` in a session and a ROS domain of its own; and its folder."""
    run = tmp_path / "run"
    words = [f"steps:={STEPS}", "demos:=2", "eval_trials:=1", "seed:=3", f"run_dir:={run}"]
    words += [f"size:={SMALLEST['size']}", "console:=true", f"console_port:={free_port()}"]
    log = (tmp_path / "log").open("w+")
    process = subprocess.Popen(
        [sys.executable, "-m", "expo_ft_ros.cli", "train", *words],
        env={**os.environ, "ROS_DOMAIN_ID": str(graph.domain)},
        stdout=log,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )
    yield process, run
    if process.poll() is None:
        process.kill()
        process.wait()
    log.seek(0)
    print(log.read())


@pytest.mark.timeout(1200)
def test_train_learns_obeys_and_leaves_nothing_behind(graph, training, finished):
    process, run = training
    probe = graph.probe
    states = probe.gather("episode/state")
    shown, said = probe.gather("monitor/markers"), probe.gather("policy/candidates")
    chunks = probe.gather("policy/chunk")

    def running() -> bool:
        """Well under way: an episode without one whole step is discarded whatever ends it."""
        assert process.poll() is None, "the run has ended"
        last = states[-1] if states else None
        return last is not None and (last.stage, last.state) == ("rl", "running") and last.steps > 2

    def pause(after: int) -> int:
        """Number of an episode that is now paused; another one is tried where it ended first."""
        for _ in range(10):
            probe.until(lambda: running() and states[-1].episode > after, "an episode", timeout=120)
            assert probe.call("episode/pause").success
            probe.until(lambda: states[-1].state in ("paused", "ended"), "the pause")
            if states[-1].state == "paused":
                return int(states[-1].episode)
            assert probe.call("episode/resume").success
        raise AssertionError("no episode could be paused before it ended by itself")

    def ended(episode: int):
        return next((s for s in states if s.episode == episode and s.state == "ended"), None)

    probe.until(running, "an episode of the rl stage", timeout=480)
    paused = pause(0)
    assert probe.call("/reset_episode").success
    probe.until(lambda: ended(paused) is not None, "the end of the reset episode")
    reset = ended(paused)
    assert (reset.success, reset.truncated, reset.discarded) == (False, True, False)
    assert probe.call("episode/resume").success
    marked = pause(paused)
    assert probe.call("episode/mark_success").success
    probe.until(lambda: ended(marked) is not None, "the marked episode's end")
    assert (ended(marked).success, ended(marked).terminated) == (True, True)
    assert probe.call("episode/resume").success
    stopped = pause(marked)
    assert probe.call("estop", data=True).success
    probe.until(lambda: states[-1].state == "stopped", "the stop")
    assert states[-1].discarded
    assert probe.call("estop", data=False).success
    probe.call("episode/resume")
    assert probe.call("learner/save_checkpoint").success

    probe.until(lambda: any(candidates_shown(message) for message in shown), "candidates' paths")
    drawn = is_explored(np.array([chunk.id for chunk in chunks], np.uint64))
    explored = {chunk.observation for chunk, alone in zip(chunks, drawn, strict=True) if alone}
    valued = (message for message in said if np.isfinite(message.q).all())
    choice = next(message for message in valued if message.observation not in explored)
    assert np.argmax(choice.q) == choice.chosen

    def every_count_was_said() -> bool:
        return {candidates_shown(m) for m in shown} <= {0, *(message.count for message in said)}

    probe.until(every_count_was_said, "the candidates whose paths are shown")

    assert process.wait(timeout=480) == 0
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    online = [line for line in lines if line["stage"] == "rl"]
    assert [line["discarded"] for line in online if line["episode"] == stopped] == [True]
    assert sum(line["steps"] for line in online if not line["discarded"]) >= STEPS
    assert online[-1]["critic_updates"] > 0
    assert online[-1]["human_transitions"] > 0

    episodes = list(load_episodes(run / "episodes"))
    assert stopped not in [e.outcome.episode for e in episodes]
    demonstrations = [e for e in episodes if e.outcome.stage == "collect"]
    assert len(demonstrations) == 2
    assert all((e.source == Source.HUMAN).mean() > 0.9 for e in demonstrations)
    assert any((e.source == Source.POLICY).any() for e in episodes)

    _weights_changed(run)
    summary = json.loads((run / "summary.json").read_text())
    assert summary["eval_before"]["trials"] == summary["eval_after"]["trials"] == 1
    told = {name for values in scalars(run / "tensorboard").values() for name in values}
    for stage in ("collect", "eval_before", "rl", "eval_after"):
        assert {f"{stage}/success_rate", f"{stage}/intervention_rate"} <= told
    assert {"rl/success_rate_without_help", "rl/episode_seconds", "replay/steps"} <= told
    assert (run / "config.yaml").is_file()
    assert not processes_naming(str(run))
    finished["train"] = run


@pytest.mark.timeout(400)
def test_a_run_of_each_kind_has_a_report_that_needs_no_network(
    graph, finished, browser, monkeypatch
):
    """Of the training above, an evaluation of it, and a simulation; for one of a collection see
    bringup/test_commands.py."""
    if "train" not in finished:
        pytest.skip("the training of this file has not ended well")
    train = finished["train"]
    runs = {"train": train, **{kind: train.with_name(kind) for kind in ("eval", "sim")}}
    monkeypatch.setenv("ROS_DOMAIN_ID", str(graph.domain))
    words = [f"checkpoint:={train}", "eval_trials:=1", f"run_dir:={runs['eval']}"]
    assert main(["eval", *words]) == 0
    state = graph.probe.gather("episode/state")
    simulation = subprocess.Popen(
        [sys.executable, "-m", "expo_ft_ros.cli", "sim", f"run_dir:={runs['sim']}"],
        stdin=subprocess.DEVNULL,
    )
    try:
        graph.probe.until(lambda: any(s.state == "ended" for s in state), "an episode", timeout=120)
    finally:
        simulation.send_signal(signal.SIGINT)
        code = simulation.wait(90)
    assert code == 130
    for kind, run in runs.items():
        assert main(["report", str(run)]) == 0
        words = require_whole(browser, run / "report.html", pictures=4 if kind == "train" else 0)
        assert f"expo-ft {kind} · task cube_pick" in words
        assert "The machine that the run was on" in words
    monkeypatch.chdir(train.parent)
    assert main(["report", "compare:=true", *map(str, runs.values())]) == 0
    words = require_whole(browser, train.parent / "comparison.html", pictures=1)
    assert all(kind in words for kind in runs)


def candidates_shown(message) -> int:
    return sum(marker.ns in ("base", "edited", "gripper") for marker in message.markers)


def _weights_changed(run: Path) -> None:
    """The critic's, and the VLA's at most where the operator has corrected what then succeeded."""
    first, *_, last = sorted((run / "checkpoints").glob("*.safetensors"))
    before, after = load_state(first), load_state(last)
    assert _differ(before["algorithm"]["networks"], after["algorithm"]["networks"])
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    corrected = any(
        line["stage"] == "rl" and line["success"] and line["human_steps"] for line in lines
    )
    assert corrected or not _differ(before["vla"], after["vla"])


def _differ(old: dict[str, torch.Tensor], new: dict[str, torch.Tensor]) -> bool:
    return not all(torch.equal(old[name], new[name]) for name in old)

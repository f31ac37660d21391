# SPDX-License-Identifier: Apache-2.0
"""The whole graph, as small as it goes: every stage, an interruption, and going on after it."""

import json
import os
import signal

import numpy as np
import pytest

from expo_ft_ros.bringup.runner import RunResult
from expo_ft_ros.recording.episode_store import episode_path
from expo_ft_ros.recording.lerobot import DatasetWriter
from expo_ft_ros.recording.recorded_episode import read_choices
from support.episodes import make_episode
from support.tiny_training import run

pytestmark = pytest.mark.slow


STEPS = 100
"""Online steps: two episodes at least."""


def _run(graph, mode: str, *, interrupt_in: str = "", **more) -> RunResult:
    folder = graph.folder

    def refresh() -> None:
        """Ctrl-C in the middle of an episode of the given stage."""
        path = folder / "status.json"
        status = json.loads(path.read_text()) if path.exists() else {}
        if interrupt_in and status.get("stage") == interrupt_in and status["env_steps"] > 5:
            os.kill(os.getpid(), signal.SIGINT)

    return run(folder, graph.domain, mode, refresh, **more)


def _lines(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_an_interrupted_run_goes_on_where_it_was(graph):
    """It begins with two processes for learning and goes on with one: the files are the same."""
    folder = graph.folder
    # More than one episode: this process may be halted in the first.
    stopped = _run(graph, "async", interrupt_in="rl", steps=STEPS)
    assert stopped.code == 130, f"{stopped.cause}\n{stopped.tail}"
    assert not stopped.warnings
    assert (folder / "weights" / "live.safetensors").exists()
    assert list((folder / "checkpoints").glob("*.safetensors"))
    before = _lines(folder)
    assert before[-1]["stage"] in ("eval_before", "rl")
    done = _run(graph, "sync", steps=STEPS)
    assert done.code == 0, f"{done.cause}\n{done.tail}"
    lines = _lines(folder)
    assert lines[: len(before)] == before
    assert [line["episode"] for line in lines] == list(range(1, len(lines) + 1))
    assert lines[-1]["stage"] == "eval_after"
    learned = [line for line in lines if line["stage"] in ("collect", "rl")]
    # Replay was rebuilt from the files; leading steps in which nobody drove are left out.
    missing = sum(line["steps"] for line in learned) - lines[-1]["transitions"]
    assert 0 <= missing <= 3 * len(learned)
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["eval_before"]["trials"] == summary["eval_after"]["trials"] == 1
    assert summary["env_steps"] > 5


ALL_KINDS = """
edit:
  alpha: 0.01
  shifted_target: true
  knots: 2
  rotation_scale: 0
  gripper_scale: 2.5
  zero_start: true
  alpha_learning_rate: 0.01
  gripper_decisions: 2
  trained_on: both
  evaluation: sample
critic_steps_per_update: 4
explore_share_warmup: 1.0
explore_share: 0.5
"""


def test_edits_and_gripper_decisions_go_through_the_whole_graph(graph):
    """They are executed from the warm-up on, recorded with their kind, valued and learned from. A
    dataset stands for demonstrations."""
    folder = graph.folder
    episodes = [make_episode(n, 30, terminated=True, stage="collect", size=64) for n in (1, 2)]
    with DatasetWriter(folder / "dataset", 10, "franka") as writer:
        for episode in episodes:
            writer.add(episode)
        writer.close()
    preset = folder / "all_kinds.yaml"
    preset.write_text(ALL_KINDS)
    given = str(folder / "dataset")
    # Longer than one episode: the second is after the warm-up.
    done = _run(graph, "sync", preset=str(preset), demos=0, demonstrations=given, steps=80)
    assert done.code == 0, f"{done.cause}\n{done.tail}"
    assert not done.warnings
    lines = _lines(folder)
    before, *online, after = lines
    stages = [line["stage"] for line in lines]
    assert stages == ["eval_before", *["rl"] * len(online), "eval_after"]
    assert 60 < after["transitions"] <= 60 + sum(line["steps"] for line in online)
    first = online[0]
    assert first["edited_chosen"] + first["gripper_chosen"] == 1
    assert "q_spread" not in first
    assert before["edited_chosen"] == before["gripper_chosen"] == 0
    assert online[-1]["critic_updates"] > 0
    assert after["q_spread"] > 0
    choices = {
        line["episode"]: read_choices(episode_path(folder / "episodes", line["episode"]))
        for line in lines
    }
    counts = {
        number: [np.bincount(choice.kind, minlength=3).tolist() for choice in made]
        for number, made in choices.items()
    }
    assert all(count == [8, 0, 0] for count in counts[before["episode"]])
    for line in (first, after):
        assert all(count == [8, 8, 4] for count in counts[line["episode"]])

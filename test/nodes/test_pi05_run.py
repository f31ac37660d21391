# SPDX-License-Identifier: Apache-2.0
"""A pi0.5 of random weights through a whole run of the graph: demonstration, imitation, evaluation,
RL, an interruption, the rest of it, and its export."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from expo_ft_ros.cli.main import main
from expo_ft_ros.policies.pi05.checkpoint import openpi_name
from expo_ft_ros.policies.registry import build_policy
from expo_ft_ros.rl.checkpoint import load_state
from expo_ft_ros.rl.config import load_preset
from expo_ft_ros.robots import load_robot
from support.runs import make_run
from support.tiny_training import run

pytestmark = pytest.mark.slow

SIZE = "pi05_tiny"
STEPS = 100
"""Online steps: two episodes at least, the first of which is followed by updates."""


@pytest.mark.timeout(400)
def test_a_tiny_pi05_goes_through_a_whole_run(graph, tmp_path):
    """It begins with one process for learning, and goes on with two, to one of which what learns
    is published."""
    folder = graph.folder

    def interrupt() -> None:
        """Ctrl-C in an online episode, once there have been updates."""
        path = folder / "status.json"
        status = json.loads(path.read_text()) if path.exists() else {}
        practises = (status.get("stage"), status.get("state")) == ("rl", "running")
        if practises and status["learner"]["critic_updates"] > 0:
            os.kill(os.getpid(), signal.SIGINT)

    stopped = run(folder, graph.domain, "sync", interrupt, size=SIZE, steps=STEPS)
    assert stopped.code == 130, f"{stopped.cause}\n{stopped.tail}"
    before = metrics_of(folder)
    assert before[-1]["stage"] == "rl"
    done = run(folder, graph.domain, "async", size=SIZE, steps=STEPS)
    assert done.code == 0, f"{done.cause}\n{done.tail}"
    lines = metrics_of(folder)
    assert lines[: len(before)] == before
    stages = list(dict.fromkeys(line["stage"] for line in lines))
    assert stages == ["collect", "eval_before", "rl", "eval_after"]
    online = [line for line in lines if line["stage"] == "rl" and not line["discarded"]]
    calls, steps = 3, 2  # of Cube Pick an episode, and of the tiny preset a call
    assert lines[-1]["critic_updates"] == calls * steps * len(online), "none lost, none made twice"
    assert {"critic/loss", "vla/loss"} <= lines[-1]["metrics"].keys()
    for name in ("learner", "agent"):
        said = (folder / "logs" / f"{name}.log").read_text()
        assert "random weights, since vla.checkpoint is null" in said
        assert "94,432 of its 355,520 parameters learn: low-rank updates of 23 layers" in said
    checkpoints_hold_what_learns(folder)
    export_is_what_was_learned(folder, tmp_path / "kept", tmp_path / "exported")


def metrics_of(folder: Path) -> list[dict]:
    path = folder / "metrics.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def new_policy():
    """As each process built it."""
    return build_policy(load_preset(size=SIZE).vla, load_robot("sim").views, torch.device("cpu"))


def policies_of(folder: Path) -> list[dict[str, torch.Tensor]]:
    """What the checkpoints have of the policy, the oldest first."""
    return [load_state(path)["vla"] for path in sorted((folder / "checkpoints").glob("*.saf*"))]


def checkpoints_hold_what_learns(folder: Path) -> None:
    """Not the base, by whose digest they are told apart."""
    vla, (first, *_, last) = new_policy(), policies_of(folder)
    assert first.keys() == last.keys() == vla.weights().keys()
    assert torch.equal(last["base"], vla.weights()["base"])
    assert any(not torch.equal(first[name], last[name]) for name in vla.trainable("rl"))


def export_is_what_was_learned(folder: Path, kept: Path, exported: Path) -> None:
    """Low-rank updates merged into the weights, under openpi's names, with its statistics."""
    make_run(kept, preset="recommended", size=SIZE)
    shutil.copytree(folder / "checkpoints", kept / "checkpoints")
    assert main(["export", str(exported), str(kept), "policy:=openpi"]) == 0
    written = load_file(exported / "model.safetensors")
    vla = new_policy()
    vla.load_weights(policies_of(folder)[-1])
    layer = vla.network.expert.layers[0].self_attn.q_proj
    assert layer.update().abs().max() > 0
    learned = written[openpi_name("expert.layers.0.self_attn.q_proj.weight")]
    torch.testing.assert_close(learned, layer.weight + layer.update())
    frozen = "vision.encoder.layers.0.self_attn.q_proj.weight"
    assert torch.equal(written[openpi_name(frozen)], vla.network.get_parameter(frozen))
    (statistics,) = exported.glob("assets/*/norm_stats.json")
    told = json.loads(statistics.read_text())["norm_stats"]["state"]["q01"]
    torch.testing.assert_close(torch.tensor(told), vla.statistics().state_low)

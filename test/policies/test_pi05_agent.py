# SPDX-License-Identifier: Apache-2.0
"""pi0.5 as an agent's policy, from a size's file on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from expo_ft_ros.cli import main as cli
from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.experiment.arguments import parse_arguments
from expo_ft_ros.experiment.bench_options import LearnOptions
from expo_ft_ros.policies.registry import build_policy
from expo_ft_ros.rl.agent import Agent
from expo_ft_ros.rl.checkpoint import load_state
from expo_ft_ros.rl.checkpoint_files import checkpoint_path
from expo_ft_ros.rl.config import ALGORITHM_NAMES, load_preset
from expo_ft_ros.robots import load_robot
from expo_ft_ros.tasks import load_task
from support.agents import go_on
from support.episodes import make_episode
from support.pi05 import TINY, write_tokenizer
from support.runs import make_run

SIZE = 32
CPU = torch.device("cpu")
CHANGES = {
    "warmup_episodes": "0",
    "warmup_updates": "1",
    "edits": "true",
    "edits_after": "0",
    "critic_steps_per_update": "2",
    "batch": "8",
    "candidates": "3",
    "acting_candidates": "0",
    "baseline.critic_steps_per_update": "1",
    "baseline.updates_per_step": "0.1",
}


@pytest.fixture(scope="module")
def size(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("size")
    vla = {"kind": "pi05", "tokenizer": str(write_tokenizer(folder / "tiny.model")), **TINY}
    content = {
        "image_size": SIZE,
        "vla": {**vla, "horizon": 10, "euler_steps": 3},
        "imitation": {"steps": 4, "batch": 4, "learning_rate": 1e-3, "weight_decay": 0.0},
        "critic": {
            "hidden": 16,
            "channels": 4,
            "image_embedding": 16,
            "state_embedding": 8,
        },
        "replay_capacity": 200,
        "threads": 1,
    }
    path = folder / "tiny_pi05.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def make_agent(size: Path, algorithm: str = "expo_ft") -> Agent:
    config = load_preset(size=str(size), changes=CHANGES)
    return Agent(load_task("cube_pick"), config, load_robot("sim").views, 0, algorithm)


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ALGORITHM_NAMES)
def test_every_algorithm_learns_with_it(size, algorithm):
    agent = make_agent(size, algorithm)
    agent.add_episode(make_episode(1, 14, terminated=True, stage="collect", size=SIZE))
    agent.imitate(go_on)
    agent.add_episode(make_episode(2, 12, terminated=True, size=SIZE))
    assert np.isfinite(list(agent.update(go_on).values())).all()


def test_what_is_published_is_small_and_makes_the_same_policy(size, tmp_path):
    """Low-rank updates, heads and statistics; the base is a file that both have."""
    agent, other = make_agent(size), make_agent(size)
    agent.add_episode(make_episode(1, 14, terminated=True, stage="collect", size=SIZE))
    agent.imitate(go_on)
    path = tmp_path / "weights.safetensors"
    agent.publish_weights(path)
    other.take_weights(path, load_state(path))
    for name, value in agent.vla.weights().items():
        assert torch.equal(other.vla.weights()[name], value), name


def test_what_is_frozen_is_there_once(size):
    """Of the VLA that acts, the one that is trained, and the target's."""
    more = {"imitation.ema": "0.9", "target_vla": "polyak"}
    config = load_preset(size=str(size), changes=CHANGES | more)
    agent = Agent(load_task("cube_pick"), config, load_robot("sim").views, 0, "expo_ft")
    networks = agent.vla_trainer.networks
    assert len(networks) == 3
    learns = agent.vla.trainable("rl").keys()
    for name in dict(agent.vla.named_parameters()):
        places = {dict(one.named_parameters())[name].data_ptr() for one in networks.values()}
        assert len(places) == (3 if name in learns else 1), name


def test_files_that_are_not_there_are_named_before_anything_starts(size, tmp_path):
    parse_arguments([f"size:={size}"], LearnOptions)
    told = yaml.safe_load(size.read_text())
    path = tmp_path / "other.yaml"
    for field, said in (
        ("tokenizer", r"vla.tokenizer: nowhere: no such file \(fetch gs://big_vision"),
        ("checkpoint", r"vla.checkpoint: nowhere/model.safetensors: no such file .*lerobot/pi05"),
    ):
        path.write_text(yaml.safe_dump({**told, "vla": {**told["vla"], field: "nowhere"}}))
        with pytest.raises(ConfigError, match=said):
            parse_arguments([f"size:={path}"], LearnOptions)
        assert load_preset(size=str(path)).vla.horizon == 10, "an old run's can be read"


def test_a_checkpoint_wants_the_tokenizer_that_it_was_trained_with(size, tmp_path):
    told = yaml.safe_load(size.read_text())
    path = tmp_path / "other.yaml"
    more = {"tokenizer": None, "checkpoint": str(tmp_path)}
    path.write_text(yaml.safe_dump({**told, "vla": {**told["vla"], **more}}))
    with pytest.raises(ConfigError, match=r"tokenizer null with checkpoint .* \(set tokenizer to"):
        parse_arguments([f"size:={path}"], LearnOptions)


def test_the_size_for_a_gpu_is_the_full_model():
    config = load_preset(size="pi05").vla
    assert (config.vlm.width, config.expert.width, config.depth) == (2048, 1024, 18)
    assert (config.horizon, config.dtype) == (16, "bfloat16")


@pytest.mark.parametrize("layout", ["openpi", "lerobot"])
def test_the_policy_of_a_run_is_exported(size, tmp_path, monkeypatch, capsys, layout):
    monkeypatch.setenv("EXPO_FT_RUNS", str(tmp_path / "runs"))
    run = make_run(tmp_path / "runs" / "first", preset="recommended", size=str(size))
    agent = make_agent(size)
    with torch.no_grad():
        for parameter in agent.vla.trainable("sft").values():
            parameter.add_(0.01)
    (run / "checkpoints").mkdir()
    agent.save(checkpoint_path(run / "checkpoints", 1))
    assert cli.main(["export", str(tmp_path / "out"), f"policy:={layout}"]) == 0
    assert str(run) in capsys.readouterr().out
    vla = load_preset(size=str(size)).vla
    exported = build_policy(
        vla.model_copy(update={"checkpoint": tmp_path / "out"}), load_robot("sim").views, CPU
    )
    images, state = torch.rand(1, 2, 3, SIZE, SIZE), torch.randn(1, 10)
    drawn = [
        one.sample(
            one.prepare(["pick up the cube"], state, images), 1, torch.Generator().manual_seed(0)
        )
        for one in (agent.vla, exported)
    ]
    torch.testing.assert_close(*drawn, rtol=0, atol=1e-4)


def test_an_export_that_cannot_be_is_refused(size, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("EXPO_FT_RUNS", str(tmp_path / "runs"))
    run = make_run(tmp_path / "runs" / "first", preset="recommended", size=str(size))
    assert cli.main(["export", str(tmp_path / "out"), "policy:=openpi"]) == 2
    assert "has no checkpoints yet" in capsys.readouterr().err
    (run / "checkpoints").mkdir()
    make_agent(size).save(checkpoint_path(run / "checkpoints", 1))
    assert cli.main(["export", str(tmp_path / "out"), "policy:=onnx"]) == 2
    assert "layout 'onnx' isn't known (known: openpi, lerobot)" in capsys.readouterr().err
    (tmp_path / "base").mkdir()
    assert cli.main(["export", str(tmp_path / "base"), "policy:=openpi"]) == 2
    assert "base: there is something already" in capsys.readouterr().err

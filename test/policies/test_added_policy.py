# SPDX-License-Identifier: Apache-2.0
"""A policy that is added by one folder goes through a whole run; what is wrong with one is said."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch

from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.control.plan import LEARNED_STAGES
from expo_ft_ros.data.episode import Episode
from expo_ft_ros.experiment.arguments import parse_arguments
from expo_ft_ros.experiment.bench_options import LearnOptions
from expo_ft_ros.experiment.options import EvalOptions, TrainOptions
from expo_ft_ros.experiment.preflight import open_run, prepare_run
from expo_ft_ros.experiment.rollout import InProcessRollout
from expo_ft_ros.experiment.trainer import Trainer, make_session
from expo_ft_ros.policies.registry import FOLDERS_VARIABLE, known_policies
from expo_ft_ros.rl.agent import Agent
from expo_ft_ros.rl.checkpoint import save_state
from expo_ft_ros.rl.checkpoint_files import checkpoint_path
from expo_ft_ros.rl.config import ALGORITHM_NAMES, AgentConfig, load_preset
from expo_ft_ros.robots import load_robot
from expo_ft_ros.tasks import load_task
from support import added_policy
from support.agents import go_on, weights_of
from support.episodes import make_episode

CHANGES = {
    "warmup_episodes": "0",
    "vla_waits": "false",
    "warmup_updates": "2",
    "edits": "true",
    "edits_after": "0",
    "critic_steps_per_update": "3",
    "batch": "16",
    "imitation.steps": "10",
    "imitation.batch": "8",
    "baseline.critic_steps_per_update": "2",
    "baseline.updates_per_step": "0.2",
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    folder = added_policy.add(tmp_path / "policies")
    monkeypatch.setenv(FOLDERS_VARIABLE, str(folder))
    return folder


def make_agent(config: AgentConfig, algorithm: str = "expo_ft") -> Agent:
    return Agent(load_task("cube_pick"), config, load_robot("sim").views, 0, algorithm)


@pytest.mark.slow
def test_one_folder_is_a_whole_run(folder, tmp_path):
    """Demonstration, imitation, evaluation, RL, evaluation; a checkpoint, and on from it."""
    options = parse_arguments([f"size:={added_policy.SIZE}"], LearnOptions)
    agent = make_agent(load_preset(size=options.size, changes=CHANGES))
    task, episodes, lines = agent.task, [], []
    session = make_session(
        demos=1, eval_trials=1, steps=60, max_steps=60, seed=0, operator="scripted"
    )
    rollout = InProcessRollout(task, agent.config.image_size, 0, 1.0, 1.0)
    take = agent.add_episode
    agent.add_episode = lambda episode: episodes.append(episode) or take(episode)
    try:
        Trainer(agent, session, rollout, lines.append).run()
    finally:
        rollout.close()
    stages = list(dict.fromkeys(line["stage"] for line in lines))
    assert stages == ["collect", "imitation", "eval_before", "rl", "eval_after"]
    assert all(episode.outcome.stage in LEARNED_STAGES for episode in episodes)
    assert agent.critic_updates > 0
    assert agent.vla_trainer.updates > 0
    metrics = [value for line in lines for value in line.get("metrics", {}).values()]
    assert metrics
    assert np.isfinite(metrics).all()

    path, before = tmp_path / "a.safetensors", list(episodes)
    agent.save(path)
    go_on_learning(agent, before[-1])
    resumed = make_agent(agent.config)
    resumed.load(path)
    for episode in before:
        resumed.add_episode(episode)
    resumed.restore_caches(lost=False)
    go_on_learning(resumed, before[-1])
    expected = weights_of(agent)
    for name, value in weights_of(resumed).items():
        assert torch.equal(value, expected[name]), name


def go_on_learning(agent: Agent, episode: Episode) -> None:
    agent.add_episode(episode)
    for _ in agent.learn(1):
        pass


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ALGORITHM_NAMES)
def test_every_algorithm_learns_with_it(folder, algorithm):
    agent = make_agent(load_preset(size=added_policy.SIZE, changes=CHANGES), algorithm)
    size = agent.config.image_size
    agent.add_episode(make_episode(1, 14, terminated=True, stage="collect", size=size))
    agent.imitate(go_on)
    agent.add_episode(make_episode(2, 12, terminated=True, size=size))
    assert np.isfinite(list(agent.update(go_on).values())).all()


def test_what_is_frozen_is_neither_published_nor_kept_twice(folder, tmp_path):
    agent = make_agent(load_preset("paper", added_policy.SIZE))
    networks = agent.vla_trainer.networks
    assert set(networks) == {"vla", "trained_vla", "target_vla"}
    for vla in networks.values():
        assert "projection" not in vla.weights()
        assert vla.projection.data_ptr() == agent.vla.projection.data_ptr()


def test_a_size_is_a_name_or_a_path(folder, tmp_path, monkeypatch):
    assert added_policy.KIND in known_policies()
    named = load_preset(size=added_policy.SIZE)
    own = folder / added_policy.KIND / "pixel.yaml"
    (tmp_path / "elsewhere.yaml").write_text(own.read_text())
    monkeypatch.chdir(tmp_path)
    for given, path in (("elsewhere.yaml", tmp_path / "elsewhere.yaml"), ("pixel", own)):
        options = parse_arguments([f"size:={given}"], LearnOptions)
        assert options.size == str(path), "a resumed run may be started elsewhere"
        assert load_preset(size=options.size) == named
    # A file in its policy's folder needs no variable.
    monkeypatch.delenv(FOLDERS_VARIABLE)
    assert load_preset(size=str(own)) == named
    assert make_agent(load_preset(size=str(own))).vla.noise_dim == 9
    with pytest.raises(ConfigError, match=r"elsewhere.yaml:4: vla.kind: no policy 'pixel_vla'"):
        parse_arguments(["size:=elsewhere.yaml"], LearnOptions)
    with pytest.raises(ConfigError, match=r"size:=pixel: no size 'pixel' "):
        parse_arguments(["size:=pixel"], LearnOptions)
    with pytest.raises(ConfigError, match=r"nowhere.yaml: file: No such file"):
        parse_arguments(["size:=nowhere.yaml"], LearnOptions)


def test_a_run_whose_policy_is_gone_is_refused_before_anything_starts(
    folder, tmp_path, monkeypatch
):
    monkeypatch.setenv("EXPO_FT_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("EXPO_FT_ISOLATE", "1")
    monkeypatch.delenv("ROS_DOMAIN_ID", raising=False)
    run = open_run("train", [f"size:={added_policy.SIZE}", "steps:=100"], TrainOptions)
    run.close()
    path = run.path
    save_state(checkpoint_path(path / "checkpoints", 1), {"x": torch.zeros(9)}, 1)
    monkeypatch.delenv(FOLDERS_VARIABLE)
    prepare_run("eval", [f"checkpoint:={path}"], EvalOptions)
    shutil.rmtree(folder / added_policy.KIND)
    before = sorted(tmp_path.rglob("*"))
    for command, word, model in (
        ("eval", "checkpoint", EvalOptions),
        ("train", "resume", TrainOptions),
    ):
        with pytest.raises(ConfigError, match=r"pixel\.yaml: file: No such file"):
            prepare_run(command, [f"{word}:={path}"], model)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (
            ("kind: pixel_vla", "kind: pixel"),
            r"pixel.yaml:4: vla.kind: no policy 'pixel' \(did you",
        ),
        (
            ("  kind: pixel_vla\n", ""),
            r"vla.kind: missing \(add it: .*known: flow_vla, .*pixel_vla\)",
        ),
        (("horizon: 10", "width: 4"), r"pixel.yaml:5: vla.width: 4: .*allowed: >= 8"),
        (("horizon: 10", "depth: 4"), r"pixel.yaml:5: vla.depth: no such field"),
        (("encoder: own", "encoder: shared"), r"critic.encoder shared: pixel_vla gives no image"),
        (("augmentation: colour", "vla_encoder_every: 2"), r"can't train its image encoder"),
        (("augmentation: colour", "vla_state_noise: 0.1"), r"pixel_vla has the state in its prom"),
    ],
)
def test_what_does_not_fit_the_policy_is_refused_with_its_place(folder, wrong, said):
    path = folder / added_policy.KIND / "pixel.yaml"
    assert wrong[0] in path.read_text()
    path.write_text(path.read_text().replace(*wrong))
    with pytest.raises(ConfigError, match=said):
        parse_arguments([f"size:={added_policy.SIZE}"], LearnOptions)


def broken(folder, name: str, config: str, model: str = "") -> None:
    (folder / name).mkdir()
    (folder / name / "config.py").write_text(config)
    (folder / name / "model.py").write_text(model)
    (folder / name / f"{name}.yaml").write_text(
        (folder / added_policy.KIND / "pixel.yaml").read_text().replace("pixel_vla", name)
    )


GOOD = """
from typing import Literal
from expo_ft_ros.policies.config import PolicyConfig
class Mine(PolicyConfig):
    kind: Literal["{name}"] = "{name}"
CONFIG = Mine
"""


@pytest.mark.parametrize(
    ("name", "config", "said"),
    [
        ("half_a_file", "class Mine(", r"half_a_file/config.py: can't be imported: .*never closed"),
        ("no_package", "import nowhere_at_all", r"can't be imported: No module named 'nowhere"),
        ("no_config", "", r"no_config/config.py: CONFIG: not a PolicyConfig"),
        ("renamed", GOOD.format(name="other"), r"renamed/config.py: kind: its default is not"),
    ],
)
def test_a_broken_policy_is_named_by_its_file(folder, name, config, said):
    broken(folder, name, config)
    with pytest.raises(ConfigError, match=said):
        load_preset(size=name)


def test_a_policy_without_a_model_is_named_by_its_file(folder):
    broken(folder, "no_model", GOOD.format(name="no_model"))
    with pytest.raises(ConfigError, match=r"no_model/model.py: build: missing"):
        make_agent(load_preset(size="no_model"))


def test_two_policies_of_one_name_are_refused(folder, tmp_path, monkeypatch):
    again = added_policy.add(tmp_path / "again")
    with pytest.raises(ConfigError, match=r"again/pixel_vla: policy: there is one of this name"):
        load_preset(size=str(again / added_policy.KIND / "pixel.yaml"))
    monkeypatch.setenv(FOLDERS_VARIABLE, f"{folder}:{again}")
    with pytest.raises(ConfigError, match=r"again/pixel_vla: policy: there is one of this name"):
        known_policies()
    monkeypatch.setenv(FOLDERS_VARIABLE, str(tmp_path / "nothing"))
    with pytest.raises(ConfigError, match=r"EXPO_FT_POLICIES=.*no such folder"):
        known_policies()

# SPDX-License-Identifier: Apache-2.0
"""The presets: in what they differ, and that each of them learns."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.rl.actor_critic import ValueNetwork
from expo_ft_ros.rl.config import AlgorithmConfig, load_preset, require_room
from expo_ft_ros.rl.preset_files import known_names
from expo_ft_ros.tasks import known_tasks, load_task
from support.agents import SMALL_CRITIC, fed, go_on, weights_of

CHOICES = {
    "paper": {
        "vla_data": "all",
        "target_vla": "polyak",
        "target_candidates": "fresh",
        "window_end": "exact",
        "bootstrap_on_truncation": True,
    },
    "author": {
        "vla_data": "successful",
        "target_vla": "online",
        "target_candidates": "fresh",
        "window_end": "dropped",
        "bootstrap_on_truncation": False,
    },
}


EDITS_OF_THE_PAPER = {
    "hidden": 256,
    "knots": 0,
    "position_scale": 1.0,
    "rotation_scale": 1.0,
    "gripper_scale": 1.0,
    "zero_start": False,
    "initial_std": 1.0,
    "alpha": 1.0,
    "alpha_learning_rate": None,
    "shifted_target": False,
    "gripper_decisions": 0,
    "agreed_decisions": False,
    "steps_per_update": 1,
    "trained_on": "executed",
    "evaluation": "mode",
    "pessimistic_edit_gain": False,
}
"""Each step's seven numbers within +-beta, one edit step a call, evaluated by their mode."""


def fields(preset: str) -> dict[str, object]:
    config = load_preset(preset)
    return {name: getattr(config, name) for name in AlgorithmConfig.model_fields}


def test_paper_and_author_differ_in_what_their_sources_say_only():
    paper, author = fields("paper"), fields("author")
    differing = {name for name in paper if paper[name] != author[name]}
    assert differing == {n for n, v in CHOICES["paper"].items() if v != CHOICES["author"][n]}
    for preset, found in (("paper", paper), ("author", author)):
        assert {name: found[name] for name in CHOICES[preset]} == CHOICES[preset]
        assert found["edit"].model_dump() == EDITS_OF_THE_PAPER
        assert (found["edits_after"], found["explore_share"], found["explore_share_warmup"]) == (
            0,
        ) * 3
        assert (found["minimum_of"], found["candidates"], found["edits"]) == (2, 8, True)
        assert (found["critic_steps_per_update"], found["batch"], found["tau"]) == (20, 64, 5e-3)


@pytest.mark.slow
@pytest.mark.parametrize("preset", known_names("presets"))
def test_every_preset_learns(preset):
    small = {"critic_steps_per_update", "baseline", "warmup_episodes", "batch"}
    chosen = {name: value for name, value in fields(preset).items() if name not in small}
    chosen["warmup_updates"] = min(chosen["warmup_updates"], 2)
    agent = fed(**chosen)
    before = {name: value.clone() for name, value in weights_of(agent).items()}
    metrics = agent.update(go_on)
    assert np.isfinite(list(metrics.values())).all()
    moved = {n for n, value in weights_of(agent).items() if not torch.equal(value, before[n])}
    edits = ("actor.", "log_alpha") if agent.config.edits else ()
    # Nobody has corrected anything.
    vla = () if agent.config.vla_waits else ("vla.",)
    for part in (*vla, "value.ensemble", "target.ensemble", *edits):
        assert any(name.startswith(part) for name in moved), f"{part} learned nothing"


def test_fresh_candidates_are_drawn_for_each_batch():
    agent = fed(target_candidates="fresh")
    drawn = []
    draw = agent.memory.draw_candidates
    agent.memory.draw_candidates = lambda slots, count: drawn.append(slots) or draw(slots, count)
    agent.update(go_on)
    after = agent.config.critic_steps_per_update
    assert len(drawn) >= after, "once for each critic step"
    assert all(len(np.unique(slots)) == len(slots) for slots in drawn)


def test_dropped_windows_are_whole_and_exact_ones_reach_the_end():
    for end, shortest in (("dropped", 8), ("exact", 1)):
        agent = fed(window_end=end)
        length = np.concatenate([agent.memory.batch().length for _ in range(20)])
        assert length.min() == shortest


@pytest.mark.parametrize("encoder", ["own", "resnet", "shared"])
def test_each_encoder_learns_from_the_value_loss(encoder):
    critic = load_preset().critic.model_copy(update=SMALL_CRITIC | {"encoder": encoder})
    agent = fed(critic=critic)
    value: ValueNetwork = agent.algorithm.networks.value
    before = [p.detach().clone() for p in value.encoder.parameters()]
    agent.update(go_on)
    changed = [
        not torch.equal(p, q) for p, q in zip(value.encoder.parameters(), before, strict=True)
    ]
    assert all(changed)


@pytest.mark.parametrize("size", known_names("sizes"))
@pytest.mark.parametrize("task", known_tasks())
def test_replay_holds_every_task_s_run(size, task):
    config, wanted = load_preset(size=size), load_task(task)
    require_room(config, wanted.env_steps, wanted.demonstrations, wanted.max_steps)
    with pytest.raises(ConfigError, match="the demonstrations would be forgotten"):
        require_room(config, 40_000, 10, wanted.max_steps)

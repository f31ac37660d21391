# SPDX-License-Identifier: Apache-2.0
"""`bench core`: each configuration has its turn at its own threads."""

from __future__ import annotations

import json

import pytest
import torch

from expo_ft_ros.cli import bench_core
from expo_ft_ros.rl.agent import Agent

_TINY = (
    "image_size=16,replay_capacity=200,critic_steps_per_update=2,vla_steps_per_update=0,"
    "candidates=2,batch=4"
)


@pytest.fixture(autouse=True)
def process_threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.slow
def test_each_configuration_is_measured_at_its_own_threads(tmp_path, monkeypatch):
    seen: list[tuple[str, int, int]] = []
    act, learn = Agent.act, Agent.learn

    def noted_act(agent, *given):
        seen.append(("act", agent.config.threads, torch.get_num_threads()))
        return act(agent, *given)

    def noted_learn(agent, *given):
        seen.append(("learn", agent.config.threads, torch.get_num_threads()))
        return learn(agent, *given)

    monkeypatch.setattr(Agent, "act", noted_act)
    monkeypatch.setattr(Agent, "learn", noted_learn)
    monkeypatch.setattr(bench_core, "results_folder", lambda: tmp_path)
    monkeypatch.setattr(bench_core, "_EPISODES", 2)
    monkeypatch.setattr(bench_core, "_LENGTH", 20)
    monkeypatch.setattr(bench_core, "_SLOTS", 4)
    change = f"{_TINY},threads=1;{_TINY},threads=2"
    assert bench_core.main([f"change:={change}", "turns:=2"]) == 0
    assert {(what, wanted) for what, wanted, _ in seen} == {
        (what, wanted) for what in ("act", "learn") for wanted in (1, 2)
    }
    assert [wanted for _, wanted, _ in seen] == [threads for _, _, threads in seen]
    (result,) = tmp_path.glob("core_*.json")
    rows = json.loads(result.read_text())["milliseconds"]
    assert len(rows) == 2
    assert all(value > 0 for row in rows.values() for value in row.values())

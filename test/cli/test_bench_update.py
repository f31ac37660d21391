# SPDX-License-Identifier: Apache-2.0
"""`bench update`: both kinds of an update call, of a pi0.5 that needs no file."""

from __future__ import annotations

import json

import pytest

from expo_ft_ros.cli import bench_core, bench_update

CHANGE = (
    "image_size=16,replay_capacity=200,critic_steps_per_update=5,refresh_per_update=8,batch=8,"
    "candidates=2,target_candidates_of=0,vla_steps_per_update=1,imitation.batch=4,threads=1,"
    "vla.image_size=28,vla.euler_steps=2"
)


@pytest.mark.process
@pytest.mark.slow
def test_kept_candidates_leave_the_vla_less_to_do(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(bench_update, "results_folder", lambda: tmp_path)
    monkeypatch.setattr(bench_core, "_EPISODES", 2)
    monkeypatch.setattr(bench_core, "_LENGTH", 20)
    words = ["size:=pi05_tiny", "turns:=1", f"change:={CHANGE}", "learner_processes:=2"]
    assert bench_update.main(words) == 0
    (result,) = tmp_path.glob("update_pi05_*.json")
    told = json.loads(result.read_text())
    work = {name: cost["gflop"] for name, cost in told["costs"].items()}
    assert work.keys() == {
        *(f"update call, {target} candidates" for target in bench_update.TARGETS),
        *(f"the VLA's candidates of such a call, {target}" for target in bench_update.TARGETS),
    }
    drawn = {t: work[f"the VLA's candidates of such a call, {t}"] for t in bench_update.TARGETS}
    # Five batches of up to eight slots, some of them twice, against eight slots once.
    assert 2 < drawn["fresh"] / drawn["cached"] <= 5
    for target in bench_update.TARGETS:
        assert work[f"update call, {target} candidates"] > drawn[target]
    assert all(
        told["milliseconds"][f"the VLA's steps of a call, learner_processes:={number}"] > 0
        for number in (1, 2)
    )
    assert str(result) in capsys.readouterr().out

# SPDX-License-Identifier: Apache-2.0
"""What the benchmark reads from a run folder."""

import json
from dataclasses import replace

import numpy as np
import pytest

from expo_ft_ros.bringup.runner import RunResult
from expo_ft_ros.cli import bench_graph
from expo_ft_ros.cli.bench_graph import (
    compared,
    main,
    measure_jumps,
    measure_lateness,
    measure_throughput,
    verdicts,
)
from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.experiment.environment import claim_domain
from expo_ft_ros.robots import load_robot
from expo_ft_ros.tasks import load_task
from support.episodes import make_episode

LIMITS = load_robot("sim").limits


def lines(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_throughput(tmp_path):
    lines(tmp_path / "metrics.jsonl", [{"steps": 100}, {"steps": 200}])
    summary = {
        "env_steps": 200,
        "wall_seconds": {"robot": 10.0, "learning": 15.0, "waiting": 5.0},
        "stage_seconds": {"collect": 10.0, "rl": 20.0},
        "critic_updates": 7,
    }
    (tmp_path / "summary.json").write_text(json.dumps(summary))
    measured = measure_throughput(tmp_path)
    assert measured["env_steps_per_second_overall"] == 10.0
    assert measured["env_steps_per_second_rl"] == 10.0
    assert measured["env_steps_per_second_stepping"] == 30.0
    assert measured["critic_updates"] == 7


def test_lateness_is_of_the_online_stage_only(tmp_path):
    episodes = [
        {"stage": "eval_before", "time": 100.0, "seconds": 50.0, "critic_updates": 0},
        {"stage": "rl", "time": 110.0, "seconds": 10.0, "critic_updates": 20},
        {"stage": "rl", "time": 120.0, "seconds": 10.0, "critic_updates": 60, "update_ratio": 2.5},
        {"stage": "eval_after", "time": 130.0, "seconds": 10.0, "critic_updates": 60},
    ]
    lines(tmp_path / "metrics.jsonl", episodes)
    told = {"late": 0.001, "ages": {"camera/side": 0.03}}
    ticks = [{"time": 100.05 + 0.1 * number, **told} for number in range(199)]
    ticks += [{"time": 119.99, "late": 0.02, "reaction": 0.004, "chunk_late": None}]
    outside = [{"time": 99.0, "late": 1.0}, {"time": 125.0, "late": 1.0}]
    lines(tmp_path / "ticks.jsonl", ticks + outside)
    measured = measure_lateness(tmp_path)
    assert measured["ticks"] == 200
    assert measured["share_within_5_ms"] == 0.995
    late = measured["late_ms"]
    assert (late["p50"], late["max"]) == (1.0, 20.0)
    assert late["histogram"] == {"1 to 2": 199, "20 to 50": 1}
    assert measured["reaction_ms"]["histogram"] == {"2 to 5": 1}
    assert measured["chunk_late_ms"] == {"count": 0}
    assert measured["ages_ms"] == {
        "camera/side": {"p50": 30.0, "p95": 30.0, "p99": 30.0, "max": 30.0}
    }
    assert measured["critic_updates"] == 40
    assert measured["late_chunks"] == 0
    chunks, ticks, ratio = compared(measured, {**measured, "late_chunks": 3})
    assert chunks == "late chunks: 0 of 0, without learning 3 of 0"
    assert "median 1, 1; greatest 20, 20" in ticks
    assert ratio.endswith(": 2.50")


def test_jumps_are_of_the_policy_alone_and_told_apart_at_a_chunks_begin():
    task = load_task("cube_pick")
    unit = LIMITS.linear_velocity / task.period
    proposed = np.zeros((6, 7), np.float32)
    executed = np.zeros((6, 7), np.float32)
    # Two steps of a chunk, a new one that begins elsewhere along y, the operator, the policy again.
    executed[:, 1] = [0.1, 0.2, 0.5, 0.9, 0.0, 0.0]
    proposed[:, 1] = [0.1, 0.2, 0.6, 0.0, 0.0, 0.0]
    episode = replace(
        make_episode(1, 6, terminated=True),
        proposed=proposed,
        executed=executed,
        chunk=np.array([1, 1, 2, 2, 2, 2], dtype=np.uint64),
        source=np.array([0, 0, 0, 1, 0, 0], dtype=np.uint8),
    )
    found = measure_jumps([episode], LIMITS.scale() / task.period)
    assert found["jump_new_chunk_asked_mps2"]["max"] == pytest.approx(0.4 * unit, abs=0.01)
    assert found["jump_new_chunk_executed_mps2"]["max"] == pytest.approx(0.3 * unit, abs=0.01)
    assert found["jump_within_chunk_executed_mps2"]["max"] == pytest.approx(0.1 * unit, abs=0.01)
    assert found["jump_limit_mps2"] == 5.0


def test_it_says_what_was_held_and_what_was_missed():
    measured = {
        "reaction_ms": {"count": 0},
        "told_ms": {"count": 300, "p99": 2.5},
        "jump_new_chunk_executed_mps2": {"max": 5.0},
        "jump_limit_mps2": 5.0,
    }
    assert verdicts(measured) == [
        "MISSED: told_ms 2.5 at the 99th percentile of 300 (asked: under 2)",
        "held: jump_new_chunk_executed_mps2 5 at most (limit: 5)",
    ]
    assert verdicts({"reaction_ms": {"count": 9, "p99": 14.9}})[0].startswith("held: reaction_ms")


def test_a_run_that_cannot_be_measured_says_why(tmp_path):
    with pytest.raises(ConfigError, match="finished run"):
        measure_throughput(tmp_path)
    with pytest.raises(ConfigError, match=r"metrics\.jsonl: not there"):
        measure_lateness(tmp_path)
    lines(tmp_path / "metrics.jsonl", [{"stage": "collect"}])
    with pytest.raises(ConfigError, match="no episode of the stage rl"):
        measure_lateness(tmp_path)


def test_an_unknown_part_is_refused():
    with pytest.raises(ConfigError, match="known: lockstep, realtime"):
        main(["sideways"])


def test_a_part_gives_its_domain_back_also_where_it_fails(tmp_path, monkeypatch, capsys):
    """The next part takes the same one."""
    monkeypatch.setenv("EXPO_FT_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("ROS_DOMAIN_ID", "99")
    monkeypatch.delenv("EXPO_FT_ISOLATE", raising=False)
    opened = []

    def ends(command, run, specs):
        opened.append(run)
        return RunResult(code=3, cause="its nodes never began")

    monkeypatch.setattr(bench_graph, "run_graph", ends)
    assert main(["realtime"]) == 3
    assert "never began" in capsys.readouterr().out
    assert len(opened) == 1
    claim_domain(tmp_path).close()

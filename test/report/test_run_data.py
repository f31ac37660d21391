# SPDX-License-Identifier: Apache-2.0
"""A run's folder in every state that it may be in."""

import fcntl
import json

import pytest

from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.report.run_data import FINISHED, RUNNING, STOPPED, read_run
from support.runs import line, make_run, training

RESULT = {"successes": 28, "trials": 30}


def test_a_finished_run(tmp_path):
    summary = {"eval_before": None, "eval_after": RESULT, "wall_seconds": {"robot": 60.0}}
    run = read_run(make_run(tmp_path / "a", training(), summary=summary))
    assert (run.kind, run.state, run.control_hz) == ("train", FINISHED, 10.0)
    assert (len(run.counted), len(run.online)) == (31, 25)
    # The summary's word; where it has none, as the episodes say.
    assert run.evaluations == {"eval_before": (1, 2), "eval_after": (28, 30)}
    assert run.wall == {"robot": 60.0}
    assert run.online[-1].numbers["critic/q"] == pytest.approx(0.24)


def test_a_run_that_stopped_or_goes_on(tmp_path):
    path = make_run(tmp_path / "a", training()[:5])
    books = {"wall": {"spent": {"robot": 5.0}, "stages": {"collect": 7.0}}}
    (path / "progress.json").write_text(json.dumps(books))
    (path / "status.json").write_text(json.dumps({"stage": "rl", "note": f"wrote {path}/x.mcap"}))
    run = read_run(path)
    assert (run.state, run.wall, run.stages) == (STOPPED, {"robot": 5.0}, {"collect": 7.0})
    assert run.told == "reinforcement learning online, wrote x.mcap"
    with (path / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert read_run(path).state == RUNNING


def test_a_line_that_was_cut_off_is_left_out_and_told(tmp_path):
    path = make_run(tmp_path / "a", training())
    with (path / "metrics.jsonl").open("a") as file:
        file.write('{"stage": "rl", "epis')
    run = read_run(path)
    assert (len(run.episodes), run.unread) == (31, 1)


def test_what_is_not_a_number_is_not_there(tmp_path):
    """Of a policy without a critic every Q is NaN."""
    lines = [line(1, "rl", value_error=float("nan"), metrics={"critic/q": float("nan"), "x": None})]
    run = read_run(make_run(tmp_path / "a", lines, algorithm="sft"))
    assert run.online[0].numbers == {}


def test_an_empty_run(tmp_path):
    run = read_run(make_run(tmp_path / "a"))
    assert (run.episodes, run.evaluations, run.wall, run.unread) == ((), {}, {}, 0)


def test_a_run_without_the_rate_of_its_task(tmp_path):
    path = make_run(tmp_path / "a")
    (path / "config.yaml").write_text("command: train\noptions: {}\n")
    with pytest.raises(ConfigError, match="doesn't say the task's rate"):
        read_run(path)

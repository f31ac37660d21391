# SPDX-License-Identifier: Apache-2.0
"""Curves of a training from the lines that its session wrote."""

from __future__ import annotations

import json

import numpy as np

from expo_ft_ros.report.told_training import ToldTraining
from support.runs import line, make_run, training

HZ = 10.0


def test_success_with_help_and_without_are_apart(tmp_path):
    told = ToldTraining(make_run(tmp_path / "run", training()), HZ).read()
    # 25 online episodes of 60 steps: the first ten fail, every third after it is helped.
    np.testing.assert_allclose(told.minutes, np.arange(1, 26) * 60 / HZ / 60)
    np.testing.assert_array_equal(told.success[:10], 0)
    np.testing.assert_array_equal(told.alone[:10], 0)
    helped = [place for place in range(10, 25) if place % 3 == 0]
    assert told.success[-1] == 15 / 20
    assert told.alone[-1] == (15 - len(helped)) / 20
    np.testing.assert_allclose(told.human[-1], 30 * len(helped) / (20 * 60))
    np.testing.assert_allclose(told.seconds, 6.0)
    np.testing.assert_allclose(told.mean_seconds, 6.0)
    assert dict(told.evaluations) == {"eval_before": (1, 2), "eval_after": (2, 3)}


def test_what_was_discarded_or_cut_off_is_left_out(tmp_path):
    lines = [line(1, "rl", env_steps=60), line(2, "rl", success=False, env_steps=120)]
    run = make_run(tmp_path / "run", [lines[0], line(3, "rl", discarded=True), lines[1]])
    with (run / "metrics.jsonl").open("a") as file:
        file.write(json.dumps(line(4, "rl"))[:-5])
    told = ToldTraining(run, HZ).read()
    assert told.success.tolist() == [1.0, 0.5]


def test_a_run_that_goes_on_has_a_point_more_after_each_episode(tmp_path):
    run = make_run(tmp_path / "run")
    told = ToldTraining(run, HZ)
    assert len(told.read().minutes) == 0
    with (run / "metrics.jsonl").open("a") as file:
        for number in (1, 2):
            file.write(json.dumps(line(number, "rl", env_steps=60 * number)) + "\n")
            file.flush()
            assert len(told.read().minutes) == number
    assert told.read() is told.read()
    # Another start of it goes on where the first one was.
    assert len(ToldTraining(run, HZ).read().minutes) == 2

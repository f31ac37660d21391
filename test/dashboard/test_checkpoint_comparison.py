# SPDX-License-Identifier: Apache-2.0
"""Checkpoints on the same scenes: what is played, kept, gone on with and refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.dashboard.checkpoint_comparison import new_comparison, play, read_comparison
from expo_ft_ros.experiment.paired_trials import Trials, mcnemar
from support.kept_runs import kept_run


@pytest.fixture
def run(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("EXPO_FT_RUNS", str(tmp_path / "runs"))
    return kept_run()


def checkpoints(run: Path) -> list[Path]:
    return sorted((run / "checkpoints").iterdir())


@pytest.mark.slow
def test_one_that_was_stopped_gives_what_one_in_a_piece_gives(run):
    whole, _ = new_comparison(checkpoints(run), 3, "agent")
    play(whole)
    done = read_comparison(whole)
    assert done.state == "done"
    trials = [done.trials(each) for each in done.checkpoints]
    assert [len(each.success) for each in trials] == [3, 3]
    content = json.loads(whole.read_text())
    first, _ = content["played"]
    content |= {"state": "playing", "played": {first: trials[0].first(1).as_json()}}
    cut = whole.with_name("cut.json")
    cut.write_text(json.dumps(content))
    play(cut)
    assert read_comparison(cut).played == done.played


def test_pairs_are_of_the_scenes_that_both_have_played(run):
    path, asked = new_comparison(checkpoints(run), 4, "agent")
    assert asked.pairs() == []
    one, other = (str(each) for each in asked.checkpoints)
    played = {
        one: Trials((True, True, False, True), (True,) * 4, (5,) * 4).as_json(),
        other: Trials((False, True, True), (True,) * 3, (5,) * 3).as_json(),
    }
    path.write_text(json.dumps({**json.loads(path.read_text()), "played": played}))
    ((_, _, both, pair),) = read_comparison(path).pairs()
    assert (both, pair.better, pair.worse) == (3, 1, 1)
    assert pair.p == mcnemar(1, 1)


def test_several_tasks_share_no_scene(run):
    other = run.with_name("other")
    shutil.copytree(run, other)
    config = (other / "config.yaml").read_text()
    (other / "config.yaml").write_text(config.replace("task: cube_pick", "task: candy_scoop"))
    path, _ = new_comparison([checkpoints(run)[0], checkpoints(other)[0]], 2, "agent")
    with pytest.raises(ConfigError, match="of several tasks"):
        play(path)
    failed = read_comparison(path)
    assert failed.state == "failed"
    assert "candy_scoop" in failed.why


def test_a_broken_file_is_named(tmp_path):
    for text in ("", "{}", "[" * 100_000):
        (tmp_path / "x.json").write_text(text)
        with pytest.raises(ConfigError, match=r"x\.json: no comparison"):
            read_comparison(tmp_path / "x.json")

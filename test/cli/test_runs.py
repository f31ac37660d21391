# SPDX-License-Identifier: Apache-2.0
"""The list of runs, and the version."""

import expo_ft_ros
from expo_ft_ros.cli import main as cli
from expo_ft_ros.experiment.run_folder import lock_folder
from support.runs import make_run

EVALUATIONS = {
    "env_steps": 310,
    "eval_before": {"successes": 2, "trials": 6},
    "eval_after": {"successes": 5, "trials": 6},
}


def lines(capsys, *words):
    assert cli.main(["runs", *words]) == 0
    return capsys.readouterr().out.splitlines()


def test_a_run_is_running_finished_or_stopped(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("EXPO_FT_RUNS", str(tmp_path))
    make_run(tmp_path / "a", summary=EVALUATIONS)
    make_run(tmp_path / "b", kind="collect")
    held = lock_folder(make_run(tmp_path / "c"))
    (tmp_path / "c" / "status.json").write_text('{"env_steps": 40}')
    first, header, *runs = lines(capsys, "list")
    held.close()
    assert first == f"{tmp_path}: 3 runs"
    assert header.split() == ["run", "command", "task", "state", "steps", "success"]
    assert [line.split() for line in runs] == [
        ["a", "train", "cube_pick", "finished", "310", "2/6", "->", "5/6"],
        ["b", "collect", "cube_pick", "stopped", "-", "-"],
        ["c", "train", "cube_pick", "running", "40", "-"],
    ]


def test_what_cannot_be_read_is_listed_all_the_same(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("EXPO_FT_RUNS", str(tmp_path))
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "config.yaml").write_text("[")
    (tmp_path / "broken" / "summary.json").write_text("{")
    assert lines(capsys)[-1].split() == ["broken", "-", "-", "stopped", "-", "-"]


def test_without_runs_it_says_where_it_looked(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("EXPO_FT_RUNS", str(tmp_path / "none"))
    assert lines(capsys) == [f"{tmp_path / 'none'}: 0 runs"]
    assert cli.main(["runs", "lst"]) == 2
    assert "did you mean list" in capsys.readouterr().err


def test_the_version_is_that_of_the_package(capsys):
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out.split()[:2] == ["expo_ft_ros", expo_ft_ros.__version__]

# SPDX-License-Identifier: Apache-2.0
"""Runs side by side: results, and only what differs."""

import pytest

from expo_ft_ros.cli import main as cli
from expo_ft_ros.report.comparison import differences, titles
from expo_ft_ros.report.run_data import read_run
from support.pages import Parsed, assert_alone
from support.runs import make_run, training

RESULT = {"eval_after": {"successes": 27, "trials": 30}}


@pytest.fixture
def runs(tmp_path, monkeypatch):
    monkeypatch.setenv("EXPO_FT_RUNS", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    make_run(tmp_path / "a", training(), summary=RESULT, seed=0, run_dir="/somewhere/a")
    make_run(tmp_path / "b", training()[:20], seed=1, run_dir="/somewhere/b", algorithm="<sft>")
    make_run(tmp_path / "c", kind="collect")
    return tmp_path


def test_a_page_of_several_runs(runs, capsys):
    assert cli.main(["report", "compare:=true", "a", "b", "c"]) == 0
    assert "Comparison of 3 runs: comparison.html" in capsys.readouterr().out
    page = (runs / "comparison.html").read_text()
    parsed = Parsed(page)
    assert "a finished 1/2 9% to 91% 27/30 74% to 97% 1500 2.5 10% -" in parsed.text
    assert "b stopped 1/2 9% to 91% - - 1020 1.7" in parsed.text
    assert "c stopped - - - - - - - -" in parsed.text
    assert "algorithm expo_ft <sft> expo_ft" in parsed.text
    assert_alone(page, parsed, runs)
    assert not (runs / "a" / "report.html").exists()


def test_only_what_differs_is_told(runs):
    one, other = (read_run(runs / name) for name in "ab")
    assert differences([one, other]) == [
        ("algorithm", ["expo_ft", "<sft>"]),
        ("seed", ["0", "1"]),
    ]
    assert differences([one, one]) == []
    assert one.settings["task.limits.linear_velocity"] == "0.25"
    assert one.settings["task.workspace.high"] == "0.65, 0.25, 0.4"


def test_the_machine_is_told_where_it_differs_but_not_when_it_was_and_how_busy(tmp_path):
    """Of a run of before machines were recorded it isn't known."""
    small = {"time": "now", "cpu": "a small one", "cores": 2, "load_before": 0.1}
    large = {"time": "then", "cpu": "a large one", "cores": 2, "load_before": 1.0}
    runs = [
        read_run(make_run(tmp_path / str(place), machine=machine))
        for place, machine in enumerate((small, large, None))
    ]
    assert differences(runs[:2]) == [("machine.cpu", ["a small one", "a large one"])]
    assert differences(runs)[0] == ("machine.cores", ["2", "2", "-"])


def test_runs_of_one_name_can_be_told_apart(runs):
    one, other = (read_run(runs / name) for name in "ab")
    assert titles([one, other, one]) == ["a", "b", "a (2)"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["compare:=true", "a"], "needs two runs at least, got 1"),
        (["compare:=true"], "needs two runs at least, got 0"),
        (["compare:=true", "a", "lost"], "no run there"),
        (["a", "b", "compare:=true", "output:=no/such/folder.html"], "can't be written"),
        (["a", "b"], "report takes one run, got 2"),
        (["a", "output:=x.html"], "output:= is of compare:=true"),
        (["a", "wandbb:=p"], "did you mean wandb?"),
    ],
)
def test_mistakes_are_one_line(runs, words, message, capsys):
    assert cli.main(["report", *words]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert message in err

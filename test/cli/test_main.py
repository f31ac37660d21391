# SPDX-License-Identifier: Apache-2.0
"""The command line as a person meets it: exit codes and one clear line."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from expo_ft_ros.cli import main as cli
from expo_ft_ros.experiment.options import TrainOptions
from expo_ft_ros.experiment.preflight import open_run

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def runs(tmp_path, monkeypatch):
    folder = tmp_path / "runs"
    monkeypatch.setenv("EXPO_FT_RUNS", str(folder))
    # Also beside a graph that runs on this machine.
    monkeypatch.setenv("EXPO_FT_ISOLATE", "1")
    return folder


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["trian"], "unknown command 'trian'"),
        (["train", "stepz:=3"], "did you mean steps"),
        (["train", "steps:=0"], "steps:=0"),
        (["train", "task:=nothing"], "no task 'nothing'"),
        (["train", "resume:=latest"], "no train run in"),
        (["eval"], "checkpoint:=latest: no training on cube_pick in"),
        (["sim", "steps:=3"], "unknown option 'steps'"),
        (["collect", "robot:=ur5"], "known: external, sim"),
        (["report"], "no run in"),
        (["report", "a", "b"], "report takes one run"),
        (["report", "/no/such/run"], "no run there"),
        (["bench"], "known: choice, core, graph, learn"),
        (["bench", "nothing"], "known: choice, core, graph, learn"),
        (["bench", "core", "size:=huge"], "size:=huge: sizes: nothing is called 'huge'"),
        (["bench", "learn", "algorithm:=ppo"], "algorithm:=ppo: no such algorithm"),
        (["bench", "learn", "change:=edits"], "is not field=value"),
        (["doctor", "now"], "doctor takes no arguments"),
        (["keyboard", "fast"], "keyboard takes no options"),
    ],
)
def test_an_error_is_one_line_and_exit_code_2(words, message, capsys, runs):
    assert cli.main(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("expo-ft: ")
    assert err.count("\n") == 1
    assert message in err
    assert not runs.exists()


def test_help_names_every_command(capsys):
    assert cli.main(["--help"]) == 0
    out = capsys.readouterr().out
    assert all(f"\n  {command}" in out for command in cli.COMMANDS)


def test_no_command_is_a_mistake():
    assert cli.main([]) == 2


@pytest.mark.parametrize("command", sorted(cli.COMMANDS))
def test_every_command_has_help(command, capsys):
    assert cli.main([command, "--help"]) == 0
    assert f"usage: expo-ft {command}" in capsys.readouterr().out


def test_the_help_of_a_command_lists_its_options(capsys):
    cli.main(["train", "--help"])
    out = capsys.readouterr().out
    assert all(f"\n  {name}:=" in out for name in TrainOptions.model_fields)


@pytest.mark.process
def test_help_is_quick():
    """No torch, no ROS, no MuJoCo for a person who only asks."""
    code = (
        "import sys; from expo_ft_ros.cli.main import main\n"
        "main(['--help']); main(['train', '--help'])\n"
        "heavy = {'torch', 'rclpy', 'mujoco', 'cv2'} & set(sys.modules); sys.exit(bool(heavy))"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


def test_a_report_of_a_run_that_is_not_finished(capsys):
    run = open_run("train", [], TrainOptions)
    assert cli.main(["report"]) == 0
    assert "Running: it has not got to its first episode" in capsys.readouterr().out
    run.close()
    assert cli.main(["report"]) == 0
    out = capsys.readouterr().out
    assert "Stopped before its end" in out
    assert f"expo-ft train resume:={run.path}" in out
    (run.path / "summary.json").write_text('{"eval_after": {"successes": 9, "trials": 10}}')
    assert cli.main(["report", str(run.path)]) == 0
    assert "9/10 = 90%" in capsys.readouterr().out


def test_a_finished_run_is_reported_instead_of_resumed(capsys):
    run = open_run("train", [], TrainOptions)
    run.close()
    (run.path / "summary.json").write_text('{"eval_after": {"successes": 9, "trials": 10}}')
    assert cli.main(["train", "resume:=latest"]) == 0
    out = capsys.readouterr().out
    assert "is finished; a larger budget" in out
    assert "9/10 = 90%" in out


@pytest.mark.process
def test_the_doctor_finds_what_is_needed(capsys):
    assert cli.main(["doctor"]) == 0
    assert "FAIL" not in capsys.readouterr().out


@pytest.mark.process
@pytest.mark.parametrize("words", [["--help"], ["train", "--help"]])
def test_the_reader_may_go_away(words):
    """As with `expo-ft --help | head -1`: no traceback."""
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "expo_ft_ros.cli", *words]
    done = subprocess.run(command, cwd=ROOT, stdout=writer, stderr=subprocess.PIPE, text=True)
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, "")

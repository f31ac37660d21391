# SPDX-License-Identifier: Apache-2.0
"""The command line as a user meets it: exit codes and one clear line."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from expo_ft_ros.bringup.runner import RunResult
from expo_ft_ros.cli import main as cli
from expo_ft_ros.experiment.options import TrainOptions
from expo_ft_ros.experiment.preflight import open_run
from expo_ft_ros.rl.checkpoint import save_state
from expo_ft_ros.rl.checkpoint_files import checkpoint_path

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
        (["collect", "robot:=iiwa"], "franka_fci, franka_ros2, servo, sim, ur5e"),
        (["report"], "no run in"),
        (["report", "a", "b"], "report takes one run"),
        (["report", "--wandb", "mine"], "(write wandb:=mine)"),
        (["report", "--compare", "a", "b"], "(write compare:=true)"),
        (["report", "/no/such/run"], "no run there"),
        (["bench"], "known: ablation, choice, core, graph, learn, update, vla"),
        (["bench", "nothing"], "known: ablation, choice, core, graph, learn, update, vla"),
        (["bench", "core", "size:=huge"], "size:=huge: no size 'huge' "),
        (["bench", "learn", "algorithm:=ppo"], "algorithm:=ppo: no such algorithm"),
        (["bench", "learn", "change:=edits"], "is not field=value"),
        (["doctor", "now"], "unknown argument 'now'"),
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


@pytest.mark.parametrize(
    "words", [["train"], ["collect"], ["sim"], ["keyboard"], ["bench", "graph"]], ids=" ".join
)
@pytest.mark.parametrize(
    ("variable", "value"),
    [("ROS_DOMAIN_ID", "300"), ("RMW_IMPLEMENTATION", "rmw_none_cpp")],
)
def test_whatever_speaks_ros_says_first_that_the_environment_is_wrong(
    words, variable, value, capsys, runs, monkeypatch
):
    monkeypatch.setenv(variable, value)
    assert cli.main(words) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"expo-ft: {variable}={value}: ")
    assert err.count("\n") == 1
    assert not runs.exists()


def test_the_argument_is_named_before_the_environment(capsys, monkeypatch):
    monkeypatch.setenv("ROS_DOMAIN_ID", "300")
    for words, message in (
        (["train", "robot:=nothing"], "robot:=nothing: no robot"),
        (["keyboard", "fast"], "keyboard takes no options"),
        (["bench", "graph", "sideways"], "bench graph has no part 'sideways'"),
    ):
        assert cli.main(words) == 2
        assert message in capsys.readouterr().err


def test_what_a_run_begins_with_is_said_before_it_starts(capsys, monkeypatch):
    """The newest checkpoint was cut off: the one before it is taken, and both are named."""
    run = open_run("train", [], TrainOptions)
    run.close()
    paths = [checkpoint_path(run.path / "checkpoints", version) for version in (1, 2)]
    for version, path in enumerate(paths, start=1):
        save_state(path, {"x": torch.zeros(9)}, version)
    paths[1].write_bytes(paths[1].read_bytes()[:-5])
    told = []

    def graph(*given):
        told.append(capsys.readouterr().out)
        return RunResult(1, "a test starts none")

    monkeypatch.setattr("expo_ft_ros.cli.graph.run_graph", graph)
    for words in (["train", "resume:=latest"], ["eval"], ["eval", f"checkpoint:={run.path}"]):
        assert cli.main(words) == 1
        skipped = f"Skipped: {paths[1]} is cut off or damaged"
        assert told[-1].splitlines()[1:] == [skipped, f"Weights: {paths[0]} (version 1)"]


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
    """No torch, no ROS, no MuJoCo for a user who only asks."""
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

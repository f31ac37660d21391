"""Creating, finding and resuming runs."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.experiment.options import CollectOptions, EvalOptions, TrainOptions, budget
from expo_ft_ros.experiment.run_folder import (
    METRICS_FILE,
    RunFinished,
    find_checkpoint,
    find_run,
    is_running,
    open_run,
    read_config,
    trained_with,
)
from expo_ft_ros.recording.lerobot import DatasetWriter
from expo_ft_ros.tasks import load_task
from support.episodes import make_episode


@pytest.fixture(autouse=True)
def runs(tmp_path, monkeypatch):
    folder = tmp_path / "runs"
    monkeypatch.setenv("EXPO_FT_RUNS", str(folder))
    return folder


def train(*arguments):
    return open_run("train", arguments, TrainOptions)


def closed(*arguments):
    run = train(*arguments)
    run.lock.close()
    return run


def test_a_new_run_has_its_folders_and_its_resolved_config(runs):
    run = train("steps:=300")
    assert run.path.parent == runs
    assert run.path.name.endswith("_cube_pick")
    assert all((run.path / name).is_dir() for name in ("logs", "checkpoints", "episodes"))
    config = yaml.safe_load((run.path / "config.yaml").read_text())
    assert config["command"] == "train"
    assert config["resolved"]["mode"] == "sync"
    assert config["budget"]["steps"] == 300
    assert config["task"]["name"] == "cube_pick"
    assert config["machine"]["cores"] >= 1
    assert not run.resumed


def test_two_runs_in_one_second_have_two_folders():
    assert train().path != train().path


def test_a_dataset_that_is_not_there_is_told_before_there_is_a_folder(runs, tmp_path):
    with pytest.raises(ConfigError, match="no LeRobot dataset"):
        train(f"demonstrations:={tmp_path}")
    assert not runs.exists()


def test_a_dataset_that_was_moved_can_be_named_anew(tmp_path):
    with DatasetWriter(tmp_path / "before", 10, "franka") as writer:
        writer.add(make_episode(1, 3, terminated=True))
        writer.close()
    run = closed(f"demonstrations:={tmp_path / 'before'}")
    (tmp_path / "before").rename(tmp_path / "after")
    with pytest.raises(ConfigError, match="before: no LeRobot dataset"):
        train(f"resume:={run.path}")
    again = closed(f"resume:={run.path}", f"demonstrations:={tmp_path / 'after'}")
    assert again.options.demonstrations == str(tmp_path / "after")


def test_a_folder_that_holds_a_run_is_not_used_again(tmp_path):
    closed(f"run_dir:={tmp_path / 'mine'}")
    with pytest.raises(ConfigError, match="resume:="):
        train(f"run_dir:={tmp_path / 'mine'}")


def test_a_folder_that_cannot_be_made_is_one_clear_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="can't be created: Not a directory"):
        train(f"run_dir:={tmp_path / 'file' / 'run'}")


def test_a_run_whose_replay_would_forget_its_demonstrations_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="the demonstrations would be forgotten"):
        train("steps:=20000", f"run_dir:={tmp_path / 'run'}")
    assert not (tmp_path / "run").exists()


def test_resume_keeps_the_options_and_takes_new_ones():
    first = closed("steps:=300", "operator_rate:=0.5")
    again = train(f"resume:={first.path}", "steps:=400")
    assert again.path == first.path
    assert again.resumed
    assert (again.options.steps, again.options.operator_rate) == (400, 0.5)
    assert read_config(first.path)["budget"]["steps"] == 400


def test_resuming_twice_still_knows_the_first_options():
    first = closed("steps:=300", "seed:=7")
    closed("resume:=latest")
    options = train("resume:=latest").options
    assert (options.steps, options.seed) == (300, 7)
    assert read_config(first.path)["options"]["seed"] == 7


def test_latest_is_the_newest_of_its_command(runs):
    first, second = closed(), closed()
    os.utime(first.path / "config.yaml", ns=(1, 1))
    open_run("collect", [], CollectOptions).lock.close()
    assert find_run("latest", "train") == second.path
    assert find_run(first.path.name) == first.path


def test_latest_of_any_command_is_the_newest_that_has_an_episode(runs):
    first, second = closed(), closed()
    os.utime(first.path / "config.yaml", ns=(1, 1))
    assert find_run("latest") == second.path
    (first.path / METRICS_FILE).touch()
    assert find_run("latest") == first.path
    assert find_run("latest", "train") == second.path


@pytest.mark.parametrize("source", ["latest", "/no/such/run"])
def test_a_run_that_is_not_there(source):
    with pytest.raises(ConfigError, match=r"no train run in|no run there"):
        train(f"resume:={source}")


def test_a_run_of_another_command_cannot_go_on():
    run = closed()
    with pytest.raises(ConfigError, match="a run of `expo-ft train`"):
        open_run("collect", [f"resume:={run.path}"], CollectOptions)


def test_a_resumed_run_keeps_its_task_and_its_folder(tmp_path):
    run = closed()
    config = run.path / "config.yaml"
    config.write_text(config.read_text().replace("task: cube_pick", "task: egg_flip"))
    with pytest.raises(ConfigError, match="egg_flip"):
        train(f"resume:={run.path}")
    other = closed()
    with pytest.raises(ConfigError, match="run_dir"):
        train(f"resume:={other.path}", f"run_dir:={tmp_path}")


def test_a_broken_config_is_named():
    run = closed()
    (run.path / "config.yaml").write_text("options: [")
    with pytest.raises(ConfigError, match=r"config\.yaml: can't be read") as caught:
        train(f"resume:={run.path}")
    assert "\n" not in str(caught.value)


def test_one_runner_in_one_folder():
    run = train()
    with pytest.raises(ConfigError, match=f"in use by process {os.getpid()}"):
        train(f"resume:={run.path}")
    run.lock.close()
    assert train(f"resume:={run.path}").resumed


def test_the_newest_checkpoint_of_a_run_is_evaluated():
    run = closed()
    folder = run.path / "checkpoints"
    for age, name in enumerate(["b", "a"]):
        (folder / f"{name}.safetensors").write_bytes(b"")
        os.utime(folder / f"{name}.safetensors", ns=(age, age))
    found = find_checkpoint(EvalOptions())
    assert found == folder / "a.safetensors"
    assert find_checkpoint(EvalOptions(checkpoint=str(found))) == found
    trained = {"algorithm": "expo_ft", "preset": "recommended", "size": "small"}
    assert trained_with(EvalOptions(), found) == trained
    assert trained_with(EvalOptions(preset="paper"), found)["preset"] == "paper"


def test_a_run_without_checkpoints_cannot_be_evaluated():
    run = closed()
    with pytest.raises(ConfigError, match="no checkpoints yet"):
        find_checkpoint(EvalOptions(checkpoint=str(run.path)))
    with pytest.raises(ConfigError, match="no such file"):
        find_checkpoint(EvalOptions(checkpoint=str(Path("/none.safetensors"))))


def finished(*arguments):
    run = closed(*arguments)
    (run.path / "summary.json").write_text("{}")
    return run


@pytest.mark.parametrize("more", [[], ["steps:=300"], ["steps:=200"], ["operator_rate:=1"]])
def test_a_finished_run_is_left_as_it_is(more):
    run = finished("steps:=300")
    before = (run.path / "config.yaml").read_text()
    with pytest.raises(RunFinished, match="is finished"):
        train("resume:=latest", *more)
    assert (run.path / "config.yaml").read_text() == before
    assert (run.path / "summary.json").exists()


def test_a_finished_run_goes_on_when_more_steps_are_asked_for():
    run = finished("steps:=300")
    again = train("resume:=latest", "steps:=400")
    assert again.path == run.path
    assert not (run.path / "summary.json").exists()


def test_a_resumed_short_form_stays_one():
    """Else the demonstrations and trials of the long form would be asked for in the middle."""
    closed("steps:=300")
    options = train("resume:=latest", "steps:=600").options
    work = budget(options, load_task("cube_pick"))
    assert work == replace(budget(TrainOptions(steps=300), load_task("cube_pick")), steps=600)


def test_the_latest_checkpoint_is_of_a_run_that_has_one():
    trained = closed()
    weights = trained.path / "checkpoints" / "a.safetensors"
    weights.write_bytes(b"")
    closed()
    assert find_checkpoint(EvalOptions()) == weights


def test_no_checkpoint_anywhere_says_how_to_get_one():
    closed()
    with pytest.raises(ConfigError, match="checkpoint:=latest: no training on cube_pick"):
        find_checkpoint(EvalOptions())


def test_a_run_is_running_while_its_lock_is_held():
    run = train()
    assert is_running(run.path)
    run.lock.close()
    assert not is_running(run.path)

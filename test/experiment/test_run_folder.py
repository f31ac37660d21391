# SPDX-License-Identifier: Apache-2.0
"""Creating, finding and resuming runs."""

import fcntl
import os
import shutil
import threading
from dataclasses import replace

import pytest
import yaml

from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.experiment.options import CollectOptions, SimOptions, TrainOptions
from expo_ft_ros.experiment.preflight import open_run
from expo_ft_ros.experiment.run_folder import (
    RunFinished,
    find_run,
    first_uncounted,
    is_running,
    read_config,
)
from expo_ft_ros.recording.lerobot import DatasetWriter
from expo_ft_ros.tasks import load_task
from support.episodes import make_episode


@pytest.fixture(autouse=True)
def runs(tmp_path, monkeypatch):
    """Several runs may be open: each has a domain of its own."""
    folder = tmp_path / "runs"
    monkeypatch.setenv("EXPO_FT_RUNS", str(folder))
    monkeypatch.setenv("EXPO_FT_ISOLATE", "1")
    monkeypatch.delenv("ROS_DOMAIN_ID", raising=False)
    return folder


def train(*arguments):
    return open_run("train", arguments, TrainOptions)


def closed(*arguments):
    run = train(*arguments)
    run.close()
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
    assert config["robot"]["limits"]["linear_velocity"] == 0.25
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
        train("steps:=40000", f"run_dir:={tmp_path / 'run'}")
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


def test_latest_is_the_one_that_was_started_last(runs):
    first, second = closed(), closed()
    os.utime(first.path / "config.yaml", (2**31, 2**31))
    open_run("collect", [], CollectOptions).close()
    assert find_run("latest", "train") == second.path
    assert find_run(first.path.name) == first.path
    closed(f"resume:={first.path}")
    assert find_run("latest", "train") == first.path


def test_latest_is_a_run_that_is_starting(runs):
    """It has no episode yet, and the one before it has."""
    before = closed()
    (before.path / "metrics.jsonl").touch()
    starting = train()
    assert find_run("latest") == starting.path


def test_latest_is_a_run_that_records(runs):
    run = closed()
    open_run("sim", [], SimOptions).close()
    assert find_run("latest") == run.path


def test_a_copy_is_not_newer_than_what_was_started_after_it(runs):
    first, second = closed(), closed()
    shutil.copytree(first.path, runs / "zz_copy")
    assert find_run("latest") == second.path


def test_runs_of_older_versions_have_a_time_of_their_own(runs):
    for name, time in (("b", "2026-11-02T10:00:00+0000"), ("a", "2026-11-02T10:00:00+0100")):
        (runs / name).mkdir(parents=True)
        content = {"command": "train", "options": {}, "machine": {"time": time}}
        (runs / name / "config.yaml").write_text(yaml.safe_dump(content))
    assert find_run("latest") == runs / "b"
    newest = closed()
    assert find_run("latest") == newest.path


def test_books_that_are_broken_are_named(tmp_path):
    assert first_uncounted(tmp_path) == 1
    for content in (b"", b"[1]", b'{"session": {"episode": null}}', b"\xff"):
        (tmp_path / "progress.json").write_bytes(content)
        with pytest.raises(ConfigError, match=r"progress\.json: broken .*move it away"):
            first_uncounted(tmp_path)


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
    config.write_text(config.read_text().replace("task: cube_pick", "task: no_task"))
    with pytest.raises(ConfigError, match="no_task"):
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
    run.close()
    assert train(f"resume:={run.path}").resumed


def test_who_only_asks_whether_a_run_goes_on_is_no_runner():
    """A page of all runs asks again and again, and shares the lock for an instant."""
    run = closed()
    with (run.path / ".lock").open() as asked:
        fcntl.flock(asked, fcntl.LOCK_SH)
        answered = threading.Timer(0.02, fcntl.flock, (asked, fcntl.LOCK_UN))
        answered.start()
        assert train(f"resume:={run.path}").resumed
        answered.join()


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
    work = options.budget(load_task("cube_pick"))
    assert work == replace(TrainOptions(steps=300).budget(load_task("cube_pick")), steps=600)


def test_a_run_is_running_while_its_lock_is_held():
    run = train()
    assert is_running(run.path)
    run.close()
    assert not is_running(run.path)

# SPDX-License-Identifier: Apache-2.0
"""Which run a robot may join, by which name, and what is the run's for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from expo_ft_ros.configuration import ConfigError, config_dir
from expo_ft_ros.experiment.options import RobotOptions, TrainOptions
from expo_ft_ros.experiment.preflight import Prepared, prepare_run
from expo_ft_ros.experiment.run_folder import lock_folder, make_folder, write_config
from expo_ft_ros.tasks import load_task


def training(folder: Path, **options) -> Path:
    """A training's folder as its start leaves it."""
    make_folder(folder)
    made = TrainOptions(**{"mode": "async", **options})
    task = load_task(made.task)
    write_config(folder, "train", made, task, made.budget(task))
    return folder


def join(run: Path, *words: str, name: str = "left") -> Prepared[RobotOptions]:
    return prepare_run("robot", [f"join:={run}", f"name:={name}", *words], RobotOptions)


@pytest.fixture
def run(tmp_path):
    """One that goes on."""
    folder = training(tmp_path / "run", task="egg_flip", namespace="cell", seed=3)
    with lock_folder(folder):
        yield folder


def test_task_and_namespace_are_the_runs_and_the_folder_lies_in_its(run):
    left = join(run)
    assert (left.options.task, left.options.namespace) == ("egg_flip", "/cell/left")
    assert left.path == run / "robots" / "left"
    assert not left.resumed
    assert left.domain_folder == run


def test_each_robot_has_scenes_of_its_own_and_keeps_them(run):
    left, right = join(run), join(run, name="right")
    assert len({3, left.options.seed, right.options.seed}) == 3
    make_folder(left.path)
    write_config(left.path, "robot", left.options, left.task, left.budget)
    back = join(run, "operator_share:=0.25")
    assert back.resumed
    assert back.options.seed == left.options.seed
    assert back.options.operator_share == 0.25


@pytest.mark.parametrize("option", ["task:=cube_pick", "namespace:=/own", "run_dir:=elsewhere"])
def test_what_is_the_runs_is_not_chosen(run, option):
    with pytest.raises(ConfigError, match=f"{option}: is the run's .* .leave"):
        join(run, option)


@pytest.mark.parametrize("name", ["Left", "left/arm", "1", "a-b"])
def test_a_name_is_a_namespace(run, name):
    with pytest.raises(ConfigError, match=f"name:={name}: .* is no robot's name"):
        join(run, name=name)


def test_without_a_name_there_is_a_remedy(run):
    with pytest.raises(ConfigError, match="add name:=left"):
        prepare_run("robot", [f"join:={run}"], RobotOptions)


def test_a_name_that_is_taken_is_refused_by_a_line_that_names_both(run):
    left = join(run)
    make_folder(left.path)
    with lock_folder(left.path), pytest.raises(ConfigError) as refused:
        join(run)
    assert "name:=left: two robots are named left: process " in str(refused.value)
    assert str(left.path) in str(refused.value)
    assert not join(run).resumed, "the name is free again"


def test_a_run_in_which_learner_and_robot_wait_for_each_other_has_one(tmp_path):
    folder = training(tmp_path / "run", mode="sync")
    with lock_folder(folder), pytest.raises(ConfigError, match=r"mode is sync.* mode:=async"):
        join(folder)


def test_a_run_that_does_not_go_on_takes_nobody(tmp_path):
    folder = training(tmp_path / "run")
    with pytest.raises(ConfigError, match=r"doesn't run .go on with it: expo-ft train resume:="):
        join(folder)


def test_another_robots_velocities_are_not_mixed(run, tmp_path):
    text = (config_dir() / "robots" / "sim.yaml").read_text()
    assert "linear_velocity: 0.25" in text
    other = tmp_path / "slow.yaml"
    text = text.replace("linear_velocity: 0.25", "linear_velocity: 0.2")
    other.write_text(text.replace("name: sim", "name: slow"))
    with pytest.raises(ConfigError, match=r"its limits are .*0\.2,.*, those of .* are .*0\.25"):
        join(run, f"robot:={other}")

# SPDX-License-Identifier: Apache-2.0
"""Which checkpoint is evaluated, and which a run goes on with: the same rule, and said."""

import os
import shutil

import pytest
import torch
import yaml

from expo_ft_ros.configuration import ConfigError, config_dir
from expo_ft_ros.experiment.options import EvalOptions, TrainOptions
from expo_ft_ros.experiment.preflight import open_run
from expo_ft_ros.experiment.weights import weights_to_evaluate, weights_to_go_on_with
from expo_ft_ros.rl.checkpoint import save_state
from expo_ft_ros.rl.checkpoint_files import checkpoint_path


@pytest.fixture(autouse=True)
def runs(tmp_path, monkeypatch):
    monkeypatch.setenv("EXPO_FT_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("EXPO_FT_ISOLATE", "1")
    monkeypatch.delenv("ROS_DOMAIN_ID", raising=False)
    return tmp_path / "runs"


def trained(*versions, words=()):
    """A run with checkpoints."""
    run = open_run("train", list(words), TrainOptions)
    run.close()
    return run.path, [written(run.path, version) for version in versions]


def written(run, version):
    path = checkpoint_path(run / "checkpoints", version)
    save_state(path, {"x": torch.zeros(9)}, version)
    return path


def cut(path):
    path.write_bytes(path.read_bytes()[:-5])
    return path


def test_the_newest_version_is_evaluated_whatever_the_files_times(runs):
    run, paths = trained(1, 2, 30)
    shutil.copytree(run, runs / "copy")
    os.utime(runs / "copy" / "checkpoints" / paths[0].name, (2**31, 2**31))
    for source in (str(run), "copy"):
        weights = weights_to_evaluate(EvalOptions(checkpoint=source))
        assert (weights.path.name, weights.version) == (paths[2].name, 30)
        assert weights.notes == [f"Weights: {weights.path} (version 30)"]
    resumed = weights_to_go_on_with(runs / "copy", TrainOptions())
    assert resumed.path == runs / "copy" / "checkpoints" / paths[2].name


def test_one_that_was_cut_off_is_skipped_and_named_by_both(runs):
    run, paths = trained(1, 2, 3)
    cut(paths[2])
    for weights in (
        weights_to_evaluate(EvalOptions(checkpoint=str(run))),
        weights_to_evaluate(EvalOptions()),
        weights_to_go_on_with(run, TrainOptions()),
    ):
        assert weights.path == paths[1]
        assert weights.skipped == (paths[2],)
        assert weights.notes == [
            f"Skipped: {paths[2]} is cut off or damaged",
            f"Weights: {paths[1]} (version 2)",
        ]
    assert open_run("train", [f"resume:={run}"], TrainOptions).notes[1:] == weights.notes


def test_where_none_is_whole_neither_begins(runs):
    run, paths = trained(1, 2)
    for path in paths:
        cut(path)
    message = f"none of 2 checkpoints is whole, the newest is {paths[1].name}"
    before = (run / "config.yaml").read_text()
    with pytest.raises(ConfigError, match=message):
        open_run("train", [f"resume:={run}"], TrainOptions)
    for source in (str(run), "latest"):
        with pytest.raises(ConfigError, match=message):
            open_run("eval", [f"checkpoint:={source}"], EvalOptions)
    assert (run / "config.yaml").read_text() == before
    assert [path.name for path in runs.iterdir()] == [run.name]


def test_a_file_is_taken_as_it_is_or_refused(runs):
    _, paths = trained(1, 2)
    weights = weights_to_evaluate(EvalOptions(checkpoint=str(paths[0])))
    assert (weights.path, weights.version) == (paths[0], 1)
    with pytest.raises(ConfigError, match="cut off or damaged"):
        weights_to_evaluate(EvalOptions(checkpoint=str(cut(paths[1]))))
    with pytest.raises(ConfigError, match="no such file"):
        weights_to_evaluate(EvalOptions(checkpoint="/none.safetensors"))


def test_latest_is_of_the_training_that_was_started_last_and_has_one(runs):
    _, (older,) = trained(7)
    _, (newer,) = trained(1)
    trained()
    os.utime(older, (2**31, 2**31))
    assert weights_to_evaluate(EvalOptions()).path == newer


def test_a_run_without_checkpoints_cannot_be_evaluated_but_goes_on(runs):
    run, _ = trained()
    with pytest.raises(ConfigError, match="has no checkpoints yet"):
        weights_to_evaluate(EvalOptions(checkpoint=str(run)))
    with pytest.raises(ConfigError, match="checkpoint:=latest: no training on cube_pick"):
        weights_to_evaluate(EvalOptions())
    assert weights_to_go_on_with(run, TrainOptions(algorithm="dsrl")) is None


def test_they_are_taken_with_what_they_were_trained_with(runs):
    run, (path,) = trained(1, words=["algorithm:=dsrl", "preset:=paper"])
    weights = weights_to_evaluate(EvalOptions())
    assert (weights.algorithm, weights.preset, weights.size) == ("dsrl", "paper", "small")
    assert weights_to_evaluate(EvalOptions(preset="author")).preset == "author"
    for options, message in (
        (EvalOptions(algorithm="expo_ft"), "algorithm:=expo_ft: .* was trained with dsrl"),
        (EvalOptions(size="full"), "size:=full: .* was trained with small"),
        (EvalOptions(task="candy_scoop", checkpoint=str(path)), "was trained on cube_pick"),
        (EvalOptions(task="candy_scoop", checkpoint=str(run)), "was trained on cube_pick"),
    ):
        with pytest.raises(ConfigError, match=message):
            weights_to_evaluate(options)
    for words in (["size:=full"], ["algorithm:=expo_ft"], ["preset:=author"]):
        with pytest.raises(ConfigError, match=f"{words[0]}: .* has checkpoints of"):
            open_run("train", [f"resume:={run}", *words], TrainOptions)


def test_they_are_for_the_velocities_that_an_action_meant_when_they_were_trained(runs):
    run, _ = trained(1)
    sim = yaml.safe_load((config_dir() / "robots" / "sim.yaml").read_text())
    robot = runs / "mine.yaml"
    options = {"robot": str(robot), "checkpoint": str(run)}
    robot.write_text(yaml.safe_dump({**sim, "name": "mine"}))
    assert weights_to_evaluate(EvalOptions(**options)).version == 1
    robot.write_text(yaml.safe_dump({**sim, "name": "mine", "limits": {"linear_velocity": 0.1}}))
    with pytest.raises(ConfigError, match=r"its limits are .*0\.1,.* was trained with .*0\.25"):
        weights_to_evaluate(EvalOptions(**options))
    (run / "config.yaml").write_text("command: train\noptions: {task: cube_pick}\n")
    assert weights_to_evaluate(EvalOptions(**options)).version == 1, "it doesn't say"


@pytest.mark.parametrize("views", [("wrist", "side"), ("side",), ("side", "wrist", "top")])
def test_they_are_for_the_views_that_they_were_trained_on_in_their_order(runs, views):
    run, _ = trained(1)
    sim = yaml.safe_load((config_dir() / "robots" / "sim.yaml").read_text())
    places = [{"name": name, "topic": name, "frame": name} for name in views]
    robot = runs / "mine.yaml"
    robot.write_text(yaml.safe_dump({**sim, "name": "mine", "views": places}))
    message = f"its views are {', '.join(views)}, .* has checkpoints of side, wrist "
    with pytest.raises(ConfigError, match=message):
        weights_to_evaluate(EvalOptions(robot=str(robot)))
    with pytest.raises(ConfigError, match="its robot had views"):
        open_run("train", [f"resume:={run}", f"robot:={robot}"], TrainOptions)
    (run / "config.yaml").write_text("command: train\noptions: {task: cube_pick}\n")
    assert weights_to_evaluate(EvalOptions(robot=str(robot))).version == 1, "it doesn't say"

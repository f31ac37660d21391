# SPDX-License-Identifier: Apache-2.0
"""What a run needs is checked before there is a folder, in the order of who can mend it."""

import importlib.util
import json
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from expo_ft_ros.configuration import ConfigError, config_dir
from expo_ft_ros.experiment import environment
from expo_ft_ros.experiment.environment import claim_domain
from expo_ft_ros.experiment.options import CollectOptions, SimOptions, TrainOptions
from expo_ft_ros.experiment.preflight import open_run
from expo_ft_ros.recording.lerobot import DatasetWriter
from expo_ft_ros.rl.config import SizeConfig
from support.episodes import make_episode


@pytest.fixture(autouse=True)
def runs(tmp_path, monkeypatch):
    folder = tmp_path / "runs"
    monkeypatch.setenv("EXPO_FT_RUNS", str(folder))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    for name in ("EXPO_FT_ISOLATE", "RMW_IMPLEMENTATION", "ROS_AUTOMATIC_DISCOVERY_RANGE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ROS_DOMAIN_ID", "7")
    return folder


def refused(cause, *words, command="train", model=TrainOptions):
    with pytest.raises(ConfigError, match=cause) as caught:
        open_run(command, words, model)
    assert "\n" not in str(caught.value)


@pytest.fixture
def another_graph(tmp_path):
    with claim_domain(tmp_path) as held:
        yield held


@pytest.mark.parametrize(
    ("variable", "value", "cause"),
    [
        ("ROS_DOMAIN_ID", "300", r"ROS_DOMAIN_ID=300: no ROS domain \(.*from 0 to 232"),
        ("ROS_DOMAIN_ID", "-1", "ROS_DOMAIN_ID=-1: no ROS domain"),
        ("ROS_DOMAIN_ID", "0x10", "ROS_DOMAIN_ID=0x10: no ROS domain"),
        ("ROS_DOMAIN_ID", "9" * 5000, "no ROS domain"),
        ("RMW_IMPLEMENTATION", "rmw_zenoh_cpp", "rmw_zenoh_cpp: not installed .*rmw_fastrtps_cpp"),
        ("ROS_AUTOMATIC_DISCOVERY_RANGE", "OFF", "OFF: not known .*LOCALHOST, SUBNET"),
        ("EXPO_FT_ISOLATE", "true", "EXPO_FT_ISOLATE=true: not known .known: 0, 1"),
        ("FASTDDS_DEFAULT_PROFILES_FILE", "/no/where.xml", "/no/where.xml: no such file"),
    ],
)
@pytest.mark.parametrize(("command", "model"), [("train", TrainOptions), ("sim", SimOptions)])
def test_the_environment_is_checked_before_there_is_a_folder(
    variable, value, cause, command, model, runs, monkeypatch
):
    monkeypatch.setenv(variable, value)
    refused(cause, command=command, model=model)
    assert not runs.exists()


def test_processes_that_cannot_share_a_batch_are_refused_before_there_is_a_folder(runs):
    refused(r"learner_processes:=3: imitation.batch 64 .*\(take 1, 2, 4", "learner_processes:=3")
    refused("learner_processes:=0: .*greater than or equal to 1", "learner_processes:=0")
    assert not runs.exists()


@pytest.mark.parametrize("value", ["", "0", "232", "007"])
def test_what_ros_takes_as_a_domain_is_one(value, monkeypatch):
    monkeypatch.setenv("ROS_DOMAIN_ID", value)
    assert environment.domain() == int(value or 0)


def test_arguments_come_before_the_environment_and_that_before_what_is_shared(
    another_graph, runs, monkeypatch
):
    refused("a graph of expo_ft_ros runs in it already")
    monkeypatch.setenv("RMW_IMPLEMENTATION", "rmw_nothing")
    refused("rmw_nothing: not installed")
    refused("robot:=nothing: no robot", "robot:=nothing")
    refused("no LeRobot dataset", f"demonstrations:={runs}")
    refused("resume:=nothing: no run there", "resume:=nothing")
    assert not runs.exists()


def test_a_full_disk_is_named_with_what_the_run_needs(runs, monkeypatch):
    usage = shutil.disk_usage(runs.parent)
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage._replace(free=50_000_000))
    refused(r"runs/.*: 50\.0 MB are free there, the run needs about [\d.]+ .B .*EXPO_FT_RUNS")
    assert not runs.exists()
    open_run("sim", [], SimOptions).close()


def test_rviz_without_rviz_names_the_package(runs, monkeypatch):
    monkeypatch.setenv("PATH", "")
    refused(r"rviz:=true: .*apt install .*rviz2", "rviz:=true")
    assert not runs.exists()


def test_a_robot_whose_messages_are_missing_names_where_they_are(runs, monkeypatch):
    found = importlib.util.find_spec
    absent = lambda name: None if name == "franka_msgs" else found(name)  # noqa: E731
    monkeypatch.setattr(importlib.util, "find_spec", absent)
    refused(
        r"robot:=franka_ros2: franka_msgs is not installed .*github.com/frankarobotics/franka_ros2",
        "robot:=franka_ros2",
        "motion:=on",
        "realtime:=true",
        "operator:=spacemouse",
        "scene_reset:=operator",
        model=CollectOptions,
        command="collect",
    )
    assert not runs.exists()


def test_a_failed_start_leaves_the_domain_to_others(runs, monkeypatch):
    (runs.parent / "file").write_text("")
    refused("can't be created", f"run_dir:={runs.parent / 'file' / 'run'}")
    run = open_run("train", [], TrainOptions)
    refused("a graph of expo_ft_ros runs in it already")
    run.close()
    open_run("train", [], TrainOptions).close()


def test_two_graphs_of_one_named_domain_exclude_each_other_also_when_isolated(monkeypatch):
    monkeypatch.setenv("EXPO_FT_ISOLATE", "1")
    run = open_run("train", [], TrainOptions)
    refused("a graph of expo_ft_ros runs in it already")
    run.close()
    monkeypatch.delenv("ROS_DOMAIN_ID")
    first, second = open_run("train", [], TrainOptions), open_run("train", [], TrainOptions)
    assert first.path != second.path


def dataset(folder, length=3):
    with DatasetWriter(folder, 10, "franka") as writer:
        writer.add(make_episode(1, length, terminated=True))
        writer.close()
    return folder


def test_a_dataset_is_checked_whole_and_counted_once(runs, tmp_path):
    folder = dataset(tmp_path / "dataset")
    run = open_run("train", [f"demonstrations:={folder}"], TrainOptions)
    assert (run.budget.given, run.budget.demos) == (1, 0)
    run.close()
    info = json.loads((folder / "meta" / "info.json").read_text())
    (folder / "meta" / "info.json").write_text(json.dumps({**info, "total_episodes": 0}))
    refused("demonstrations:=.*total_episodes 0", f"demonstrations:={folder}")
    refused("demonstrations:=.*total_episodes 0", f"resume:={run.path}")
    assert len(list(runs.iterdir())) == 1


def test_a_cell_that_cannot_be_learned_from_is_named_before_there_is_a_folder(runs, tmp_path):
    """What a dataset says of itself is right; the fault is in a row."""
    folder = dataset(tmp_path / "dataset")
    run = open_run("train", [f"demonstrations:={folder}"], TrainOptions)
    run.close()
    (file,) = folder.glob("data/*/*.parquet")
    table = pq.read_table(file)
    actions = [*table["action"].to_pylist()[:-1], None]
    column = pa.array(actions, type=table.schema.field("action").type)
    pq.write_table(table.set_column(table.column_names.index("action"), "action", column), file)
    for words in ([f"demonstrations:={folder}"], [f"resume:={run.path}"]):
        refused("demonstrations:=.*parquet: episode 0, row 2: action is null", *words)
    assert list(runs.iterdir()) == [run.path]


def test_a_dataset_that_replay_has_no_room_for_is_refused(tmp_path, monkeypatch):
    folder = dataset(tmp_path / "dataset", 30)
    room = SizeConfig.model_fields["replay_capacity"].default
    words = [f"demonstrations:={folder}", f"steps:={room - 20}"]
    refused(r"30 steps of the dataset .*would be forgotten", *words)
    open_run("train", [words[0], f"steps:={room - 1000}"], TrainOptions).close()


def test_options_of_a_run_that_goes_on_count_when_new_ones_are_checked():
    """scene_reset:=operator needs realtime:=true, which the run has."""
    words = ["realtime:=true", "operator:=gamepad"]
    run = open_run("collect", words, CollectOptions)
    run.close()
    again = [f"resume:={run.path}", "scene_reset:=operator"]
    open_run("collect", again, CollectOptions).close()
    refused(
        "add realtime:=true", *again, "realtime:=false", command="collect", model=CollectOptions
    )


def robot_file(path, **changes):
    robot = yaml.safe_load((config_dir() / "robots" / "sim.yaml").read_text())
    path.write_text(yaml.safe_dump({**robot, "name": path.stem, **changes}))
    return path


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"limits": {"linear_velocity": 0.1}}, "its robot had limits .*0.25.* has .*0.1"),
        ({"views": "reversed"}, r"its robot had views \['side', 'wrist'\], .* \['wrist', 'side'\]"),
    ],
)
@pytest.mark.parametrize(
    ("command", "model"), [("train", TrainOptions), ("collect", CollectOptions)]
)
def test_a_run_goes_on_with_its_robot_also_before_there_are_weights(
    tmp_path, changes, cause, command, model
):
    """A collection has none at all; what its episodes mean would change within it."""
    run = open_run(command, [], model)
    run.close()
    if changes.get("views"):
        robot = yaml.safe_load((config_dir() / "robots" / "sim.yaml").read_text())
        changes = {"views": robot["views"][::-1]}
    other = robot_file(tmp_path / "other.yaml", **changes)
    refused(cause, f"resume:={run.path}", f"robot:={other}", command=command, model=model)
    same = robot_file(tmp_path / "same.yaml")
    open_run(command, [f"resume:={run.path}", f"robot:={same}"], model).close()


def test_a_run_goes_on_at_the_rate_that_it_was_recorded_at(tmp_path):
    task = tmp_path / "cube_pick.yaml"
    text = (config_dir() / "tasks" / task.name).read_text()
    task.write_text(text)
    run = open_run("train", [f"task:={task}"], TrainOptions)
    run.close()
    open_run("train", [f"resume:={run.path}"], TrainOptions).close()
    task.write_text(text.replace("control_hz: 10", "control_hz: 20"))
    refused(f"it was recorded at 10 Hz, {task} says control_hz 20 ", f"resume:={run.path}")

# SPDX-License-Identifier: Apache-2.0
"""A run as `ros2 launch` knows it: without `launch`, without what only the nodes need."""

import subprocess
import sys
from pathlib import Path

import pytest

from expo_ft_ros.bringup.launch_plan import LaunchError, arguments_of, open_plan, program
from expo_ft_ros.bringup.launching import refuse_unknown
from expo_ft_ros.bringup.runner import cause_of_end
from expo_ft_ros.experiment.options import CollectOptions, TrainOptions
from expo_ft_ros.experiment.run_folder import is_running
from expo_ft_ros.graph.specs import collect_graph

pytestmark = pytest.mark.process

ROOT = Path(__file__).parents[2]
# What `ros2` may lack, or have in another version (pydantic 1).
NODES_ONLY = ("torch", "pydantic", "numpy", "mujoco", "rich", "cv2", "pyarrow")


@pytest.fixture
def runs(tmp_path, monkeypatch):
    monkeypatch.setenv("EXPO_FT_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("EXPO_FT_ISOLATE", "1")
    return tmp_path / "runs"


def test_the_launch_files_need_nothing_that_only_the_nodes_have():
    script = f"""
import sys
for name in {NODES_ONLY}:
    sys.modules[name] = None
import expo_ft_ros.bringup.launching
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr


def test_the_arguments_are_those_of_the_command_line():
    described = {name: (default, text) for name, default, text in arguments_of("train")}
    assert set(described) == set(TrainOptions.model_fields)
    assert described["realtime"][0] == "false"
    assert all(text for _, text in described.values())


def test_an_opened_run_is_held_until_launch_has_gone(runs):
    plan = open_plan("collect", ["demos:=1", "seed:=3"])
    assert plan.run is not None
    assert plan.run.parent == runs
    assert is_running(plan.run)
    assert plan.environment["ROS_DOMAIN_ID"]
    assert [str(plan.run) in note for note in plan.notes].count(True) == 1
    options = CollectOptions(demos=1, seed=3)
    assert [spec for spec, _ in plan.nodes] == collect_graph(options, plan.run)
    for spec, parameters in plan.nodes:
        assert parameters == plan.run / "params" / f"{spec.name}.yaml"
        assert parameters.is_file()
    assert plan.python == sys.executable
    plan.held_by.communicate()
    assert plan.held_by.returncode == 0
    assert not is_running(plan.run)


def test_what_is_refused_is_one_line_and_leaves_no_folder(runs):
    with pytest.raises(LaunchError, match=r"^expo-ft: task:=nonsense: .*candy_scoop[^\n]*$"):
        open_plan("collect", ["task:=nonsense"])
    assert not runs.exists()


def test_a_misspelt_argument_is_refused_with_the_nearest():
    known = [name for name, _, _ in arguments_of("train")]
    refuse_unknown(["expo_ft_ros", "realtime:=true", "--debug"], known)
    with pytest.raises(LaunchError, match=r"unknown argument .realtme. .did you mean realtime"):
        refuse_unknown(["task:=cube_pick", "realtme:=true"], known)


def test_nodes_are_started_by_what_is_installed(tmp_path, monkeypatch):
    module = "expo_ft_ros.nodes.session"
    folder = tmp_path / "lib" / "expo_ft_ros"
    monkeypatch.setenv("AMENT_PREFIX_PATH", f"{tmp_path / 'other'}:{tmp_path}")
    assert program(module) == [sys.executable, "-m", module]
    folder.mkdir(parents=True)
    for name in ("handover", "session", "sim"):
        (folder / name).touch()
    assert program(module) == [str(folder / "session")]
    assert program("my_robot.sim", "/venv/bin/python") == ["/venv/bin/python", "-m", "my_robot.sim"]
    assert program("expo_ft_ros_more.sim", "python") == ["python", "-m", "expo_ft_ros_more.sim"]
    assert program("expo_ft_ros.nodes.stop") == [sys.executable, "-m", "expo_ft_ros.nodes.stop"]


@pytest.mark.parametrize(
    ("name", "code", "cause"),
    [
        ("session", 0, ""),
        ("session", 1, "session ended with exit code 1 while it was needed"),
        ("camera", 0, "camera ended with exit code 0 while it was needed"),
        ("camera", -9, "camera ended with signal SIGKILL while it was needed"),
    ],
)
def test_only_the_session_may_end_a_run_well(name, code, cause):
    said = cause_of_end(name, code, Path("/run/logs/x.log"))
    assert said.startswith(cause)
    assert bool(said) == bool(cause)

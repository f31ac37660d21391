# SPDX-License-Identifier: Apache-2.0
"""The arm's model is published where ROS has what that takes; nothing is asked for elsewhere."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from expo_ft_ros.experiment.options import SimOptions
from expo_ft_ros.graph import robot_model, specs

# Says what it was started with, as JSON.
PROGRAM = "#!{python}\nimport json, sys\nprint(json.dumps(sys.argv[1:]))\n"


def install(path: Path, text: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


@pytest.fixture
def ros(tmp_path, monkeypatch):
    """An installation that has all of it."""
    prefix = tmp_path / "ros"
    install(prefix / robot_model.MODEL)
    program = PROGRAM.format(python=sys.executable)
    install(prefix / robot_model.PUBLISHER, program)
    install(prefix / "bin/xacro", program)
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(prefix))
    monkeypatch.setenv("PATH", str(prefix / "bin"))
    return prefix


@pytest.mark.process
def test_the_publisher_gets_the_urdf_of_the_arm_with_its_hand(ros, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", robot_model.__name__, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
    )
    file = tmp_path / robot_model.PARAMETERS_FILE
    assert json.loads(done.stdout) == ["--ros-args", "--params-file", str(file)]
    urdf = yaml.safe_load(file.read_text())["/**"]["ros__parameters"]["robot_description"]
    assert json.loads(urdf) == [str(ros / robot_model.MODEL), "hand:=true"]


@pytest.mark.parametrize("lacking", ["bin/xacro", robot_model.MODEL, robot_model.PUBLISHER])
def test_where_a_part_is_lacking_rviz_starts_without_a_model(ros, tmp_path, monkeypatch, lacking):
    monkeypatch.setattr(specs, "find_rviz", lambda: "rviz2")
    options = SimOptions(rviz=True)
    there = [spec.name for spec in specs.sim_graph(options, tmp_path)]
    assert there[-2:] == ["rviz", "robot_state_publisher"]
    (ros / lacking).unlink()
    assert [spec.name for spec in specs.sim_graph(options, tmp_path)] == there[:-1]


@pytest.mark.process
def test_an_xacro_that_fails_is_named(ros, tmp_path):
    install(ros / "bin/xacro", f"#!{sys.executable}\nraise SystemExit(3)\n")
    done = subprocess.run(
        [sys.executable, "-m", robot_model.__name__, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "xacro could not read" in done.stderr

# SPDX-License-Identifier: Apache-2.0
"""The launch files by ROS 2's own launch, where that is installed: exit codes, logs, refusals."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from support.driver_packages import DriverPackages
from support.foreign_interfaces import environment_with, foreign_interfaces
from support.motion import let_move
from support.processes import processes_naming

pytest.importorskip("launch_ros", reason="ROS 2's launch_ros is not installed")

pytestmark = [pytest.mark.process, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
# As `ros2 launch FILE ARGUMENTS` does it.
LAUNCH = """
import sys
from launch import LaunchDescription, LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import AnyLaunchDescriptionSource
path, *words = sys.argv[1:]
service = LaunchService(argv=words)
given = [tuple(word.split(":=", 1)) for word in words]
included = IncludeLaunchDescription(AnyLaunchDescriptionSource(path), launch_arguments=given)
service.include_launch_description(LaunchDescription([included]))
sys.exit(service.run())
"""


@pytest.fixture
def launch(tmp_path, domain):
    started = []

    def start(command, *words):
        environment = {
            **os.environ,
            "EXPO_FT_RUNS": str(tmp_path / "runs"),
            "ROS_DOMAIN_ID": str(domain),
            "ROS_LOG_DIR": str(tmp_path / "ros"),
            "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
        }
        path = ROOT / "launch" / f"{command}.launch.py"
        started.append(
            subprocess.Popen(
                [sys.executable, "-c", LAUNCH, str(path), *words],
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
        )
        return started[-1]

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def test_a_collection_ends_well_and_its_folder_is_as_the_runners(launch, tmp_path):
    process = launch("collect", "demos:=1")
    said = process.communicate(timeout=300)[0]
    assert process.returncode == 0, said
    assert "Demonstrations: 1" in said
    (run,) = (tmp_path / "runs").iterdir()
    logs = {path.stem for path in (run / "logs").glob("*.log")}
    parameters = {path.stem for path in (run / "params").glob("*.yaml")}
    assert logs == parameters
    assert "collecting demonstrations" in (run / "logs" / "session.log").read_text()
    assert (run / "summary.json").is_file()


def test_a_killed_node_is_a_failure_and_the_others_are_interrupted(launch, tmp_path):
    process = launch("collect", "demos:=100")
    assert process.stdout is not None
    said = ""
    while "collecting demonstrations" not in said:
        line = process.stdout.readline()
        assert line, said
        said += line
    (run,) = (tmp_path / "runs").iterdir()
    (camera,) = processes_naming(f"{run}/params/camera.yaml")
    os.kill(camera, signal.SIGKILL)
    said += process.communicate(timeout=180)[0]
    assert process.returncode == 1, said
    assert "camera ended with signal SIGKILL while it was needed" in said
    assert "sending signal 'SIGINT' to process[session" in said
    until = time.monotonic() + 60
    while processes_naming(f"{run}/params/"):
        assert time.monotonic() < until, "nodes are left"
        time.sleep(0.05)


def test_what_is_asked_of_every_node_reaches_every_node_and_each_has_its_log(launch, tmp_path):
    own = tmp_path / "own.yaml"
    own.write_text("/**: {ros__parameters: {use_sim_time: true}}\n")
    process = launch(
        "collect", "demos:=100", "namespace:=left", "log_level:=info", f"params_file:={own}"
    )
    assert process.stdout is not None
    said = ""
    while "collecting demonstrations" not in said:
        line = process.stdout.readline()
        assert line, said
        said += line
    (run,) = (tmp_path / "runs").iterdir()
    commands = processes_naming(f"{run}/params/").values()
    assert len(commands) == len(list((run / "params").glob("*.yaml")))
    for command in commands:
        for words in ("__ns:=/left", "--log-level info", f"--params-file {own}"):
            assert words in command
        assert command.index(f"{run}/params/") < command.index(str(own)), "the last one wins"
    assert "collecting demonstrations" in (run / "logs" / "session.log").read_text()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=180)
    assert not processes_naming(f"{run}/params/")


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("realtme:=true", "unknown argument 'realtme' (did you mean realtime?"),
        ("task:=nonsense", "task:=nonsense:"),
        ("demos:=0", "demos:=0:"),
    ],
)
def test_what_is_refused_is_exit_code_1_before_anything_starts(launch, tmp_path, word, message):
    process = launch("collect", word)
    said = process.communicate(timeout=180)[0]
    assert process.returncode == 1
    assert f"expo-ft: {message}" in said
    assert "process started" not in said
    assert not (tmp_path / "runs").exists()


ROBOT = ("robot:=franka_ros2", "realtime:=true", "operator:=spacemouse", "scene_reset:=operator")


@pytest.mark.timeout(900)  # The interfaces may have to be generated.
def test_one_argument_starts_the_arm_s_driver_and_others_what_is_beside_it(
    launch, tmp_path, monkeypatch
):
    packages = DriverPackages(tmp_path)
    for name, value in environment_with(foreign_interfaces()).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv(
        "AMENT_PREFIX_PATH",
        os.pathsep.join([str(packages.prefix), os.environ["AMENT_PREFIX_PATH"]]),
    )
    mount = "1 0 0.5 0 0 0 1 fr3_link0 side_camera_link"
    beside = ("cameras:=side=11,wrist=22", "spacenav_driver:=true", f"static_transforms:={mount}")
    let_move(tmp_path / "runs", "franka_ros2", "172.16.0.2")
    process = launch("train", *ROBOT, "robot_ip:=172.16.0.2", *beside)
    until = time.monotonic() + 180
    wanted = {
        "franka_bringup": 1,
        "controller_manager": 1,
        "realsense2_camera": 2,
        "spacenav": 1,
        "tf2_ros": 1,
    }
    while {name: len(packages.started(name)) for name in wanted} != wanted:
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < until, {name: packages.started(name) for name in wanted}
        time.sleep(0.1)
    (run,) = (path for path in (tmp_path / "runs").iterdir() if path.is_dir())
    session, until = run / "logs" / "session.log", time.monotonic() + 180
    while "starting the nodes" not in session.read_text():
        assert time.monotonic() < until, session.read_text()
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=180)
    (arm,) = packages.started("franka_bringup")
    assert arm["robot_ip"] == "172.16.0.2"
    assert (arm["robot_type"], arm["namespace"], arm["load_gripper"]) == ("fr3", "fr3", "true")
    names = {camera["camera_name"]: camera for camera in packages.started("realsense2_camera")}
    assert set(names) == {"side_camera", "wrist_camera"}
    assert names["wrist_camera"]["serial_no"] == "_22"
    (spawner,) = packages.started("controller_manager")
    assert "cartesian_impedance_example_controller -c /fr3/controller_manager" in spawner
    assert "--inactive" in spawner
    assert "--child-frame-id side_camera_link" in str(packages.started("tf2_ros"))
    assert (run / "logs" / "robot.log").is_file(), "the adapter is one of the graph's nodes"


def test_a_driver_that_is_not_installed_is_a_line_and_nothing_is_left(launch, tmp_path):
    process = launch("train", *ROBOT, "robot_ip:=172.16.0.2")
    said = process.communicate(timeout=180)[0]
    assert process.returncode == 1
    assert "franka_bringup is not installed (https://github.com/frankarobotics/franka_ros2" in said
    assert not (tmp_path / "runs").exists()


def test_each_argument_is_explained():
    from expo_ft_ros.bringup.launching import launch_description

    arguments = {a.name: a.description for a in launch_description("train").get_launch_arguments()}
    for name in ("robot", "robot_ip", "controllers_yaml", "controller", "cameras", "task"):
        assert len(arguments[name]) > 10, name

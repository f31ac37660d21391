# SPDX-License-Identifier: Apache-2.0
"""The launch files by ROS 2's own launch, where that is installed: exit codes, logs, refusals."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

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
    said = process.communicate(timeout=110)[0]
    assert process.returncode == 0, said
    assert "Demonstrations: 1" in said
    (run,) = (tmp_path / "runs").iterdir()
    logs = {path.stem for path in (run / "logs").glob("*.log")}
    parameters = {path.stem for path in (run / "params").glob("*.yaml")}
    assert logs == parameters
    assert "collecting demonstrations" in (run / "logs" / "session.log").read_text()
    assert (run / "summary.json").is_file()


def test_a_killed_node_is_a_failure_and_the_others_are_interrupted(launch, tmp_path):
    process = launch("collect", "demos:=1000")
    assert process.stdout is not None
    said = ""
    while "collecting demonstrations" not in said:
        line = process.stdout.readline()
        assert line, said
        said += line
    (run,) = (tmp_path / "runs").iterdir()
    (camera,) = processes_naming(f"{run}/params/camera.yaml")
    os.kill(camera, signal.SIGKILL)
    said += process.communicate(timeout=60)[0]
    assert process.returncode == 1, said
    assert "camera ended with signal SIGKILL while it was needed" in said
    assert "sending signal 'SIGINT' to process[session" in said
    until = time.monotonic() + 10
    while processes_naming(f"{run}/params/"):
        assert time.monotonic() < until, "nodes are left"
        time.sleep(0.05)


def test_what_is_asked_of_every_node_reaches_every_node_and_each_has_its_log(launch, tmp_path):
    own = tmp_path / "own.yaml"
    own.write_text("/**: {ros__parameters: {use_sim_time: true}}\n")
    process = launch(
        "collect", "demos:=1000", "namespace:=left", "log_level:=info", f"params_file:={own}"
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
    process.communicate(timeout=60)
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
    said = process.communicate(timeout=60)[0]
    assert process.returncode == 1
    assert f"expo-ft: {message}" in said
    assert "process started" not in said
    assert not (tmp_path / "runs").exists()

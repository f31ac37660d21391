# SPDX-License-Identifier: Apache-2.0
"""`expo-ft reward calibrate`: from an image's region to the task's file."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from expo_ft_ros.cli import main as cli
from expo_ft_ros.experiment.environment import ros_environment
from expo_ft_ros.recording.lerobot import DatasetWriter
from expo_ft_ros.tasks import TASKS, load_task
from support.episodes import make_episode

YOLK, PAN = (250, 160, 20), (28, 28, 30)
REGION = "region:=0.4,0.4,0.6,0.6"

_CAMERA = """
import time, rclpy
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image
rclpy.init()
node = rclpy.create_node("camera")
out = node.create_publisher(Image, "/looks/image_raw", qos_profile_sensor_data)
size = 64
image = Image(height=size, width=size, encoding="rgb8", step=3 * size)
image.data = bytes([250, 160, 20]) * (size * size)
print("publishes", flush=True)
while True:
    out.publish(image)
    time.sleep(0.1)
"""


def scene() -> np.ndarray:
    """(100, 100, 3) RGB: a yolk of 30 x 30 in the middle of a pan."""
    image = np.full((100, 100, 3), PAN, dtype=np.uint8)
    image[35:65, 35:65] = YOLK
    return image


@pytest.fixture
def task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Egg Flip's file in a folder of the user's, where the picture goes, too."""
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copy(TASKS.find("egg_flip"), tmp_path / "egg_flip.yaml"))


@pytest.fixture
def image(tmp_path: Path) -> str:
    path = tmp_path / "side.png"
    cv2.imwrite(str(path), cv2.cvtColor(scene(), cv2.COLOR_RGB2BGR))
    return f"image:={path}"


def calibrate(*words: str) -> int:
    return cli.main(["reward", "calibrate", *words])


def test_it_proposes_and_draws_and_writes_nothing(task, image, tmp_path, capsys) -> None:
    before = task.read_text()
    assert calibrate(f"task:={task}", "colour:=yolk", REGION, image) == 0
    said = capsys.readouterr().out
    assert "hues: [36.0]" in said
    assert "100.0% of the region has it, 5.00% of the image elsewhere" in said
    assert "write:=true" in said
    assert task.read_text() == before
    drawn = cv2.imread(str(tmp_path / "egg_flip_yolk.png"))
    assert drawn.shape[1] == 2 * drawn.shape[0]
    left, right = np.split(drawn, 2, axis=1)
    changed = (left != right).any(axis=-1).mean()
    assert 0.08 < changed < 0.2, "the mask is 9% of the image, beside it a box and a word"


def test_what_it_writes_is_what_the_task_has_then(task, image, capsys) -> None:
    before = load_task(task)
    assert calibrate(f"task:={task}", "colour:=yolk", REGION, image, "write:=true") == 0
    assert f"written to {task}" in capsys.readouterr().out
    after = load_task(task).classifier.parameters
    assert after.yolk.hues == (36.0,)
    assert after.yolk.min_saturation == pytest.approx(0.82)
    assert after.egg == before.classifier.parameters.egg
    assert "# On a real robot:" in task.read_text()


def test_an_episode_of_a_dataset_is_a_source(task, tmp_path, capsys) -> None:
    episode = make_episode(1, 4, terminated=True, size=100)
    episode.views["wrist"][2] = scene()
    with DatasetWriter(tmp_path / "dataset", 10, "franka") as writer:
        writer.add(episode)
        writer.close()
    of = [f"task:={task}", "colour:=yolk", REGION, f"dataset:={tmp_path / 'dataset'}"]
    assert calibrate(*of, "view:=wrist", "step:=2") == 0
    assert "hues: [36.0]" in capsys.readouterr().out
    for words, message in (
        (["view:=top"], "view:=top: not of the episode"),
        (["step:=9"], "step:=9: the episode has steps 0 to 4"),
        (["episode:=7"], "episode:=7: .* has no such episode"),
    ):
        refused(capsys, message, *of, *words)


def test_a_recorded_episode_is_a_source(task, tmp_path, monkeypatch, capsys) -> None:
    pytest.importorskip("expo_ft_ros.msg", reason="the messages are not built")
    from expo_ft_ros.data.types import Source
    from support.recordings import record
    from support.runs import make_run

    monkeypatch.setenv("EXPO_FT_RUNS", str(tmp_path / "runs"))
    run = make_run(tmp_path / "runs" / "a")
    record(run / "episodes", 3, [Source.HUMAN] * 2)
    of = [f"task:={task}", "colour:=yolk", REGION]
    assert calibrate(*of, f"run:={run}", "episode:=3") == 0
    # The recorded side view is of (200, 60, 30) all over.
    assert "hues: [10.0]" in capsys.readouterr().out
    refused(capsys, "no such episode", *of, f"run:={run}", "episode:=4")


def refused(capsys, message: str, *words: str) -> None:
    assert calibrate(*words) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert re.search(message, said), said


def test_what_it_can_not_do_is_refused_in_a_line(task, image, capsys, tmp_path) -> None:
    egg, yolk = f"task:={task}", "colour:=yolk"
    for message, words in {
        "no task is named": [],
        "task:=egg_flap: .*did you mean egg_flip": ["task:=egg_flap"],
        "looks at no colours": ["task:=cube_pick"],
        "several colours .add colour:=, egg, yolk": [egg],
        "colour:=yolc: .*did you mean yolk": [egg, "colour:=yolc"],
        "no region is named": [egg, yolk],
        "region:=1,2: 1,2: ": [egg, yolk, "region:=1,2"],
        "with left < right": [egg, yolk, "region:=0.5,0,0.4,1"],
        "no source of an image .name one of image, run": [egg, yolk, REGION],
        "image and topic source": [egg, yolk, REGION, image, "topic:=/a"],
        "side.jpg: no such file": [egg, yolk, REGION, "image:=side.jpg"],
        "egg_flip.yaml: no image that can be read": [egg, yolk, REGION, f"image:={task}"],
        "too few to measure": [egg, yolk, "region:=0,0,0.01,0.01", image],
        "output:=.*can't be written": [egg, yolk, REGION, image, f"output:={tmp_path}/no/x.png"],
        "other:=a: a: ": [egg, yolk, REGION, "other:=a"],
    }.items():
        refused(capsys, message, *words)
    assert cli.main(["reward", "calibrat"]) == 2
    assert "did you mean calibrate" in capsys.readouterr().err


def test_a_list_of_the_operators_form_is_left_to_them(task, image, capsys) -> None:
    task.write_text(task.read_text().replace("      hues: [38]", "      hues:\n      - 38"))
    before = task.read_text()
    words = [f"task:={task}", "colour:=yolk", REGION, image, "write:=true"]
    refused(capsys, "classifier.parameters.yolk: a list over several lines", *words)
    assert task.read_text() == before


@pytest.mark.process
def test_a_camera_s_topic_is_a_source(task, domain, tmp_path) -> None:
    pytest.importorskip("rclpy", reason="ROS 2's rclpy is not installed")
    environment = {**os.environ, **ros_environment(tmp_path), "ROS_DOMAIN_ID": str(domain)}
    camera = subprocess.Popen(
        [sys.executable, "-c", _CAMERA], env=environment, stdout=subprocess.PIPE
    )
    try:
        # The command waits for an image, not for a camera's start.
        assert camera.stdout is not None
        assert camera.stdout.readline()
        words = [f"task:={task}", "colour:=yolk", REGION, "topic:=/looks/image_raw"]
        done = subprocess.run(
            [sys.executable, "-m", "expo_ft_ros.cli", "reward", "calibrate", *words],
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
        )
    finally:
        camera.kill()
        camera.communicate()
    assert done.returncode == 0, done.stderr
    assert "hues: [36.0]" in done.stdout

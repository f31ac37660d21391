# SPDX-License-Identifier: Apache-2.0
"""What is seen of a camera that was turned since the demonstrations."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.data.types import Source
from expo_ft_ros.doctor.guide.pictures import (
    blended,
    first_frames,
    in_words,
    outlined,
    save,
    shift_of,
)
from expo_ft_ros.monitor.projection import Camera
from expo_ft_ros.recording.lerobot import DatasetWriter
from expo_ft_ros.robots import Workspace, load_robot
from expo_ft_ros.tasks import load_task
from support.episodes import make_episode
from support.recordings import SIDE, WRIST, record
from support.runs import make_run


def scene(seed=0):
    """A picture with structure, larger than what a camera sees of it."""
    rough = np.random.default_rng(seed).integers(0, 255, (20, 20, 3), dtype=np.uint8)
    return cv2.resize(rough, (300, 300), interpolation=cv2.INTER_CUBIC)


def seen(right=0, down=0, seed=0):
    return scene(seed)[40 - down : 264 - down, 40 - right : 264 - right]


@settings(max_examples=25)
@given(right=st.integers(-25, 25), down=st.integers(-25, 25))
def test_a_shift_is_found(right, down):
    found = shift_of(seen(right, down), seen())
    assert found[:2] == pytest.approx((right, down), abs=1.0)
    words = in_words(found)
    if np.hypot(right, down) > 5:
        assert "shifted against" in words
    if (right, down) == (0, 0):
        assert words.startswith("as the demonstration's")


def test_a_demonstration_of_another_size_is_scaled():
    before = cv2.resize(seen(), (448, 448))
    assert shift_of(seen(6, -4), before)[:2] == pytest.approx((6, -4), abs=1.0)
    assert blended(seen(), before).shape == (448, 896, 3)


def test_pictures_with_nothing_in_common_are_not_compared():
    noise = np.random.default_rng(3).integers(0, 255, (224, 224, 3), dtype=np.uint8)
    assert "too little in common" in in_words(shift_of(noise, seen(seed=1)))


def test_the_edges_of_the_workspace_are_drawn():
    grey = np.full((224, 224, 3), 90, np.uint8)
    matrix = np.array([[200.0, 0.0, 111.5], [0.0, 200.0, 111.5], [0.0, 0.0, 1.0]])
    camera = Camera(False, np.zeros(3), np.array([0.0, 0.0, 0.0, 1.0]), matrix, (224, 224))
    box = Workspace(low=(-0.2, -0.2, 0.8), high=(0.2, 0.2, 1.2))
    drawn = outlined(grey, camera, box, np.zeros(3), np.array([0.0, 0.0, 0.0, 1.0]))
    assert drawn.shape == (448, 448, 3)
    assert (drawn[:400] != 90).any()
    assert (grey == 90).all()


def test_a_picture_is_written_as_it_is(tmp_path):
    save(tmp_path / "new" / "it.png", seen())
    back = cv2.cvtColor(cv2.imread(str(tmp_path / "new" / "it.png")), cv2.COLOR_BGR2RGB)
    np.testing.assert_array_equal(back, seen())


ROBOT, TASK = load_robot("sim"), load_task("cube_pick")


def colours(frames):
    return {view: tuple(np.median(image.reshape(-1, 3), axis=0)) for view, image in frames.items()}


def test_the_first_picture_of_a_run_s_demonstration(tmp_path):
    run = make_run(tmp_path / "run", kind="collect")
    record(run / "episodes", 1, [Source.HUMAN] * 3, stage="collect", success=False)
    record(run / "episodes", 2, [Source.HUMAN] * 3, stage="collect")
    found = first_frames(str(run), ROBOT, TASK)
    for view, colour in (("side", SIDE), ("wrist", WRIST)):
        assert colours(found)[view] == pytest.approx(colour, abs=12)


def test_a_run_without_demonstrations_is_refused(tmp_path):
    run = make_run(tmp_path / "run")
    with pytest.raises(ConfigError, match="has no recorded episode"):
        first_frames(str(run), ROBOT, TASK)
    record(run / "episodes", 1, [Source.POLICY] * 3, stage="rl")
    with pytest.raises(ConfigError, match="no demonstration"):
        first_frames(str(run), ROBOT, TASK)


def test_demonstrations_of_other_views_are_refused(tmp_path):
    run = make_run(tmp_path / "run", kind="collect")
    record(run / "episodes", 1, [Source.HUMAN] * 3, stage="collect", views=("side", "front"))
    with pytest.raises(ConfigError, match=r"has no view wrist \(has: side, front"):
        first_frames(str(run), ROBOT, TASK)


def test_the_first_picture_of_a_dataset(tmp_path):
    episode = make_episode(1, 4, terminated=True)
    with DatasetWriter(tmp_path / "dataset", TASK.control_hz, "franka") as writer:
        writer.add(episode)
        writer.close()
    found = first_frames(str(tmp_path / "dataset"), ROBOT, TASK)
    for view in ROBOT.view_names:
        np.testing.assert_array_equal(found[view], episode.views[view][0])
    with pytest.raises(ConfigError, match="demos:="):
        first_frames(
            str(tmp_path / "dataset"),
            load_robot("sim").model_copy(
                update={"views": (ROBOT.views[0].model_copy(update={"name": "front"}),)}
            ),
            TASK,
        )


def test_demonstrations_that_are_not_there_are_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"demos:=.*no run there"):
        first_frames(str(tmp_path / "none"), ROBOT, TASK)

# SPDX-License-Identifier: Apache-2.0
"""A file of the recorder gives back what the operator saw."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2's rclpy is not installed")
pytest.importorskip("expo_ft_ros.msg", reason="the messages are not built")

from expo_ft_ros.data.types import Source
from expo_ft_ros.monitor.overlay import REGION, enlarged
from expo_ft_ros.monitor.projection import Camera
from expo_ft_ros.monitor.recording import recorded_view
from expo_ft_ros.recording.recorded_episode import read_recorded
from expo_ft_ros.robots import load_robot
from expo_ft_ros.tasks import load_task
from expo_ft_ros.tasks.classifiers import make_classifier
from support.random_recordings import CHOSEN, write_episode
from support.recordings import JOINTS, record

LIMITS = load_robot("sim").limits

TASK = load_task("cube_pick")
CLASSIFIER = make_classifier(TASK)


def test_a_view_shows_what_was_seen_and_chosen_by_then(tmp_path):
    recorded = read_recorded(write_episode(tmp_path, 3, length=9))
    episode = recorded.episode
    assert recorded.steps.tolist() == [0, 4, 8]
    start = recorded_view(recorded, 0, LIMITS, TASK, CLASSIFIER)
    np.testing.assert_array_equal(start.images["side"], enlarged(episode.views["side"][0]))
    assert (len(start.executed), start.episode.episode, start.chosen) == (1, 3, CHOSEN)
    later = recorded_view(recorded, 6, LIMITS, TASK, CLASSIFIER)
    np.testing.assert_array_equal(later.images["wrist"], enlarged(episode.views["wrist"][6]))
    np.testing.assert_array_equal(later.q, recorded.choices[1].q)
    np.testing.assert_allclose(later.paths[:, 0], np.repeat(later.executed[4:5], 4, axis=0))
    assert later.sources.tolist() == [episode.source[0], *episode.source[:6]]
    assert later.driver is Source(episode.source[6])
    end = recorded_view(recorded, len(episode), LIMITS, TASK, CLASSIFIER)
    np.testing.assert_allclose(end.position, episode.state[-1, :3])


def test_with_a_camera_the_intent_is_on_its_image_without_it_is_as_it_was_recorded(tmp_path):
    recorded = read_recorded(write_episode(tmp_path, 3, length=9))
    start = recorded_view(recorded, 0, LIMITS, TASK, CLASSIFIER)
    size = len(recorded.episode.views["side"][0])
    matrix = np.array([[size, 0, size / 2], [0, size, size / 2], [0, 0, 1.0]])
    # A metre over the tool, looking down.
    place = start.position + np.array([0, 0, 1.0])
    camera = Camera(False, place, np.array([1.0, 0, 0, 0]), matrix, (size, size))
    view = recorded_view(recorded, 0, LIMITS, TASK, CLASSIFIER, {"side": camera, "another": camera})
    assert list(view.cameras) == ["side"]
    plain = start.images
    assert (view.images["side"] != plain["side"]).any()
    np.testing.assert_array_equal(view.images["wrist"], plain["wrist"])
    changed = np.argwhere((view.images["side"] != plain["side"]).any(axis=-1))
    assert np.abs(changed - len(plain["side"]) / 2).min(axis=0).max() < 12


def test_what_the_classifier_looks_at_is_on_the_images(tmp_path):
    recorded = read_recorded(record(tmp_path, 3, [Source.POLICY] * 2))
    task = load_task("candy_scoop")
    images = recorded_view(recorded, 1, LIMITS, task, make_classifier(task)).images
    plain = recorded_view(recorded, 1, LIMITS, TASK, CLASSIFIER).images
    for name in ("side", "wrist"):
        boxes = (images[name] == REGION).all(axis=-1)
        assert boxes.any()
        assert not (plain[name] == REGION).all(axis=-1).any()


def test_a_recording_without_a_view_that_the_classifier_names_is_shown_without_marks(tmp_path):
    recorded = read_recorded(record(tmp_path, 3, [Source.POLICY] * 2, views=("side",)))
    task = load_task("candy_scoop")
    shown = recorded_view(recorded, 1, LIMITS, task, make_classifier(task)).images
    np.testing.assert_array_equal(shown["side"], enlarged(recorded.episode.views["side"][1]))


def test_the_tool_is_turned_as_it_was(tmp_path):
    recorded = read_recorded(write_episode(tmp_path, 3, length=2))
    x, y, z, w = recorded_view(recorded, 1, LIMITS, TASK, CLASSIFIER).quaternion
    # Pointing down, as it was recorded.
    np.testing.assert_allclose(np.abs([x, y, z, w]), [1, 0, 0, 0], atol=1e-6)


def test_the_arm_is_where_it_was(tmp_path):
    recorded = read_recorded(record(tmp_path, 3, [Source.POLICY] * 2))
    for step in range(3):
        shown = recorded_view(recorded, step, LIMITS, TASK, CLASSIFIER).joints
        np.testing.assert_allclose(shown, np.add(JOINTS, 0.01 * step))

# SPDX-License-Identifier: Apache-2.0
"""A run's episodes open in rosbag2: its metadata says what is in them."""

from collections import Counter

import numpy as np
import pytest
import yaml

pytest.importorskip("rclpy", reason="ROS 2's rclpy is not installed")
pytest.importorskip("expo_ft_ros.msg", reason="the messages are not built")

from expo_ft_ros.recording.episode_store import DISCARDED, set_aside
from expo_ft_ros.recording.mcap_file import read_bag
from expo_ft_ros.recording.rosbag2 import METADATA_FILE, EpisodeBag
from support.random_recordings import messages, record


def metadata(folder):
    return yaml.safe_load((folder / METADATA_FILE).read_text())["rosbag2_bagfile_information"]


def recorded(folder, *numbers):
    for number in numbers:
        record(folder, number, messages(number, 2 + number, np.random.default_rng(number)))


def test_it_counts_what_is_in_the_files(tmp_path):
    recorded(tmp_path, 1, 2)
    EpisodeBag(tmp_path).refresh()
    said = metadata(tmp_path)
    paths = [tmp_path / "000001.mcap", tmp_path / "000002.mcap"]
    assert said["relative_file_paths"] == [path.name for path in paths]
    assert (said["storage_identifier"], said["version"]) == ("mcap", 9)
    inside = {path: list(read_bag(path)) for path in paths}
    topics = Counter(f"/{each.topic}" for every in inside.values() for each in every)
    listed = said["topics_with_message_count"]
    assert {t["topic_metadata"]["name"]: t["message_count"] for t in listed} == topics
    assert said["message_count"] == topics.total()
    types = {t["topic_metadata"]["name"]: t["topic_metadata"]["type"] for t in listed}
    assert types["/step"] == "expo_ft_ros/msg/Step"
    assert types["/camera/side/image_raw"] == "sensor_msgs/msg/Image"
    for entry, every in zip(said["files"], inside.values(), strict=True):
        times = [each.time for each in every]
        assert entry["message_count"] == len(every)
        assert entry["starting_time"]["nanoseconds_since_epoch"] == min(times)
        assert entry["duration"]["nanoseconds"] == max(times) - min(times)


def test_it_follows_what_comes_and_goes(tmp_path):
    bag = EpisodeBag(tmp_path)
    bag.refresh()
    assert metadata(tmp_path)["relative_file_paths"] == []
    for number in (1, 2):
        recorded(tmp_path, number)
        bag.refresh()
    first = tmp_path / "000001.mcap"
    set_aside(first, DISCARDED)
    bag.refresh()
    assert metadata(tmp_path)["relative_file_paths"] == ["000002.mcap"]
    assert metadata(tmp_path)["files"][0]["path"] == "000002.mcap"


@pytest.mark.parametrize("left", [0, 7, 500])
def test_a_file_without_its_end_is_left_out(tmp_path, left):
    recorded(tmp_path, 1, 2)
    path = tmp_path / "000002.mcap"
    path.write_bytes(path.read_bytes()[:left])
    EpisodeBag(tmp_path).refresh()
    assert metadata(tmp_path)["relative_file_paths"] == ["000001.mcap"]

# SPDX-License-Identifier: Apache-2.0
"""The recorder; the test is the rest of the graph."""

from __future__ import annotations

import numpy as np
import yaml
from sensor_msgs.msg import JointState

from expo_ft_ros.recording.mcap_file import read_bag
from expo_ft_ros.recording.rosbag2 import METADATA_FILE
from support.random_recordings import messages


def test_an_episode_has_the_arms_joints_and_its_folder_opens_in_rosbag2(graph):
    probe, folder = graph.probe, graph.folder / "episodes"
    said = list(messages(1, 3, np.random.default_rng(0)))
    outs = {topic: probe.publisher(topic) for topic in dict(said)}
    joints = probe.publisher("joint_states", reliable=False)
    recorded = probe.gather("episode/recorded")
    graph.start("recorder")
    probe.matched()
    *parts, (_, end) = said
    for topic, message in parts:
        outs[topic].publish(message)
    path = folder / "000001.mcap"
    probe.until(path.exists, "the episode's file")
    probe.node.create_timer(0.02, lambda: joints.publish(JointState(name=["a"], position=[0.5])))
    probe.spin(1.5)  # Some are lost, where the recorder is halted.
    outs["episode/state"].publish(end)
    probe.until(lambda: recorded, "the episode")
    inside = [each.topic for each in read_bag(path)]
    assert inside.count("joint_states") > 1
    listed = yaml.safe_load((folder / METADATA_FILE).read_text())["rosbag2_bagfile_information"]
    assert listed["relative_file_paths"] == [path.name]
    assert listed["message_count"] == len(inside)

# SPDX-License-Identifier: Apache-2.0
"""The graph with a robot of one view, and of three: real processes, from images to a dataset."""

from __future__ import annotations

import numpy as np
import pytest
import yaml
from expo_ft_ros.msg import Observation

from expo_ft_ros.bringup.runner import Runner
from expo_ft_ros.configuration import config_dir
from expo_ft_ros.experiment.environment import ros_environment
from expo_ft_ros.experiment.options import CollectOptions
from expo_ft_ros.graph.specs import collect_graph
from expo_ft_ros.recording.episode_store import load_episodes
from expo_ft_ros.recording.lerobot import DatasetWriter, read_dataset
from expo_ft_ros.ros.messages import array_to_image, header_of
from support.episodes import VIEWS


def robot_of(folder, views):
    """The simulated robot with these views, on topics of other names."""
    robot = yaml.safe_load((config_dir() / "robots" / "sim.yaml").read_text())
    robot["name"] = "mine"
    robot["views"] = [
        {"name": view, "topic": f"cell/{view}/color", "frame": f"{view}_optical"} for view in views
    ]
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump(robot))
    return path


@pytest.mark.parametrize("views", [("wrist",), ("top", "side", "wrist")], ids=["one", "three"])
def test_what_a_robot_sees_is_recorded_and_exported(graph, views):
    folder = graph.folder / "run"
    options = CollectOptions(demos=1, seed=1, robot=str(robot_of(graph.folder, views)))
    environment = {**ros_environment(folder), "ROS_DOMAIN_ID": str(graph.domain)}
    result = Runner(collect_graph(options, folder), folder, env=environment).run()
    assert result.code == 0, f"{result.cause}\n{result.tail}"
    episodes = list(load_episodes(folder / "episodes", image_size=32))
    assert episodes[-1].outcome.success
    for episode in episodes:
        assert list(episode.views) == list(views)
        shape = (len(episode) + 1, 32, 32, 3)
        assert {images.shape for images in episode.views.values()} == {shape}
        # Each is another camera's, and moves.
        first = [images[0] for images in episode.views.values()]
        assert all(image.std() > 5 for image in first)
        assert len({image.tobytes() for image in first}) == len(views)
    with DatasetWriter(graph.folder / "dataset", 10, "franka") as writer:
        for episode in episodes:
            writer.add(episode)
        writer.close()
    there = read_dataset(graph.folder / "dataset", 10, views[::-1])
    for before, after in zip(episodes, there, strict=True):
        assert list(after.views) == list(views[::-1])
        for view, images in before.views.items():
            np.testing.assert_array_equal(after.views[view][:-1], images[:-1], err_msg=view)


def test_a_view_that_the_simulation_has_no_camera_for_is_named(graph):
    node = graph.start("sim", robot=str(robot_of(graph.folder, ("side", "front"))))
    assert node.wait() == 1
    assert "no camera front, its cameras are side, top, wrist" in node.log.read_text()


def test_an_observation_of_other_views_is_dropped_and_said_so(graph):
    probe = graph.probe
    observations = probe.publisher("observation")
    verdicts = probe.gather("reward")
    health = probe.gather("/diagnostics")
    graph.start("reward")
    probe.ready("reward")
    probe.matched()

    def observe(number, names):
        header = header_of(number * 10**8)
        image = array_to_image(np.zeros((8, 8, 3), np.uint8), header)
        message = Observation(
            header=header, number=number, episode=1, view_names=names, views=[image] * len(names)
        )
        observations.publish(message)

    def told(words):
        return any(words in status.message for m in health for status in m.status)

    for number, names in enumerate((("side",), ("side", "side"), ("side", "front")), start=1):
        observe(number, names)
        words = f"observation {number} has "
        probe.until(lambda words=words: told(words), "the cause")
    observe(4, VIEWS[::-1])
    probe.until(lambda: verdicts, "a verdict")
    assert [verdict.observation for verdict in verdicts] == [4]

# SPDX-License-Identifier: Apache-2.0
"""Episodes of one view to four, from files, and from files of before views had names."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2's rclpy is not installed")
pytest.importorskip("expo_ft_ros.msg", reason="the messages are not built")

from expo_ft_ros.msg import Observation
from hypothesis import given, settings
from hypothesis import strategies as st
from mcap_ros2.writer import Writer
from sensor_msgs.msg import Image

from expo_ft_ros.recording.episode_store import load_episode
from expo_ft_ros.recording.mcap_file import read_bag
from expo_ft_ros.recording.messages import BadMessage, observation_from_msg
from expo_ft_ros.robots.config import MAX_VIEWS
from expo_ft_ros.ros.message_definitions import message_definition
from support.episodes import VIEW_NAMES, VIEWS
from support.random_recordings import assert_same, messages, of_live, record

LEFT = "uint32 steps_left"
NOW = "string[] view_names              # of the robot's cameras, one to four, each once\n"
THEN = "sensor_msgs/Image side\nsensor_msgs/Image wrist\n"


@settings(max_examples=25)
@given(views=VIEW_NAMES, data=st.data(), seed=st.integers(0, 10**6))
def test_an_episode_of_any_views_is_in_its_file_as_it_was_said(tmp_path_factory, views, data, seed):
    """The message may have them in another order than the robot."""
    assert 1 <= len(views) <= MAX_VIEWS
    folder = tmp_path_factory.mktemp("episodes")
    said = list(messages(3, 3, np.random.default_rng(seed), data.draw(st.permutations(views))))
    record(folder, 3, said, views)
    live, file = of_live(said, views=views), load_episode(folder / "000003.mcap")
    assert list(live.views) == views
    for name in views:
        np.testing.assert_array_equal(live.views[name], file.views[name], err_msg=name)
    assert file.views.keys() == live.views.keys()
    np.testing.assert_array_equal(file.state, live.state)


WRONG = {
    "a view is missing": ["side"],
    "none is there": [],
    "one is unknown": ["side", "front"],
    "one is repeated": ["side", "side"],
    "one is too many": ["side", "wrist", "front"],
    "one has another spelling": ["side", "Wrist"],
}


def spoilt(message: Observation, names: list[str]) -> Observation:
    """The same observation, with these views."""
    return Observation(
        header=message.header,
        number=message.number,
        episode=message.episode,
        view_names=names,
        views=[message.views[0]] * len(names),
        proprio=message.proprio,
        instruction=message.instruction,
    )


@pytest.mark.parametrize("names", WRONG.values(), ids=WRONG.keys())
def test_an_observation_of_other_views_is_none(names):
    message = next(
        m for topic, m in messages(1, 1, np.random.default_rng(0)) if topic == "observation"
    )
    assert list(observation_from_msg(message, VIEWS).views) == list(VIEWS)
    with pytest.raises(BadMessage, match=f"observation {message.number} has "):
        observation_from_msg(spoilt(message, names), VIEWS)


@settings(max_examples=100)
@given(
    names=st.lists(st.sampled_from(["side", "wrist", "front"]), max_size=5),
    images=st.integers(0, 5),
)
def test_names_and_images_belong_together(names, images):
    """Whatever is said: the robot's views, one image each, or nothing."""
    image = Image(height=1, width=1, step=3, encoding="rgb8", data=[1, 2, 3])
    message = Observation(view_names=names, views=[image] * images)
    if sorted(names) == sorted(VIEWS) and images == len(VIEWS):
        assert list(observation_from_msg(message, VIEWS).views) == list(VIEWS)
        return
    with pytest.raises(BadMessage):
        observation_from_msg(message, VIEWS)


@pytest.mark.parametrize("names", WRONG.values(), ids=WRONG.keys())
def test_a_file_keeps_an_observation_of_other_views_and_nothing_is_learned_from_it(tmp_path, names):
    """As those who heard it, the reader takes the sound one that came after it."""
    said = list(messages(3, 3, np.random.default_rng(0)))
    more = [
        part
        for topic, message in said
        for part in ([(topic, spoilt(message, names))] if topic == "observation" else [])
        + [(topic, message)]
    ]
    record(tmp_path, 3, more)
    path = tmp_path / "000003.mcap"
    assert_same(load_episode(path), of_live(said))
    kept = [said.message for said in read_bag(path, lambda name: name == "observation")]
    assert len(kept) == 2 * 4
    assert list(kept[0].view_names) == names


def test_a_file_without_the_images_of_a_view_says_so(tmp_path):
    said = list(messages(3, 3, np.random.default_rng(0)))
    record(tmp_path, 3, said)
    path = copied(tmp_path / "000003.mcap", tmp_path / "000004.mcap", without="camera/wrist")
    with pytest.raises(ValueError, match=r"000004.*camera/wrist/image_raw: .*image is missing"):
        load_episode(path)


def test_a_file_of_before_views_had_names_is_read(tmp_path):
    said = list(messages(3, 5, np.random.default_rng(0)))
    record(tmp_path, 3, said)
    path = copied(tmp_path / "000003.mcap", tmp_path / "000004.mcap", older=True)
    assert not hasattr(next(read_bag(path, lambda name: name == "observation")).message, "views")
    older, live = load_episode(path), of_live(said)
    assert older.steps_left is None, "nor did it say how many steps were left"
    np.testing.assert_array_equal(older.steps_left_of(5), live.steps_left)
    assert_same(replace(older, steps_left=live.steps_left), live)


def copied(path, place, *, without: str = "", older: bool = False):
    """A copy of a recording: without topics that begin so, or as it was written with a field of the
    observation for each of two views."""
    definitions = {
        name: message_definition(f"expo_ft_ros/{name}")
        for name in ("Observation", "Step", "Reward", "EpisodeState", "SessionPlan")
    }
    types = {
        "observation": "Observation",
        "step": "Step",
        "reward": "Reward",
        "episode/state": "EpisodeState",
        "session/plan": "SessionPlan",
    }
    if older:
        start, _, rest = definitions["Observation"].partition(NOW)
        assert rest, "the message has another definition by now"
        assert LEFT in rest
        rest = re.sub(f"{LEFT}.*\n", "", rest.split("\n", 1)[1])
        definitions["Observation"] = start + THEN + rest
    with place.open("wb") as file, Writer(file) as writer:
        schemas = {
            name: writer.register_msgdef(f"expo_ft_ros/msg/{name}", text)
            for name, text in definitions.items()
        }
        image = writer.register_msgdef(
            "sensor_msgs/msg/Image", message_definition("sensor_msgs/Image")
        )
        for recorded in read_bag(path, lambda name: name in types or name.startswith("camera/")):
            topic, message = recorded.topic, recorded.message
            if without and topic.startswith(without):
                continue
            if older and topic == "observation":
                message.side, message.wrist = message.views
            schema = schemas[types[topic]] if topic in types else image
            writer.write_message(f"/{topic}", schema, message, recorded.time, recorded.time)
    return place

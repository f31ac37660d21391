# SPDX-License-Identifier: Apache-2.0
"""The files that say what a policy server calls what it is sent."""

import numpy as np
import pytest

from expo_ft_ros.configuration import ConfigError, load_yaml
from expo_ft_ros.serving.config import (
    SERVERS,
    PolicyServerConfig,
    load_server_config,
    require_address,
)
from expo_ft_ros.serving.observations import ObservationWriter
from support.policy_servers import ROBOT, TASK, observation

LEAST = "images: {base: a}\nstate: {b: [vector]}\n"


@pytest.fixture
def read(tmp_path):
    def read(text):
        path = tmp_path / "mine.yaml"
        path.write_text(text)
        return load_server_config(path)

    return read


@pytest.mark.parametrize("name", SERVERS.known())
def test_each_file_is_read_and_fits_the_simulated_robot(name):
    config = load_server_config(name)
    assert set(config.image_keys(ROBOT.views)) == {"side", "wrist"}


def test_a_view_goes_by_its_name_or_by_its_role(read):
    config = read("images: {side: front, left_wrist: hand, right_wrist: none}\nstate: {}\n")
    assert config.image_keys(ROBOT.views) == {"side": "front", "wrist": "hand"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "images: {sied: a, base: b}\nstate: {}\n",
            "sied: neither a view .*did you mean side",
        ),
        ("images: {right_wrist: a}\nstate: {}\n", "the robot has no such view .*side, wrist"),
    ],
)
def test_a_view_that_the_robot_has_not_is_named(read, text, words):
    with pytest.raises(ConfigError, match=words):
        read(text).image_keys(ROBOT.views)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("instruction: a", "key 'a' is given twice"),
        ("steps_left: b", "key 'b' is given twice"),
        ("timeout: 0", "mine.yaml:3: timeout: 0"),
        ("tiemout: 1", "did you mean timeout"),
        ("state: {b: [vektor]}", "given twice"),
    ],
)
def test_a_wrong_file_is_refused_with_its_place(read, more, words):
    with pytest.raises(ConfigError, match=words):
        read(LEAST + more + "\n")


def test_what_is_sent_of_an_observation_is_what_the_file_says(read):
    config = read(
        "images: {base: img}\nimage_size: 32\ninstruction: say\nsteps_left: left\nstate:\n"
        "  all: [vector]\n  some: [joints, gripper_closed]\n"
        "  pose: [position, quaternion, gripper_width]\n"
    )
    seen = observation()
    sent = ObservationWriter(config, ROBOT).message(seen, time_left=True)
    assert set(sent) == {"img", "say", "left", "all", "some", "pose"}
    assert (sent["img"].shape, sent["img"].dtype) == ((32, 32, 3), np.uint8)
    assert (sent["say"], sent["left"]) == (TASK.instruction, 30)
    np.testing.assert_array_equal(sent["all"], seen.proprio.vector())
    np.testing.assert_allclose(sent["some"], [*range(7), 1 - 0.05 / 0.08], atol=1e-6)
    np.testing.assert_allclose(sent["pose"], [0.45, 0.1, 0.2, 1, 0, 0, 0, 0.05], atol=1e-6)
    assert all(sent[key].dtype == np.float32 for key in ("all", "some", "pose"))
    assert "left" not in ObservationWriter(config, ROBOT).message(seen, time_left=False)


@pytest.mark.parametrize(
    "good", ["ws://127.0.0.1:8000", "ws://[::1]:1", "wss://a.b/c", "ws://h:9/"]
)
def test_an_address_is_one(good):
    assert require_address(good) == good


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "127.0.0.1:8000",
        "http://a:1",
        "ws://a",
        "ws://:80",
        "ws://a:x",
        "ws://a:99999",
        "ws://a..b:80",
        f"ws://{64 * 'a'}.b:80",
        "ws://a b:1",
        "ws://me@a:1",
    ],
)
def test_what_is_no_address_is_refused(bad):
    with pytest.raises(ValueError, match="ws://<host>:<port>"):
        require_address(bad)


def test_it_is_frozen():
    config = load_yaml(PolicyServerConfig, SERVERS.find("openpi"))
    with pytest.raises(ValueError, match="frozen"):
        config.timeout = 2.0

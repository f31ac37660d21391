# SPDX-License-Identifier: Apache-2.0
"""A trained agent behind a socket chooses what it chooses in an evaluation."""

import numpy as np
import pytest

from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.serving.client import BadReply
from expo_ft_ros.serving.config import load_server_config
from expo_ft_ros.serving.remote_policy import RemotePolicy
from expo_ft_ros.serving.served_policy import ServedPolicy
from expo_ft_ros.serving.server import BadObservation
from support.agents import fed
from support.policy_servers import KEYS, ROBOT, TASK, observation, serving


@pytest.fixture(scope="module")
def agent():
    return fed()


@pytest.fixture(scope="module")
def served(agent):
    return ServedPolicy(agent, ROBOT, KEYS)


def message(**more):
    seen = observation()
    sent = {
        "observation/image": seen.views["side"],
        "observation/wrist_image": seen.views["wrist"],
        "observation/state": seen.proprio.vector(),
        "prompt": TASK.instruction,
    }
    return {**sent, **more}


def test_over_a_socket_it_is_the_same_chunk_to_the_bit(agent, served):
    with serving(served.infer, served.metadata()) as server:
        policy = RemotePolicy(server.address, KEYS, TASK, ROBOT)
        policy.open()
        agent.begin_evaluation(3)
        there = [policy.act(observation(number)) for number in (1, 2)]
        policy.close()
    agent.begin_evaluation(3)
    here = [agent.act(observation(number), "mode").actions for number in (1, 2)]
    np.testing.assert_array_equal(there, here)


def test_the_metadata_say_what_it_is(agent, served):
    said = served.metadata()
    assert (said["task"], said["action_dim"], said["views"]) == ("cube_pick", 7, ["side", "wrist"])
    assert said["horizon"] == agent.config.vla.horizon
    assert said["limits"] == ROBOT.limits.model_dump(mode="json")
    assert set(said["keys"]) == set(message())


IMAGE = "observation/image"
STATE = "observation/state"


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        (IMAGE, np.zeros((3, 224, 224), np.uint8), r"shape \(3, 224, 224\)"),
        (IMAGE, np.zeros((224, 224, 3), np.float32), "dtype float32"),
        (IMAGE, np.zeros((224, 224), np.uint8), r"shape \(224, 224\)"),
        (IMAGE, np.zeros((0, 224, 3), np.uint8), "from 16 to 4096"),
        (IMAGE, [1], "list, wanted is an array"),
        (STATE, np.zeros(8), r"shape \(8,\)"),
        (STATE, np.zeros(10, bool), "type bool"),
        (STATE, [0.0] * 10, "type list"),
        (STATE, np.full(10, np.inf), "number 0 is inf"),
        ("prompt", "", "a text that isn't empty"),
        ("prompt", 3, "int, wanted is a text"),
    ],
)
def test_what_is_wrong_is_named(served, key, value, words):
    with pytest.raises(BadObservation, match=f"{key}: .*{words}"):
        served.infer(message(**{key: value}))


@pytest.mark.parametrize("key", list(message()))
def test_a_key_that_is_missing_is_named(served, key):
    sent = message()
    del sent[key]
    with pytest.raises(BadObservation, match=f"key '{key}' is missing: there are 'obs"):
        served.infer(sent)


def test_what_a_client_sends_beside_is_left_alone(served):
    assert served.infer(message(episode=3))["actions"].shape[1] == 7


def test_a_critic_that_sees_the_time_left_asks_for_it():
    agent = fed(value=fed().config.value.model_copy(update={"time_left": True}))
    served = ServedPolicy(agent, ROBOT, KEYS)
    key = "observation/steps_left"
    assert key in served.metadata()["keys"]
    for sent, words in ((message(), "is missing"), (message(**{key: -1}), "an integer from 0")):
        with pytest.raises(BadObservation, match=words):
            served.infer(sent)
    with serving(served.infer, served.metadata()) as server:
        policy = RemotePolicy(server.address, KEYS, TASK, ROBOT)
        policy.open()
        assert policy.act(observation()).shape[1] == 7
        policy.close()


def test_keys_that_do_not_name_what_the_policy_sees_are_refused(agent, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("images: {base: a}\nstate: {b: [vector]}\n")
    with pytest.raises(ConfigError, match=r"mine.yaml: images: wrist: the policy sees side, wrist"):
        ServedPolicy(agent, ROBOT, load_server_config(path))
    with pytest.raises(ConfigError, match=r"droid.yaml: state: the policy sees the state's vector"):
        ServedPolicy(agent, ROBOT, load_server_config("droid"))


def test_a_client_of_other_keys_is_told_which_is_missing(served):
    with serving(served.infer, served.metadata()) as server:
        policy = RemotePolicy(server.address, load_server_config("droid"), TASK, ROBOT)
        with pytest.raises(BadReply, match="key 'observation/image' is missing"):
            policy.open()

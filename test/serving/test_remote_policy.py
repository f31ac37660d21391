# SPDX-License-Identifier: Apache-2.0
"""What a policy on a server may answer, and how one that was lost comes back."""

import re
import threading

import numpy as np
import pytest

from expo_ft_ros.serving.client import BadReply, ServerGone, ServerLost
from expo_ft_ros.serving.packing import pack, unpack
from expo_ft_ros.serving.remote_policy import RemotePolicy
from expo_ft_ros.serving.server import BadObservation
from support.console_run import free_port
from support.policy_servers import (
    GENTLE,
    HORIZON,
    KEYS,
    ROBOT,
    TASK,
    answering,
    gentle,
    observation,
    other_server,
    serving,
)


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


def remote(address, clock=None, **changes):
    config = KEYS.model_copy(update=changes)
    return RemotePolicy(address, config, TASK, ROBOT, *([clock] if clock else []))


def test_a_chunk_is_what_the_server_says_within_the_limits():
    beyond = GENTLE.astype(np.float64)
    beyond[3, 2] = 1.2
    with serving(answering(beyond)) as server:
        policy = remote(server.address)
        policy.open()
        actions = policy.act(observation())
        policy.close()
    assert actions.dtype == np.float32
    assert actions[3, 2] == 1.0
    np.testing.assert_array_equal(actions[0], GENTLE[0])


def bad(shape=(HORIZON, 7), **places):
    actions = np.zeros(shape, np.float32)
    for value in places.values():
        actions[2, 4] = value
    return actions


@pytest.mark.parametrize(
    ("actions", "words"),
    [
        (bad((HORIZON, 8)), r"shape \(16, 8\), wanted is \(H, 7\)"),
        (bad((1, HORIZON, 7)), r"shape \(1, 16, 7\)"),
        (bad((TASK.execute_steps - 1, 7)), "horizon of 7 is shorter than the 8 steps"),
        (bad((0, 7)), "horizon of 0"),
        (bad(at=np.nan), "step 2 of a chunk: number 4 is nan"),
        (bad(at=np.inf), "step 2 of a chunk: number 4 is inf"),
        (bad(at=-1.6), "step 2 of a chunk: number 4 is -1.6"),
        ([[0.0] * 7] * HORIZON, "actions is list"),
        (None, "actions is NoneType"),
        (np.zeros((HORIZON, 7), bool), "actions is ndarray"),
    ],
)
def test_what_cannot_be_executed_is_refused_before_anything_moves(actions, words):
    with (
        serving(answering(actions)) as server,
        pytest.raises(BadReply, match=f"{server.address}: .*{words}"),
    ):
        remote(server.address).open()


def test_a_bad_chunk_later_on_is_refused_too():
    answers = [GENTLE, GENTLE, GENTLE[:10], bad(at=np.nan)]
    with serving(lambda _: {"actions": answers.pop(0)}) as server:
        policy = remote(server.address)
        policy.open()
        policy.act(observation())
        with pytest.raises(BadReply, match="its horizon was 16 and is 10 now"):
            policy.act(observation(2))
        with pytest.raises(BadReply, match="is nan"):
            policy.act(observation(3))
        policy.close()


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ({"task": "egg_flip"}, "task 'egg_flip', here task is 'cube_pick'"),
        ({"control_hz": 15.0}, "control_hz 15.0"),
        ({"action_dim": 8}, "action_dim 8"),
        ({"limits": {"linear_velocity": 0.1}}, "limits"),
        ({"limits": np.zeros(3)}, "limits array"),
        ({"task": np.zeros(2)}, "task array"),
    ],
)
def test_a_policy_of_something_else_is_refused(metadata, words):
    with serving(metadata=metadata) as server, pytest.raises(BadReply, match=words):
        remote(server.address).open()


def test_the_server_is_asked_by_its_keys_and_for_the_time_left_where_it_wants_it():
    seen = []

    def infer(message):
        seen.append(message)
        return gentle(message)

    for metadata in ({}, {"keys": {"observation/steps_left": "integer"}}):
        with serving(infer, metadata) as server:
            policy = remote(server.address)
            policy.open()
            policy.act(observation())
            policy.close()
    keys = {"observation/image", "observation/wrist_image", "observation/state", "prompt"}
    assert set(seen[1]) == keys
    assert set(seen[3]) == {*keys, "observation/steps_left"}
    assert seen[3]["observation/steps_left"] == 30
    np.testing.assert_array_equal(seen[1]["observation/image"], observation().views["side"])


def test_an_error_of_the_server_is_told_with_what_to_do():
    def infer(message):
        raise BadObservation("key 'observation/joint_position' is missing")

    with (
        serving(infer) as server,
        pytest.raises(BadReply, match=r"joint_position' is missing .*keys:="),
    ):
        remote(server.address).open()


def test_a_server_that_was_lost_comes_back_and_is_tried_less_and_less_often():
    port, clock = free_port(), Clock()
    with serving(port=port) as server:
        policy = remote(server.address, clock)
        policy.open()
        policy.act(observation())
    with pytest.raises(ServerLost, match="closed"):
        policy.act(observation(2))
    assert re.search(rf"127.0.0.1:{port}: the connection is closed.*start", policy.lost)
    cause, tries = policy.lost, []
    original = policy._connect
    policy._connect = lambda *given: (tries.append(clock.now), original(*given))[1]
    for _ in range(200):
        clock.now += 0.05
        policy.try_again()
        with pytest.raises(ServerLost):
            policy.act(observation(3))
    gaps = np.diff(tries)
    assert gaps == pytest.approx(sorted(gaps), abs=0.06)
    assert gaps[0] <= 0.31
    assert gaps[-1] >= 3.9
    assert policy.lost == cause
    with serving(port=port):
        clock.now += 5.0
        policy.try_again()
        assert policy.lost == ""
        np.testing.assert_array_equal(policy.act(observation(4)), GENTLE)
        policy.close()


def test_that_it_has_closed_the_connection_is_noticed_before_it_is_asked():
    with serving() as server:
        policy = remote(server.address)
        policy.open()
        policy.try_again()
        assert policy.lost == ""
    policy.try_again()
    assert f"{server.address}: the connection is closed: code 1012" in policy.lost


def test_one_that_stays_lost_ends_it():
    clock = Clock()
    with serving() as server:
        policy = remote(server.address, clock, give_up_after=30.0)
        policy.open()
    with pytest.raises(ServerLost):
        policy.act(observation())
    clock.now += 29.0
    policy.try_again()
    clock.now += 5.0
    with pytest.raises(ServerGone, match=r"can't be reached.*it was lost for 34 s"):
        policy.try_again()


def test_before_anything_moves_it_may_take_its_time_to_connect():
    started = threading.Event()

    def loads(connection):
        started.wait(5.0)
        connection.send(pack({}))
        for message in connection:
            connection.send(pack(gentle(unpack(message))))

    with other_server(loads) as address:
        policy = remote(address, connect_timeout=0.05)
        threading.Timer(0.5, started.set).start()
        policy.open()
        assert policy.lost == ""
        policy.close()


def test_one_that_lets_connect_and_never_answers_ends_it_too():
    clock, slow = Clock(), []

    def infer(message):
        if slow:
            slow[0].wait(5.0)
        return gentle(message)

    with serving(infer) as server:
        policy = remote(server.address, clock, give_up_after=30.0, timeout=0.1)
        policy.open()
        slow.append(threading.Event())
        try:
            with pytest.raises(ServerLost, match=r"within 0\.1 s"):
                policy.act(observation())
            for seconds in (20.0, 20.0):
                clock.now += seconds
                policy.try_again()
                assert policy.lost == ""
                with pytest.raises((ServerLost, ServerGone)) as caught:
                    policy.act(observation(int(clock.now)))
        finally:
            slow[0].set()
    assert caught.type is ServerGone


def test_one_that_is_restarted_now_and_then_ends_nothing():
    """Nobody asks in between: paused, say, or while the scene is reset."""
    port, clock = free_port(), Clock()
    policy = remote(f"ws://127.0.0.1:{port}", clock, give_up_after=30.0)
    with serving(port=port):
        policy.open()
    for _ in range(3):
        policy.try_again()
        assert "closed" in policy.lost
        clock.now += 1.0
        with serving(port=port):
            policy.try_again()
            assert policy.lost == ""
            clock.now += 300.0
    policy.close()


def test_a_server_that_comes_back_as_another_is_refused():
    port, clock = free_port(), Clock()
    with serving(port=port) as server:
        policy = remote(server.address, clock)
        policy.open()
    with pytest.raises(ServerLost):
        policy.act(observation())
    with serving(metadata={"task": "egg_flip"}, port=port):
        clock.now += 1.0
        with pytest.raises(BadReply, match="egg_flip"):
            policy.try_again()

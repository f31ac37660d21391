# SPDX-License-Identifier: Apache-2.0
"""A gripper's goals, one at a time, before a server that the test plays."""

from __future__ import annotations

import types

import pytest

pytest.importorskip("rclpy", reason="ROS 2's rclpy is not installed")

from action_msgs.srv import CancelGoal
from rclpy.task import Future

from expo_ft_ros.robots.gripper import GripperGoal
from expo_ft_ros.robots.ros2_control import GripperActionConfig
from expo_ft_ros.ros import gripper_action

OPEN, CLOSE = GripperGoal.OPEN, GripperGoal.CLOSE
UNKNOWN = CancelGoal.Response.ERROR_UNKNOWN_GOAL_ID


class Handle:
    """An accepted goal."""

    accepted = True

    def __init__(self):
        self.cancels, self.result = [], Future()

    def cancel_goal_async(self):
        self.cancels.append(Future())
        return self.cancels[-1]

    def get_result_async(self):
        return self.result

    def end(self):
        self.result.set_result(types.SimpleNamespace(result=types.SimpleNamespace(error="")))
        settle(self.result)


class Client:
    """The server's end: goals that were sent, each with its answer to be given."""

    def __init__(self):
        self.sent, self.is_there = [], True

    def server_is_ready(self):
        return self.is_there

    def send_goal_async(self, goal):
        self.sent.append((goal, Future()))
        return self.sent[-1][1]

    def accept(self):
        handle, answer = Handle(), self.sent[-1][1]
        answer.set_result(handle)
        settle(answer)
        return handle

    @property
    def goals(self):
        return [goal for goal, _ in self.sent]


def settle(future):
    """A future without an executor calls back where it is done already."""
    for callback in getattr(future, "waiting", []):
        callback(future)


class Node:
    def when_done(self, future, callback):
        future.waiting = [*getattr(future, "waiting", []), callback]


@pytest.fixture
def client():
    return Client()


@pytest.fixture
def warnings():
    return []


@pytest.fixture
def gripper(monkeypatch, client, warnings):
    requests = {goal: (client, goal) for goal in GripperGoal}
    monkeypatch.setattr(gripper_action, "_command", lambda *_: requests)
    config = GripperActionConfig(kind="command", name="hand")
    return gripper_action.ActionGripper(Node(), config, 0.08, warnings.append)


def pass_time(monkeypatch, seconds):
    now = gripper_action.time.monotonic()
    monkeypatch.setattr(
        gripper_action, "time", types.SimpleNamespace(monotonic=lambda: now + seconds)
    )


def test_a_goal_that_replaces_one_begins_once_that_has_ended(gripper, client):
    gripper.give(CLOSE)
    closing = client.accept()
    gripper.give(OPEN)
    assert client.goals == [CLOSE]
    assert len(closing.cancels) == 1
    closing.end()
    assert client.goals == [CLOSE, OPEN]


def test_a_stop_while_one_waits_for_the_other_begins_nothing(gripper, client):
    """Close, open, emergency stop: the hand keeps what it holds."""
    gripper.give(CLOSE)
    closing = client.accept()
    gripper.give(OPEN)
    gripper.forget()
    closing.end()
    assert client.goals == [CLOSE]


def test_a_stop_before_the_server_has_answered_cancels_the_goal(gripper, client):
    gripper.give(OPEN)
    gripper.forget()
    opening = client.accept()
    assert len(opening.cancels) == 1
    opening.end()
    gripper.give(CLOSE)
    closing = client.accept()
    assert not closing.cancels, "the stop counts once"


def test_a_stop_leaves_a_goal_that_runs(gripper, client):
    gripper.give(CLOSE)
    closing = client.accept()
    gripper.forget()
    assert not closing.cancels


def test_a_server_that_has_gone_is_a_warning_and_is_asked_anew_when_it_is_back(
    gripper, client, warnings
):
    gripper.give(CLOSE)
    client.is_there = False
    gripper.give(OPEN)
    assert warnings == ["gripper: hand: no action server, so it doesn't open"]
    client.is_there = True
    gripper.give(CLOSE)
    assert client.goals == [CLOSE, CLOSE]


def test_a_server_that_died_before_its_answer_is_asked_anew(gripper, client, warnings, monkeypatch):
    gripper.give(CLOSE)
    gripper.give(OPEN)
    assert client.goals == [CLOSE]
    pass_time(monkeypatch, gripper_action.ANSWER_TIME + 1)
    lost = client.sent[-1][1]
    gripper.give(OPEN)
    assert client.goals == [CLOSE, OPEN]
    assert "has not answered" in warnings[0]
    late = Handle()
    lost.set_result(late)
    settle(lost)
    assert len(late.cancels) == 1, "what was forgotten must not run"
    opening = client.accept()
    assert not opening.cancels


def test_a_server_that_was_started_anew_does_not_know_the_goal(gripper, client):
    gripper.give(CLOSE)
    closing = client.accept()
    gripper.give(OPEN)
    closing.cancels[0].set_result(CancelGoal.Response(return_code=UNKNOWN))
    settle(closing.cancels[0])
    assert client.goals == [CLOSE, OPEN]


def test_a_cancelled_goal_that_never_ends_is_forgotten(gripper, client, warnings, monkeypatch):
    gripper.give(CLOSE)
    client.accept()
    gripper.give(OPEN)
    pass_time(monkeypatch, gripper_action.ANSWER_TIME + 1)
    gripper.give(CLOSE)
    assert client.goals == [CLOSE, CLOSE]
    assert len(warnings) == 1


def test_a_long_motion_is_not_a_lost_one(gripper, client, warnings, monkeypatch):
    gripper.give(CLOSE)
    closing = client.accept()
    pass_time(monkeypatch, 60.0)
    gripper.give(OPEN)
    assert len(closing.cancels) == 1
    assert not warnings

# SPDX-License-Identifier: Apache-2.0
"""Broken messages on all topics that arbitration takes: none ends it, moves the arm or is kept."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
from expo_ft_ros.msg import ActionChunk, Proprio, Reward, SessionPlan, Step, TeleopCommand
from hypothesis import given, settings
from hypothesis import strategies as st
from sensor_msgs.msg import Image

from expo_ft_ros.recording.episode_builder import EpisodeGatherer
from expo_ft_ros.recording.episode_store import load_episode
from expo_ft_ros.recording.messages import (
    BadMessage,
    chunk_from_msg,
    image_to_array,
    proprio_from_msg,
    step_from_msg,
    teleop_from_msg,
    verdict_from_msg,
)
from expo_ft_ros.ros.messages import header_of
from support.arbitration_world import World
from support.episodes import VIEWS
from support.random_recordings import assert_same, messages, of_live, record

BAD = st.sampled_from([math.nan, math.inf, -math.inf])
SIZES = st.integers(0, 2**31)


@settings(max_examples=200)
@given(bad=BAD, place=st.integers(0, 6), message=st.sampled_from([Step(), TeleopCommand()]))
def test_an_action_that_is_none_is_refused(bad, place, message):
    message = copy.deepcopy(message)
    field = "executed" if isinstance(message, Step) else "action"
    getattr(message, field)[place] = bad
    decode = step_from_msg if isinstance(message, Step) else teleop_from_msg
    with pytest.raises(BadMessage):
        decode(message)


@settings(max_examples=200)
@given(source=st.integers(3, 255))
def test_a_source_that_is_none_is_refused(source):
    with pytest.raises(BadMessage, match="source"):
        step_from_msg(Step(source=source))


@settings(max_examples=200)
@given(horizon=st.integers(0, 40), count=st.integers(0, 300), bad=st.none() | BAD)
def test_a_chunk_that_is_none_is_refused(horizon, count, bad):
    message = ActionChunk(horizon=horizon, actions=[0.0] * count)
    if bad is not None and count:
        message.actions[count // 2] = bad
    if horizon and count == 7 * horizon and bad is None:
        assert chunk_from_msg(message).actions.shape == (horizon, 7)
        return
    with pytest.raises(BadMessage):
        chunk_from_msg(message)


@settings(max_examples=200)
@given(
    height=SIZES, width=SIZES, step=SIZES, count=st.integers(0, 500), encoding=st.text(max_size=8)
)
def test_an_image_that_contradicts_itself_is_refused(height, width, step, count, encoding):
    encoding = encoding.replace("\0", "")
    message = Image(
        height=height % 2**32, width=width, step=step, encoding=encoding, data=bytes(count)
    )
    right = height * step == count and step >= 3 * width and height * width > 0
    if encoding == "rgb8" and right:
        return
    with pytest.raises(BadMessage):
        image_to_array(message)


@settings(max_examples=200)
@given(bad=BAD, place=st.sampled_from(["position", "quaternion", "twist", "width", "joint"]))
def test_a_state_that_is_none_is_refused(bad, place):
    message = Proprio(gripper_width=0.04, joint_positions=[0.0] * 7)
    message.pose.orientation.x, message.pose.orientation.w = 1.0, 0.0
    proprio_from_msg(message)
    if place == "position":
        message.pose.position.y = bad
    elif place == "quaternion":
        message.pose.orientation.z = bad if math.isnan(bad) else 3.0
    elif place == "twist":
        message.twist.angular.z = bad
    elif place == "width":
        message.gripper_width = bad
    else:
        message.joint_positions[3] = bad
    with pytest.raises(BadMessage):
        proprio_from_msg(message)


@settings(max_examples=50)
@given(bad=BAD)
def test_a_reward_that_is_none_is_refused(bad):
    with pytest.raises(BadMessage):
        verdict_from_msg(Reward(value=bad))


def spoilt(message, rng: np.random.Generator):
    """A copy of an episode's part that nobody could mean."""
    message = copy.deepcopy(message)
    if isinstance(message, Step):
        message.executed[int(rng.integers(7))] = float(rng.choice([np.nan, np.inf, 7.0]))
    elif isinstance(message, Reward):
        message.value = math.nan
    else:
        message.views[0].step += 1
    return message


@settings(max_examples=20)
@given(seed=st.integers(0, 2**31))
def test_an_episode_is_what_it_is_without_its_broken_parts(seed):
    """Each part may come spoilt before it comes sound."""
    rng = np.random.default_rng(seed)
    said = list(messages(3, 5, rng))
    gatherer = EpisodeGatherer(VIEWS)
    for topic, message in said:
        if topic in ("step", "reward", "observation") and rng.integers(2):
            with pytest.raises(BadMessage):
                gatherer.take(topic, spoilt(message, rng))
        if topic != "teleop/command":
            gatherer.take(topic, message)
    (episode,) = gatherer.pop_complete()
    assert_same(episode, of_live(said))


@settings(max_examples=20)
@given(seed=st.integers(0, 2**31))
def test_an_episode_is_what_it_is_in_whatever_order_its_parts_come(seed):
    """Each once or twice; and of a step that was cut short, what was told before as well."""
    rng = np.random.default_rng(seed)
    *parts, end = [(t, m) for t, m in messages(3, 5, rng) if t != "teleop/command"]
    cut_short = []
    for topic, message in parts:
        if topic == "step" and rng.integers(2):
            message = copy.deepcopy(message)
            message.executed = 0.3 * message.executed
            cut_short.append((topic, message))
    said = [*parts, *cut_short]
    again = [said[int(i)] for i in rng.integers(len(said), size=10)]
    shuffled = [(*said, *again)[i] for i in rng.permutation(len(said) + len(again))]
    assert_same(of_live([*shuffled, end]), of_live([*said, end]))


def test_what_was_dropped_when_it_came_is_dropped_when_it_is_read(tmp_path):
    """The file keeps what was said, as evidence."""
    rng = np.random.default_rng(0)
    said = list(messages(3, 5, rng))
    broken_too = []
    for topic, message in said:
        if topic in ("step", "reward", "observation"):
            broken_too.append((topic, spoilt(message, rng)))
        broken_too.append((topic, message))
    record(tmp_path, 3, broken_too)
    assert_same(load_episode(tmp_path / "000003.mcap"), of_live(said))


def broken(world: World, rng: np.random.Generator) -> None:
    """One message that nobody could mean: late, early, twice, of nowhere, or not a number."""
    name = str(rng.choice(list(world.out)))
    number = int(rng.choice([0, 1, world.observations[-1].number + 10_000, 2**63]))
    nonsense = float(rng.choice([np.nan, np.inf, -7.0]))
    time = int(rng.choice([0, world.time - 10**9, world.time]))
    header = header_of(time, "base")
    if name.startswith("camera"):
        size = int(rng.integers(0, 99))
        message = Image(header=header, height=size, width=7, step=3, encoding="rgb8", data=b"abc")
    elif name == "proprio":
        message = Proprio(header=header, gripper_width=nonsense)
    elif name == "teleop/command":
        message = TeleopCommand(header=header, connected=True, engaged=True)
        message.action[int(rng.integers(7))] = nonsense
    elif name == "reward":
        message = Reward(observation=number, episode=3, value=nonsense, success=True)
        if rng.integers(2) and number != world.observations[-1].number:
            message.value = 1.0
    elif name == "policy/chunk":
        message = ActionChunk(id=9, observation=number, horizon=int(rng.integers(3)))
        message.actions = [nonsense] * int(rng.choice([0, 7, 14, 15]))
    else:
        message = SessionPlan(stage="rl", episode=2, policy="sample", operator_mode="correct")
        wrong = str(rng.choice(["stage", "policy", "operator_mode", "max_steps"]))
        if wrong != "max_steps":  # 0 as it is
            message.max_steps = 5
            setattr(message, wrong, "nonsense")
    world.out[name].publish(message)


def test_a_plan_that_comes_late_takes_none_back(graph):
    world = World(graph, lockstep=False)
    world.probe.node.create_timer(0.05, world.show)
    world.begin(max_steps=10_000)
    world.probe.until(lambda: len(world.steps) > 3, "steps")
    world.plan(2)
    world.plan(1)
    old = SessionPlan(stage="imitation", policy="none", operator_mode="none")
    world.out["session/plan"].publish(old)
    world.probe.spin(0.2)
    assert world.probe.call("episode/mark_failure").success
    running = lambda: (world.state.episode, world.state.state) == (2, "running")  # noqa: E731
    world.probe.until(running, "the planned episode")


@pytest.mark.realtime
def test_a_thousand_broken_messages_move_nothing(graph):
    """Real time: sound ones go on all the while."""
    world = World(graph, lockstep=False)
    world.probe.node.create_timer(0.05, world.show)
    world.begin(max_steps=10_000)
    world.probe.until(lambda: len(world.steps) > 3, "steps")
    rng = np.random.default_rng(0)
    for count in range(1000):
        broken(world, rng)
        if count % 10 == 0:
            world.probe.spin(0.05)
    world.probe.spin(1.0)
    assert world.node.process.poll() is None
    assert world.state.state == "running"
    for twist in world.twists:
        linear = twist.twist.linear
        assert abs(linear.x) <= 0.25
        assert abs(linear.y) <= 0.25
        assert linear.z == 0
    # One that was cut short, where somebody was halted, is told of again.
    numbers = [step.observation for step in world.steps if "cut short" not in step.cause]
    assert numbers == sorted(set(numbers))
    for step in world.steps:
        step_from_msg(step)
    known = {chunk.id for chunk in world.chunks}
    assert {step.chunk for step in world.steps} <= known | {0}
    count = len(world.steps)
    world.probe.until(lambda: len(world.steps) > count + 5, "going on")
    world.probe.until(lambda: "dropped on" in world.node.log.read_text(), "its word")

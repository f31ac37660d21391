# SPDX-License-Identifier: Apache-2.0
"""What a learner makes of several robots' messages, however they are mixed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from diagnostic_msgs.msg import KeyValue
from hypothesis import given
from hypothesis import strategies as st

from expo_ft_ros.data.episode import Episode
from expo_ft_ros.data.types import Source
from expo_ft_ros.recording.messages import BadMessage
from expo_ft_ros.rl.replay_buffer import ReplayBuffer
from expo_ft_ros.ros.joined_robots import LOST_AFTER, JoinedRobots
from support.episodes import VIEWS
from support.recordings import said_of

GAMMA, STEPS, HORIZON = 0.9, 3, 4
ROBOTS = ("left", "right", "third")
Stream = list[tuple[str, Any]]


class World:
    """Stands for the learner's node: hands on what is said under a topic's name, and lets time
    pass."""

    def __init__(self) -> None:
        self.now, self.publishers = 100.0, 1
        self.gone: set[str] = set()
        self.told: dict[str, list[Any]] = {}
        self.warned: list[str] = []
        self._heard: dict[str, tuple[object, Callable[[Any], None]]] = {}
        self._timers: list[Callable[[], None]] = []
        self.episodes: list[Episode] = []
        self.dropped: list[tuple[str, int]] = []
        self.robots = JoinedRobots(
            self,  # type: ignore[arg-type]
            VIEWS,
            8,
            self.episodes.append,
            lambda robot, number: self.dropped.append((robot, number)),
        )

    # -- what the class asks of its node --------------------------------------------------------
    def subscription(self, name: str, callback, *, needed=True, remapped=None) -> Any:
        robot = (remapped or name).partition("/")[0]
        made = SimpleNamespace(
            get_publisher_count=lambda: 0 if robot in self.gone else self.publishers
        )
        self._heard[remapped or name] = (made, callback)
        return made

    def publisher(self, name: str, *, remapped: str) -> Any:
        told = self.told.setdefault(remapped, [])
        return SimpleNamespace(publish=told.append)

    def wall_timer(self, period: float, callback: Callable[[], None]) -> Any:
        self._timers.append(callback)
        return callback

    def drop(self, entity: object) -> None:
        self._heard = {name: it for name, it in self._heard.items() if it[0] is not entity}
        self._timers = [timer for timer in self._timers if timer is not entity]

    def wall_time(self) -> float:
        return self.now

    def get_logger(self) -> Any:
        return SimpleNamespace(
            info=self.warned.append, warning=self.warned.append, error=self.warned.append
        )

    # -- what happens ---------------------------------------------------------------------------
    def say(self, robot: str, topic: str, message: Any) -> None:
        found = self._heard.get(f"{robot}/{topic}")
        if found is not None:
            found[1](message)

    def present(self, robot: str, where: str = "process 1 on here") -> None:
        self._heard["robots/present"][1](KeyValue(key=robot, value=where))

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        for timer in list(self._timers):
            timer()


def stream(robot: str, lengths: Sequence[int], successes: Sequence[bool]) -> Stream:
    """Episodes 1, 2, ... of a robot, of so many steps; each step's first number tells whose it is
    and when it was."""
    said: Stream = []
    for number, (length, success) in enumerate(zip(lengths, successes, strict=True), 1):
        made = said_of(number, [Source.POLICY] * length, stage="rl", success=success)
        place = 0
        for topic, message in made:
            if topic == "step":
                message.robot = robot
                message.executed[0] = _mark(robot, number, place)
                place += 1
        said += made
    return said


def _mark(robot: str, number: int, place: int) -> np.float32:
    return np.float32(0.3 * ROBOTS.index(robot) + 0.1 * number / 10 + 0.001 * place)


def expected(robot: str, lengths: Sequence[int], successes: Sequence[bool]) -> set[tuple]:
    """The windows of those episodes, from the equations: what was executed from t on, the last
    action repeated; the discounted rewards of n <= STEPS steps; what is bootstrapped."""
    found = set()
    for number, (length, success) in enumerate(zip(lengths, successes, strict=True), 1):
        for t in range(length):
            last = min(t + STEPS, length)
            actions = tuple(_mark(robot, number, min(i, last - 1)) for i in range(t, t + STEPS))
            ends = t + STEPS >= length
            reward = GAMMA ** (length - 1 - t) if ends and success else 0.0
            bootstrap = 0.0 if ends else GAMMA**STEPS
            found.add((robot, actions, round(reward, 5), round(bootstrap, 5), last - t))
    return found


def transitions(episodes: Sequence[Episode]) -> list[tuple]:
    """What replay makes of them."""
    replay = ReplayBuffer(400, 8, VIEWS, GAMMA)
    for episode in episodes:
        replay.add(episode)
    starts = replay.starts()
    window = replay.window(starts, STEPS, HORIZON)
    return [
        (
            robot,
            tuple(window.actions[i, :STEPS, 0]),
            round(float(window.reward[i]), 5),
            round(float(window.bootstrap[i]), 5),
            int(window.length[i]),
        )
        for i, robot in enumerate(replay.robots(starts))
    ]


LENGTHS = st.lists(st.integers(1, 6), min_size=1, max_size=3)


@given(st.data(), st.lists(LENGTHS, min_size=2, max_size=3))
def test_mixed_streams_give_the_transitions_that_each_gives_alone(data, lengths):
    """Number and observation of all robots' episodes are the same."""
    names = ROBOTS[: len(lengths)]
    successes = [[data.draw(st.booleans()) for _ in of_robot] for of_robot in lengths]
    made = list(zip(names, lengths, successes, strict=True))
    streams = {name: stream(name, of, won) for name, of, won in made}
    turns = [name for name, said in streams.items() for _ in said]
    world = World()
    for name in names:
        world.present(name)
    waiting = {name: iter(said) for name, said in streams.items()}
    for name in data.draw(st.permutations(turns)):
        world.say(name, *next(waiting[name]))
    found = transitions(world.episodes)
    wanted = set().union(*(expected(*each) for each in made))
    assert set(found) == wanted
    assert len(found) == len(wanted)


def test_a_step_of_another_robot_is_refused():
    world = World()
    world.present("left")
    for topic, message in stream("right", [3], [True]):
        if topic == "step":
            with pytest.raises(BadMessage, match=r"step of robot 'right', not of 'left'"):
                world.say("left", topic, message)
        else:
            world.say("left", topic, message)
    world.pass_time(6.0)
    assert world.episodes == []


def test_a_lost_robot_takes_its_episode_with_it_and_comes_back():
    world = World()
    world.present("left")
    world.present("right")
    said = stream("left", [4, 4], [True, True])
    cut = len(said) - 3
    for topic, message in said[:cut]:
        world.say("left", topic, message)
    assert [episode.outcome.episode for episode in world.episodes] == [1]
    world.pass_time(LOST_AFTER + 1.0)
    assert not any("lost" in line for line in world.warned), "the learner was busy"
    world.gone = {"left"}
    world.pass_time(1.0)
    assert any("robot left is lost" in line for line in world.warned)
    # What is left of it belongs to nothing.
    for topic, message in said[cut:]:
        world.say("left", topic, message)
    for topic, message in stream("right", [4], [True]):
        world.say("right", topic, message)
    assert [(e.robot, e.outcome.episode) for e in world.episodes] == [("left", 1), ("right", 1)]
    world.gone = set()
    world.present("left", "process 2 on here")
    for topic, message in stream("left", [4, 4, 4], [True] * 3)[2 * len(said) // 2 :]:
        world.say("left", topic, message)
    assert [(e.robot, e.outcome.episode) for e in world.episodes][2:] == [("left", 3)]


def test_it_is_told_of_the_learner_when_all_that_it_says_is_heard():
    world = World()
    world.publishers = 2  # one that was killed is gone after ten seconds
    world.present("left")
    world.pass_time(0.3)
    world.robots.tell(lambda name: name)  # type: ignore[arg-type, return-value]
    assert world.told == {"left/learner/status": []}
    world.publishers = 1
    world.pass_time(0.3)
    world.robots.tell(lambda name: name)  # type: ignore[arg-type, return-value]
    assert world.told == {"left/learner/status": ["left"]}


def test_a_second_of_its_name_is_refused_by_a_line_that_names_both():
    world = World()
    world.present("left", "process 1 on here")
    with pytest.raises(BadMessage, match=r"left: process 1 on here .*, process 2 on there"):
        world.present("left", "process 2 on there")
    world.pass_time(2.0)
    world.present("left", "process 2 on there")
    with pytest.raises(BadMessage, match=r"left: process 2 on there .*, process 1 on here"):
        world.present("left", "process 1 on here")


@pytest.mark.parametrize("name", ["", "Left", "left/arm", "1st", "a b"])
def test_what_is_no_namespace_is_no_robot(name):
    world = World()
    with pytest.raises(BadMessage, match="no robot's name"):
        world.present(name)

# SPDX-License-Identifier: Apache-2.0
"""A whole training in real time, into which a stranger says what could be meant (`stranger.py`).

Beside him every node meddles out of its own mouth, with copies and with what is broken
(`meddled.py`).

What is claimed: no process dies, no command is beyond the limits, what is recorded and learned is
what the topics' one publishers said, and the run ends well. What isn't: that a node which lies with
sound numbers is found out; that a stranger is known who is the only one to speak on a topic while
the graph begins; that a forged sign of life is (`nodes/heartbeat`, `nodes/ready`: everybody speaks
there); that a stranger's zero doesn't stop the arm for a moment, since whoever stops it may.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from expo_ft_ros.bringup.process import child_environment
from expo_ft_ros.control.safety_filter import SafetyConfig
from expo_ft_ros.data.episode import Episode
from expo_ft_ros.data.types import Source
from expo_ft_ros.recording.messages import (
    BadMessage,
    nanoseconds,
    step_from_msg,
    twist_array,
    verdict_from_msg,
)
from expo_ft_ros.robots import load_robot
from expo_ft_ros.tasks import load_task
from support.meddled import COMMANDS
from support.meddled_training import LEAST, ROOT, SPOKEN_ON, MeddledTraining, within_limits
from support.stranger import FILE, HE_LISTENS, KINDS, Heard

pytestmark = [pytest.mark.realtime, pytest.mark.slow]

LIMITS = load_robot("sim").limits

TASK = load_task("cube_pick")
SCALE = LIMITS.scale()
CUT_SHORT = "cut short"


@pytest.fixture
def stranger(graph: Any) -> Iterator[Callable[[], Heard]]:
    """A stranger who listens before the graph begins; called, he goes and tells."""
    process = subprocess.Popen(
        [sys.executable, "-m", "support.stranger", str(graph.folder), *SPOKEN_ON],
        cwd=ROOT,
        env={**child_environment(os.environ), "ROS_DOMAIN_ID": str(graph.domain)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == HE_LISTENS

    def tell() -> Heard:
        process.terminate()
        assert process.wait(120) == 0  # It writes some thousand messages.
        return Heard.load(graph.folder / FILE)

    yield tell
    process.kill()
    process.wait()


@pytest.mark.timeout(700)
def test_what_a_stranger_says_is_not_believed(graph, stranger, capsys):
    training = MeddledTraining(graph.folder, graph.domain, realtime=True)
    training.until_its_end(lambda: graph.probe.spin(0.1), patience=600)
    heard, own = stranger(), training.said()
    with capsys.disabled():
        print(f"\nbad messages: {sum(own.values())} of nodes, {heard.said.total()} of a stranger")
        for name in SPOKEN_ON:
            counts = [own.get((name, kind), 0) + heard.said[name, kind] for kind in KINDS]
            each = ", ".join(f"{n} {kind}" for n, kind in zip(counts, KINDS, strict=True))
            print(f"  {name}: {sum(counts)} ({each})")
    assert heard.said.total() >= LEAST
    # There is no lock-step that would wait for the operator's word.
    assert set(SPOKEN_ON) - {topic for topic, _ in heard.said} == {"sim/operator_ready"}
    within_limits(*(heard.of(name) for name in COMMANDS))
    training.replay_is_what_is_recorded()
    what_is_recorded_is_what_was_said(training, heard)
    no_command_leads_out_or_jerks(training, heard)


def what_is_recorded_is_what_was_said(training: MeddledTraining, heard: Heard) -> None:
    """Each step's action is the command of its time, and its reward the classifier's word on what
    followed."""
    steps = told(heard)
    sent = {nanoseconds(m.header.stamp): m.twist for m in heard.of("robot/twist_cmd")}
    values: dict[int, set[float]] = {}
    for reward in sound(heard.of("reward"), verdict_from_msg):
        values.setdefault(reward.observation, set()).add(reward.value)
    compared = 0
    for episode in training.episodes().values():
        for i, number in enumerate(numbers(episode)):
            step = steps.get(number)
            if step is None:  # The stranger came later.
                continue
            np.testing.assert_array_equal(episode.executed[i], step.executed)
            twist = sent.get(nanoseconds(step.header.stamp))
            if twist is not None and CUT_SHORT not in step.cause:
                meant = episode.executed[i, :6] * SCALE[:6]
                np.testing.assert_allclose(twist_array(twist), meant, atol=1e-6)
                compared += 1
            if number + 1 < episode.outcome.last_observation:
                assert values[number + 1] == {episode.reward[i]}
    # Of commands a reader keeps one: where it is busy, or halted, the next takes its place.
    assert compared > 0.2 * sum(map(len, training.episodes().values()))


def no_command_leads_out_or_jerks(training: MeddledTraining, heard: Heard) -> None:
    """By the positions that were measured: where the simulated arm gets to is another matter, since
    near the limits of its joints it doesn't do what it is sent."""
    steps, box, period = told(heard), TASK.workspace, TASK.period
    safety = SafetyConfig.load()
    jerk = period * np.array([safety.linear_acceleration] * 3 + [safety.angular_acceleration] * 3)
    for episode in training.episodes().values():
        velocity = episode.executed[:, :6] * SCALE[:6]
        place = episode.state[:-1, :3]
        ahead = place + period * velocity[:, :3]
        assert (ahead >= np.minimum(place, box.low) - 1e-6).all()
        assert (ahead <= np.maximum(place, box.high) + 1e-6).all()
        # A stop is no jerk, and what followed one that was cut short began from rest.
        moves = episode.source[1:] != Source.HOLD
        begun = [CUT_SHORT in steps[n].cause for n in numbers(episode)[:-1]]
        change = np.abs(np.diff(velocity, axis=0))[moves & ~np.array(begun)]
        assert (change <= jerk + 1e-5).all()


def numbers(episode: Episode) -> range:
    """Of the observations that an episode's steps are on."""
    last = episode.outcome.last_observation
    return range(last - len(episode), last)


def told(heard: Heard) -> dict[int, Any]:
    """What was said of each step; of one that was cut short, that."""
    steps: dict[int, Any] = {}
    for step in sound(heard.of("step"), step_from_msg):
        if step.observation not in steps or CUT_SHORT in step.cause:
            steps[step.observation] = step
    return steps


def sound(messages: list[Any], decode: Callable[[Any], object]) -> Iterator[Any]:
    """Those that aren't broken."""
    for message in messages:
        try:
            decode(message)
        except BadMessage:
            continue
        yield message

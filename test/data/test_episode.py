# SPDX-License-Identifier: Apache-2.0
"""Assembly from parts in any order, the reward's place, and the file."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from expo_ft_ros.data.episode import EpisodeAssembler, EpisodeOutcome
from expo_ft_ros.data.types import Observation, Proprio, Source, Step, Verdict

FIRST, STEPS = 11, 6


def observation(number: int) -> Observation:
    image = np.full((8, 8, 3), number, dtype=np.uint8)
    proprio = Proprio(np.array([number, 0.0, 0.0]), np.array([1.0, 0, 0, 0]), 0.04)
    views, left = {"side": image, "wrist": 255 - image}, FIRST + STEPS - number
    return Observation(number, number / 10, views, proprio, "pick up the cube", left)


def step(number: int, source: Source = Source.POLICY, episode: int = 3) -> Step:
    action = np.full(7, number / 100, dtype=np.float32)
    return Step(number, episode, 1, 0, source, action, action)


def outcome(**changes) -> EpisodeOutcome:
    fields = {
        "episode": 3,
        "stage": "rl",
        "success": True,
        "terminated": True,
        "truncated": False,
        "discarded": False,
        "first_observation": FIRST,
        "last_observation": FIRST + STEPS,
        "steps": STEPS,
    }
    return EpisodeOutcome(**{**fields, **changes})


def parts():
    numbers = range(FIRST, FIRST + STEPS + 1)
    return (
        [lambda a, n=n: a.add_observation(observation(n), 3) for n in numbers]
        + [lambda a, n=n: a.add_step(step(n)) for n in list(numbers)[:-1]]
        + [
            lambda a, n=n: a.add_verdict(n, Verdict(float(n == FIRST + STEPS), False, ""))
            for n in numbers
        ]
        + [lambda a: a.finish(outcome())]
    )


@settings(max_examples=50, deadline=None)
@given(order=st.permutations(range(len(parts()))), twice=st.lists(st.integers(0, 19), max_size=9))
def test_any_order_and_duplicates_give_the_same_episode(order, twice):
    assembler, every, done = EpisodeAssembler(), parts(), []
    for position in [*order, *twice]:
        every[position](assembler)
        done += assembler.pop_complete()
    assert len(done) == 1
    episode = done[0]
    assert len(episode) == STEPS
    np.testing.assert_allclose(
        episode.executed[:, 0], [n / 100 for n in range(FIRST, FIRST + STEPS)], rtol=1e-6
    )
    assert list(episode.state[:, 0]) == list(range(FIRST, FIRST + STEPS + 1))


def test_the_last_word_on_a_step_and_on_an_observation_counts():
    """A step that was cut short is told again; a verdict on what was still to come is none."""
    assembler, every = EpisodeAssembler(), parts()
    assembler.add_verdict(FIRST + 2, Verdict(1.0, True, "of nowhere"))
    assembler.add_step(replace(step(FIRST), executed=np.full(7, 0.9, np.float32)))
    for add in every:
        add(assembler)
    (episode,) = assembler.pop_complete()
    assert episode.executed[0, 0] == np.float32(FIRST / 100)
    assert list(episode.reward) == [0.0] * (STEPS - 1) + [1.0]


def test_reward_is_the_verdict_on_the_observation_after_the_action():
    assembler = EpisodeAssembler()
    numbers = list(range(FIRST, FIRST + STEPS + 1))
    for n in numbers:
        assembler.add_observation(observation(n), 3)
        value = 1.0 if n in (FIRST + 2, FIRST + STEPS) else 0.0
        assembler.add_verdict(n, Verdict(value, False, ""))
    for n in numbers[:-1]:
        assembler.add_step(step(n))
    assembler.finish(outcome())
    (episode,) = assembler.pop_complete()
    assert list(episode.reward) == [0, 1, 0, 0, 0, 1]


def test_waiting_for_the_demonstrator_is_left_out_at_the_start_only():
    assembler = EpisodeAssembler()
    held = {FIRST, FIRST + 1, FIRST + 4}
    for n in range(FIRST, FIRST + STEPS + 1):
        assembler.add_observation(observation(n), 3)
        assembler.add_verdict(n, Verdict(0.0, False, ""))
    for n in range(FIRST, FIRST + STEPS):
        assembler.add_step(step(n, Source.HOLD if n in held else Source.HUMAN))
    assembler.finish(outcome())
    (episode,) = assembler.pop_complete()
    assert len(episode) == STEPS - 2
    assert episode.human_steps == STEPS - 3
    assert episode.steps_left.tolist() == [4, 3, 2, 1, 0], "the wait has taken its time"
    unknown = replace(episode, steps_left=None)
    assert unknown.steps_left_of(STEPS).tolist() == [4, 3, 2, 1, 0]
    assert unknown.steps_left_of(STEPS - 3).tolist() == [1, 0, 0, 0, 0]
    assert episode.steps_left_of(STEPS - 3).tolist() == [4, 3, 2, 1, 0]


def test_an_episode_in_which_nobody_drove_is_dropped_and_said_so():
    assembler = EpisodeAssembler()
    for n in range(FIRST, FIRST + STEPS + 1):
        assembler.add_observation(observation(n), 3)
        assembler.add_verdict(n, Verdict(0.0, False, ""))
    for n in range(FIRST, FIRST + STEPS):
        assembler.add_step(step(n, Source.HOLD))
    assembler.finish(outcome())
    assert assembler.pop_complete() == []
    assert assembler.pop_dropped() == [3]


def test_discarded_episodes_are_dropped_and_the_next_one_comes_through():
    assembler = EpisodeAssembler()
    for part in parts()[:-1]:
        part(assembler)
    assembler.finish(outcome(discarded=True))
    assert assembler.pop_complete() == []
    assert assembler.pop_dropped() == [3]
    assert assembler.pop_dropped() == []
    assembler.add_observation(observation(30), 4)
    assembler.add_observation(observation(31), 4)
    assembler.add_verdict(31, Verdict(0.0, False, ""))
    assembler.add_step(step(30, episode=4))
    assembler.finish(outcome(episode=4, first_observation=30, last_observation=31))
    assert [e.outcome.episode for e in assembler.pop_complete()] == [4]

# SPDX-License-Identifier: Apache-2.0
"""When update calls are due, by the number of episodes and steps that have come."""

from __future__ import annotations

from expo_ft_ros.rl.config import load_preset
from expo_ft_ros.rl.update_schedule import UpdateSchedule

K = 3


def due(rate: float | None = None, **changes: object) -> UpdateSchedule:
    wanted = {"warmup_episodes": 3, "warmup_updates": 40, "vla_encoder_every": 2, **changes}
    return UpdateSchedule(load_preset().model_copy(update=wanted), K, rate)


def come(made: UpdateSchedule, *numbers: int, steps: int = 50) -> UpdateSchedule:
    for number in numbers:
        made.add(number, steps)
    return made


def test_the_warm_up_is_made_up_for_once():
    made = come(due(), 11, 12)
    assert made.pending == []
    come(made, 13)
    assert made.pending == [(K + 40, 13)]
    made.commit(13, encoder_phase=False)
    assert made.pending == []
    assert come(made, 14).pending == [(K, 14)]


def test_episodes_that_came_at_once_are_one_round():
    made = come(due(), 1, 2, 3)
    made.commit(3, encoder_phase=False)
    assert come(made, 4, 5, 6).pending == [(K, 6)]


def test_after_a_resume_each_lost_episode_has_its_round():
    made = come(due(), *range(1, 8))
    made.load_state_dict({"committed_to": 4, "encoder_phase_at": 0})
    made.mark_lost()
    assert come(made, 8).pending == [(K, 5), (K, 6), (K, 7), (K, 8)]
    made.commit(5, encoder_phase=False)
    assert made.pending == [(K, 6), (K, 7), (K, 8)]


def test_a_discarded_episode_takes_nothing_of_the_others():
    """2, 3 and 6 were discarded between two starts."""
    made = come(due(), 1, 4, 5, 7)
    made.load_state_dict({"committed_to": 4, "encoder_phase_at": 0})
    made.mark_lost()
    assert come(made, 8).pending == [(K, 5), (K, 7), (K, 8)]


def test_the_warm_up_of_a_lost_start_owes_its_last_episode_only():
    made = come(due(), *range(1, 6))
    made.mark_lost()
    assert come(made, 6).pending == [(K + 40, 3), (K, 4), (K, 5), (K, 6)]


def test_a_rate_counts_the_steps_since():
    made = come(due(rate=0.1, warmup_episodes=0, warmup_updates=0), 1, 2, steps=14)
    assert made.pending == [(3, 2)]
    made.commit(2, encoder_phase=False)
    assert come(made, 3, steps=4).pending == []
    assert come(made, 4, steps=4).pending == [(1, 4)]


def test_a_batch_waits_until_it_is_full():
    made = due(schedule="batch", episodes_per_batch=2, warmup_episodes=0, warmup_updates=0)
    assert come(made, 1).pending == []
    assert come(made, 2).pending == [(2 * K, 2)]
    made.commit(2, encoder_phase=False)
    assert come(made, 3, 4, 5).pending == [(3 * K, 5)]


def test_the_encoder_has_its_turn_every_so_many_episodes():
    made = come(due(), 1)
    assert not made.encoder_phase
    assert come(made, 2).encoder_phase
    made.commit(2, encoder_phase=True)
    assert not come(made, 3).encoder_phase
    assert come(made, 4).encoder_phase

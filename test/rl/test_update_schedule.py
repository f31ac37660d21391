# SPDX-License-Identifier: Apache-2.0
"""When update calls are due, by the number of episodes and steps that have come."""

from __future__ import annotations

from expo_ft_ros.rl.config import load_preset
from expo_ft_ros.rl.update_schedule import UpdateSchedule

K = 3


def due(rate: float | None = None, **changes: object) -> UpdateSchedule:
    wanted = {"warmup_episodes": 3, "warmup_updates": 40, "vla_encoder_every": 2, **changes}
    return UpdateSchedule(load_preset().model_copy(update=wanted), K, rate)


def own(number: int) -> dict[str, int]:
    """A round up to that episode of the run's own robot."""
    return {"": number}


def come(made: UpdateSchedule, *numbers: int, steps: int = 50) -> UpdateSchedule:
    for number in numbers:
        made.add(number, steps)
    return made


def test_the_warm_up_is_made_up_for_once():
    made = come(due(), 11, 12)
    assert made.pending == []
    come(made, 13)
    assert made.pending == [(K + 40, own(13))]
    made.commit(own(13), encoder_phase=False)
    assert made.pending == []
    assert come(made, 14).pending == [(K, own(14))]


def test_episodes_that_came_at_once_are_one_round():
    made = come(due(), 1, 2, 3)
    made.commit(own(3), encoder_phase=False)
    assert come(made, 4, 5, 6).pending == [(K, own(6))]


def test_after_a_resume_each_lost_episode_has_its_round():
    made = come(due(), *range(1, 8))
    made.load_state_dict({"committed_to": 4, "encoder_phase_at": 0})
    made.mark_lost()
    assert come(made, 8).pending == [(K, own(5)), (K, own(6)), (K, own(7)), (K, own(8))]
    made.commit(own(5), encoder_phase=False)
    assert made.pending == [(K, own(6)), (K, own(7)), (K, own(8))]


def test_a_discarded_episode_takes_nothing_of_the_others():
    """2, 3 and 6 were discarded between two starts."""
    made = come(due(), 1, 4, 5, 7)
    made.load_state_dict({"committed_to": 4, "encoder_phase_at": 0})
    made.mark_lost()
    assert come(made, 8).pending == [(K, own(5)), (K, own(7)), (K, own(8))]


def test_the_warm_up_of_a_lost_start_owes_its_last_episode_only():
    made = come(due(), *range(1, 6))
    made.mark_lost()
    assert come(made, 6).pending == [(K + 40, own(3)), (K, own(4)), (K, own(5)), (K, own(6))]


def test_a_rate_counts_the_steps_since():
    made = come(due(rate=0.1, warmup_episodes=0, warmup_updates=0), 1, 2, steps=14)
    assert made.pending == [(3, own(2))]
    made.commit(own(2), encoder_phase=False)
    assert come(made, 3, steps=4).pending == []
    assert come(made, 4, steps=4).pending == [(1, own(4))]


def test_a_batch_waits_until_it_is_full():
    made = due(schedule="batch", episodes_per_batch=2, warmup_episodes=0, warmup_updates=0)
    assert come(made, 1).pending == []
    assert come(made, 2).pending == [(2 * K, own(2))]
    made.commit(own(2), encoder_phase=False)
    assert come(made, 3, 4, 5).pending == [(3 * K, own(5))]


def test_the_encoder_has_its_turn_every_so_many_episodes():
    made = come(due(), 1)
    assert not made.encoder_phase
    assert come(made, 2).encoder_phase
    made.commit(own(2), encoder_phase=True)
    assert not come(made, 3).encoder_phase
    assert come(made, 4).encoder_phase


def test_episodes_of_several_robots_are_counted_apart():
    """Each counts its own from 1; the ratio of calls to steps is that of one robot."""
    made = due(rate=0.1, warmup_episodes=0, warmup_updates=0)
    made.add(1, 30)
    made.add(1, 20, "left")
    assert (made.episodes, made.env_steps, made.joined_steps) == (2, 50, 20)
    assert made.pending == [(5, {"": 1, "left": 1})]
    made.commit({"": 1, "left": 1}, encoder_phase=True)
    assert made.pending == []
    made.add(2, 10, "left")
    assert made.pending == [(1, {"left": 2})]
    made.commit({"left": 2}, encoder_phase=False)
    made.add(2, 40)
    assert made.pending == [(4, own(2))]
    assert made.encoder_phase, "left's and the run's own"


def test_what_was_learned_from_each_robot_is_kept():
    made = due(rate=0.1, warmup_episodes=0, warmup_updates=0)
    made.add(5, 10)
    made.add(2, 10, "left")
    made.commit({"": 5, "left": 2}, encoder_phase=False)
    again = due(rate=0.1, warmup_episodes=0, warmup_updates=0)
    again.load_state_dict(made.state_dict())
    for number in range(1, 6):
        again.add(number, 10)
    for number in range(1, 5):
        again.add(number, 10, "left")
    assert again.pending == [(2, {"left": 4})]

"""When update calls are due, by the number of episodes and steps that have come."""

from __future__ import annotations

from expo_ft_ros.rl.config import load_preset
from expo_ft_ros.rl.update_schedule import Due

K = 3


def due(rate: float | None = None, **changes: object) -> Due:
    wanted = {"warmup_episodes": 3, "warmup_updates": 40, "vla_encoder_every": 2, **changes}
    return Due(load_preset().model_copy(update=wanted), K, rate)


def come(made: Due, *numbers: int, steps: int = 50) -> Due:
    for number in numbers:
        made.add(number, steps)
    return made


def test_the_warm_up_is_made_up_for_once():
    made = come(due(), 11, 12)
    assert made.rounds == []
    come(made, 13)
    assert made.rounds == [(K + 40, 13)]
    made.learned(13, burst=False)
    assert made.rounds == []
    assert come(made, 14).rounds == [(K, 14)]


def test_episodes_that_came_at_once_are_one_round():
    made = come(due(), 1, 2, 3)
    made.learned(3, burst=False)
    assert come(made, 4, 5, 6).rounds == [(K, 6)]


def test_after_a_resume_each_lost_episode_has_its_round():
    made = come(due(), *range(1, 8))
    made.load_state_dict({"learned_to": 4, "burst_at": 0})
    made.owe()
    assert come(made, 8).rounds == [(K, 5), (K, 6), (K, 7), (K, 8)]
    made.learned(5, burst=False)
    assert made.rounds == [(K, 6), (K, 7), (K, 8)]


def test_a_discarded_episode_takes_nothing_of_the_others():
    """2, 3 and 6 were discarded between two starts."""
    made = come(due(), 1, 4, 5, 7)
    made.load_state_dict({"learned_to": 4, "burst_at": 0})
    made.owe()
    assert come(made, 8).rounds == [(K, 5), (K, 7), (K, 8)]


def test_the_warm_up_of_a_lost_start_owes_its_last_episode_only():
    made = come(due(), *range(1, 6))
    made.owe()
    assert come(made, 6).rounds == [(K + 40, 3), (K, 4), (K, 5), (K, 6)]


def test_a_rate_counts_the_steps_since():
    made = come(due(rate=0.1, warmup_episodes=0, warmup_updates=0), 1, 2, steps=14)
    assert made.rounds == [(3, 2)]
    made.learned(2, burst=False)
    assert come(made, 3, steps=4).rounds == []
    assert come(made, 4, steps=4).rounds == [(1, 4)]


def test_a_batch_waits_until_it_is_full():
    made = due(schedule="batch", episodes_per_batch=2, warmup_episodes=0, warmup_updates=0)
    assert come(made, 1).rounds == []
    assert come(made, 2).rounds == [(2 * K, 2)]
    made.learned(2, burst=False)
    assert come(made, 3, 4, 5).rounds == [(3 * K, 5)]


def test_the_encoder_has_its_turn_every_so_many_episodes():
    made = come(due(), 1)
    assert not made.burst
    assert come(made, 2).burst
    made.learned(2, burst=True)
    assert not come(made, 3).burst
    assert come(made, 4).burst

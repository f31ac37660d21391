# SPDX-License-Identifier: Apache-2.0
"""What was considered in an episode, read back from the file of the recorder."""

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2's rclpy is not installed")
pytest.importorskip("expo_ft_ros.msg", reason="the messages are not built")

from expo_ft_ros.data.types import Source
from expo_ft_ros.recording.recorded_episode import read_choices, read_recorded
from support.random_recordings import write_episode
from support.recordings import choice, record

P, H, N = Source.POLICY, Source.HUMAN, Source.HOLD
VALUED = choice((0, 0, 0), (0.1, 0, 0), q=(0.5, 0.4), edits=1)
UNVALUED = choice((0, 0, 0), q=(np.nan,))
BROKEN = {**VALUED, "chosen": 2}


def numbers(choices):
    return [choice.observation for choice in choices]


def test_an_episode_comes_with_all_that_was_considered(tmp_path):
    recorded = read_recorded(record(tmp_path, 2, [P, P, H, N], {0: VALUED, 3: UNVALUED}))
    assert numbers(recorded.choices) == [200, 203]
    assert (recorded.first, recorded.steps.tolist()) == (200, [0, 3])
    assert [recorded.latest(step) for step in range(5)] == [0, 0, 0, 1, 1]
    assert recorded.valued
    assert recorded.causes == ("speed", "speed", "speed", "chunk late")
    # As the reward, of the observation after each step.
    assert recorded.reasons == ("not lifted", "not lifted", "not lifted", "lifted")
    assert recorded.summary == "rl: success after 4 steps, 1 by a human (success)"


def test_the_choices_alone_are_the_same(tmp_path):
    path = record(tmp_path, 2, [P, P, P], {0: VALUED, 2: UNVALUED})
    assert numbers(read_choices(path)) == numbers(read_recorded(path).choices) == [200, 202]


def test_what_was_chosen_while_nobody_drove_yet_is_of_a_step_below_zero(tmp_path):
    recorded = read_recorded(record(tmp_path, 2, [N, N, P, P], {1: VALUED, 3: VALUED}))
    assert (recorded.first, recorded.steps.tolist()) == (202, [-1, 1])
    assert [recorded.latest(step) for step in (-2, 0, 1)] == [None, 0, 1]
    assert recorded.causes == ("speed", "speed")


def test_a_choice_on_the_last_observation_moves_nothing(tmp_path):
    path = record(tmp_path, 2, [P, P], {0: VALUED, 2: UNVALUED})
    assert numbers(read_choices(path)) == [200]


def test_a_choice_that_contradicts_itself_is_left_out(tmp_path):
    recorded = read_recorded(record(tmp_path, 2, [P] * 4, {0: VALUED, 2: BROKEN}))
    assert numbers(recorded.choices) == [200]


def test_without_a_policy_nothing_is_chosen(tmp_path):
    recorded = read_recorded(record(tmp_path, 2, [H, H], stage="collect"))
    assert (recorded.choices, recorded.latest(1), recorded.valued) == ((), None, False)


def test_a_file_that_was_cut_off_gives_what_it_has(tmp_path):
    path = write_episode(tmp_path, 2, length=60)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    recorded = read_recorded(path)
    count = len(recorded.episode)
    assert 0 < count < 60
    assert numbers(recorded.choices)[:3] == [200, 204, 208]
    assert recorded.causes == ("speed",) * count
    assert recorded.summary.startswith(f"rl: discarded after {count} steps")


def test_an_episode_without_an_end_gives_all_choices(tmp_path):
    path = record(tmp_path, 2, [P, P], {0: VALUED, 2: UNVALUED}, ended=False)
    assert numbers(read_choices(path)) == [200, 202]


def test_a_file_without_a_step_is_named(tmp_path):
    path = tmp_path / "000001.mcap"
    path.write_bytes(b"")
    with pytest.raises(ValueError, match=r"000001\.mcap: no whole step"):
        read_recorded(path)
    assert read_choices(path) == ()


@pytest.mark.parametrize("read", [read_choices, read_recorded])
def test_a_file_that_is_not_there_is_named(tmp_path, read):
    with pytest.raises(ValueError, match=r"000001\.mcap: can't be read"):
        read(tmp_path / "000001.mcap")

# SPDX-License-Identifier: Apache-2.0
"""What the curves of the training are drawn from."""

import numpy as np

from expo_ft_ros.monitor.training import Training

ROWS = {
    "minutes": np.array([1.0, 2.0]),
    "success": np.array([1.0, 0.5]),
    "alone": np.array([0.0, 0.5]),
    "human": np.array([0.4, 0.2]),
    "seconds": np.array([6.0, 8.0]),
    "mean_seconds": np.array([6.0, 7.0]),
}


def test_evaluations_are_marks_at_the_ends():
    seen = Training(**ROWS, evaluations={"eval_before": (1, 4), "eval_after": (3, 4)}).shares
    none = np.nan
    expected = [[0, none, none, none, 0.25], [1, 1, 0, 0.4, none], [2, 0.5, 0.5, 0.2, 0.75]]
    np.testing.assert_array_equal(seen, expected)


def test_without_an_evaluation_the_first_point_is_the_first_episodes():
    np.testing.assert_array_equal(Training(**ROWS).shares[:, 0], [1, 2])
    np.testing.assert_array_equal(Training(**ROWS).times, [[1, 6, 6], [2, 7, 8]])


def test_before_the_first_episode_there_is_at_most_one_mark():
    assert Training().shares.shape == (0, 5)
    assert len(Training().times) == 0
    before = Training(evaluations={"eval_before": (1, 4)})
    np.testing.assert_array_equal(before.shares[:, [0, 4]], [[0, 0.25]])

# SPDX-License-Identifier: Apache-2.0
"""What was promised against what came, by hand."""

import math

import pytest

from expo_ft_ros.experiment.value_calibration import ValueCalibration


def test_an_episode_is_judged_by_its_own_chunks():
    calibration = ValueCalibration()
    for number, q, edited in ((3, 9.0, True), (10, 0.9, True), (18, 0.5, False), (25, 9.0, True)):
        calibration.add(number, q, edited)
    assert len(calibration) == 4
    assert calibration.observations == [3, 10, 18, 25]
    # Observations 10 to 21: eleven steps; the reward comes with the last of them.
    kept = calibration.compute(10, 21, True, 0.9)
    assert kept["value_error"] == pytest.approx(((0.9 - 0.9**10) + (0.5 - 0.9**2)) / 2)
    assert kept["edited_chosen"] == 0.5
    assert calibration.compute(10, 21, False, 0.9)["value_error"] == pytest.approx(0.7)


def test_what_nobody_valued_is_no_error():
    calibration = ValueCalibration()
    calibration.add(1, math.nan, False)
    assert calibration.compute(1, 9, True, 0.99) == {"edited_chosen": 0.0}
    assert calibration.compute(2, 9, True, 0.99) == {}

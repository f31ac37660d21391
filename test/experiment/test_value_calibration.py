# SPDX-License-Identifier: Apache-2.0
"""What was promised against what came, by hand."""

import math

import numpy as np
import pytest

from expo_ft_ros.data.types import CandidateKind, Candidates
from expo_ft_ros.experiment.value_calibration import ValueCalibration

BASE, EDITED, GRIPPER = CandidateKind


def choice(number: int, q: float, kind: CandidateKind) -> Candidates:
    """Of a base chunk, its edit by 0.1 all over, and a gripper decision: the others are worth 0.2
    less than the chosen one."""
    actions = np.zeros((3, 2, 7), np.float32)
    actions[EDITED] = 0.1
    worth = np.full(3, q - 0.2, np.float32)
    worth[kind] = q
    return Candidates(number, actions, worth, np.arange(3, dtype=np.uint8), int(kind))


def test_an_episode_is_judged_by_its_own_chunks():
    calibration = ValueCalibration()
    made = ((3, 9.0, EDITED), (10, 0.9, EDITED), (18, 0.5, BASE), (25, 9.0, GRIPPER))
    for number, q, kind in made:
        calibration.add(choice(number, q, kind))
    assert len(calibration) == 4
    assert calibration.observations == [3, 10, 18, 25]
    # Observations 10 to 21: eleven steps; the reward comes with the last of them.
    kept = calibration.compute(10, 21, True, 0.9)
    assert kept["value_error"] == pytest.approx(((0.9 - 0.9**10) + (0.5 - 0.9**2)) / 2)
    assert (kept["edited_chosen"], kept["gripper_chosen"]) == (0.5, 0.0)
    assert (kept["edit_size"], kept["q_spread"]) == pytest.approx((0.1, 0.2))
    whole = calibration.compute(3, 26, True, 0.9)
    assert (whole["edited_chosen"], whole["gripper_chosen"]) == (0.5, 0.25)
    assert calibration.compute(10, 21, False, 0.9)["value_error"] == pytest.approx(0.7)


def test_what_nobody_valued_is_no_error():
    calibration = ValueCalibration()
    calibration.add(choice(1, math.nan, BASE))
    kept = calibration.compute(1, 9, True, 0.99)
    assert kept == {"edited_chosen": 0.0, "gripper_chosen": 0.0}
    assert calibration.compute(2, 9, True, 0.99) == {}

# SPDX-License-Identifier: Apache-2.0
"""Quaternions and matrices name the same rotation."""

import numpy as np
import pytest

from expo_ft_ros.data.rotation import TOOL_DOWN, matrix_of, quaternion_of

RANDOM = np.random.default_rng(0).normal(size=(50, 4))
HALF_TURNS = np.vstack([np.eye(4), [[1, 1, 0, 0], [0, 1, 1, 0], [1, 0, 1, 0], [1, 1, 1, 1e-9]]])


@pytest.mark.parametrize("quaternion", [TOOL_DOWN, *RANDOM, *HALF_TURNS])
def test_a_matrix_s_quaternion_is_the_one_that_made_it(quaternion):
    quaternion = quaternion / np.linalg.norm(quaternion)
    found = quaternion_of(matrix_of(quaternion))
    assert np.linalg.norm(found) == pytest.approx(1.0)
    assert abs(found @ quaternion) == pytest.approx(1.0)

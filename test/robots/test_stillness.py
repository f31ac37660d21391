# SPDX-License-Identifier: Apache-2.0
"""An arm stands once it has stayed near one pose; a controller's own motion is seen at any time."""

from __future__ import annotations

import numpy as np
import pytest

from expo_ft_ros.data.rotation import TOOL_DOWN, compose, rotation_of
from expo_ft_ros.robots.stillness import Stillness


def test_it_stands_after_a_second_and_not_before():
    it = Stillness()
    stood = [it.update(0.1 * k, np.zeros(3), TOOL_DOWN) for k in range(12)]
    assert stood.index(True) == 10


def test_a_turn_on_the_spot_is_a_motion():
    it = Stillness()
    for k in range(40):
        turned = compose(rotation_of(np.array([0, 0, 0.04 * k])), TOOL_DOWN)
        assert not it.update(0.1 * k, np.zeros(3), turned)


@pytest.mark.parametrize("begin", np.arange(0.0, 10.0, 0.5))
def test_the_motion_of_franka_s_example_is_seen_whenever_one_begins_to_look(begin):
    """cartesian_impedance_example_controller.cpp, jazzy: updateMotionTarget."""
    it = Stillness()
    for now in np.arange(begin, begin + 10.0, 0.01):
        angle = np.pi / 4 * (1 - np.cos(np.pi / 5 * now))
        place = np.array([0.1 * np.sin(angle), 0.0, 0.1 * (np.cos(angle) - 1)])
        assert not it.update(now, place, TOOL_DOWN), f"at {now} s"

# SPDX-License-Identifier: Apache-2.0
"""What is asked of the robot, and for how long."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from expo_ft_ros.data.types import Proprio
from expo_ft_ros.tasks.conditions import GripperRange, Hold, ToolRegion


def robot(x: float = 0.5, y: float = 0.0, z: float = 0.3, width: float = 0.04) -> Proprio:
    return Proprio(np.array([x, y, z]), np.array([1.0, 0, 0, 0]), width)


def test_outside_of_a_region_it_says_along_which_axis() -> None:
    region = ToolRegion(low=(0.4, -0.1, 0.2), high=(0.6, 0.1, 0.3))
    assert region.missing(robot()) == ""
    assert region.missing(robot(z=0.31)) == "z 0.310 m is not in 0.200 to 0.300 m"
    assert region.missing(robot(x=0.3, y=0.2)).count("is not in") == 2
    with pytest.raises(ValidationError, match=r"low 0\.4 m must lie below high 0\.4 m along x"):
        ToolRegion(low=(0.4, 0, 0), high=(0.4, 1, 1))


@pytest.mark.parametrize(
    ("width", "says"),
    [(0.03, "gripper open to 0.030 m, not 0.035 m"), (0.04, ""), (0.06, "gripper open to 0.060 m")],
)
def test_an_opening_counts_between_two_widths(width: float, says: str) -> None:
    assert GripperRange(min_width=0.035, max_width=0.05).missing(robot(width=width)) == says


def test_an_opening_without_a_limit_and_an_empty_range() -> None:
    assert GripperRange(min_width=0.07).missing(robot(width=0.08)) == ""
    with pytest.raises(ValidationError, match="must lie below max_width"):
        GripperRange(min_width=0.05, max_width=0.05)


def test_what_lasts_is_counted_anew_after_each_gap() -> None:
    hold = Hold(3)
    missing = ["", "", "x", "", "", "", "", "x", ""]
    assert [hold(word) for word in missing] == [False] * 5 + [True, True, False, False]
    assert hold.count == 1
    hold.reset()
    assert not hold("")

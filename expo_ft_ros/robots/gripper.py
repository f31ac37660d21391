# SPDX-License-Identifier: Apache-2.0
"""From a gripper's velocity to goals: for a gripper that only opens and closes."""

from __future__ import annotations

import math
from enum import Enum


class GripperGoal(Enum):
    """What the gripper is told to do."""

    OPEN = "open"
    CLOSE = "close"


class GripperGoals:
    """Opens or closes once, when the velocity passes a threshold; goes on until told otherwise.

    The same goal is given again only after the velocity has fallen below a lower threshold in
    between, so that noise around one of them doesn't move anything.
    """

    def __init__(self, max_velocity: float, *, engage: float = 0.5, rearm: float = 0.25) -> None:
        """Begins without a goal.

        Args:
            max_velocity: Of an action of 1 [m/s].
            engage: Share of it from which a goal is given.
            rearm: Share of it below which the same goal may be given again.

        Raises:
            ValueError: unless 0 <= rearm < engage <= 1 and max_velocity > 0.
        """
        if not (0 <= rearm < engage <= 1 and max_velocity > 0):
            raise ValueError(
                f"gripper: wants 0 <= rearm < engage <= 1, got {rearm} and {engage}, and a "
                f"velocity above 0, got {max_velocity} m/s"
            )
        self._engage, self._rearm = engage * max_velocity, rearm * max_velocity
        self._engaged: GripperGoal | None = None

    def update(self, velocity: float) -> GripperGoal | None:
        """The goal to give now, None where there is nothing new.

        Args:
            velocity: Commanded change of the opening [m/s], opening positive.

        Raises:
            ValueError: for a velocity that is not finite.
        """
        if not math.isfinite(velocity):
            raise ValueError(f"gripper velocity {velocity} m/s is not finite")
        if abs(velocity) < self._rearm:
            self._engaged = None
        if abs(velocity) < self._engage:
            return None
        goal = GripperGoal.OPEN if velocity > 0 else GripperGoal.CLOSE
        if goal is self._engaged:
            return None
        self._engaged = goal
        return goal

# SPDX-License-Identifier: Apache-2.0
"""What Pool Shot's expert makes of a view."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from expo_ft_ros.data.rotation import matrix_of
from expo_ft_ros.tasks.expert import Vector
from expo_ft_ros.tasks.pool_shot.scene import (
    BLACK,
    CUE,
    RADIUS,
    TARGET_POCKET,
    TIP,
    TIP_RADIUS,
    WHITE,
    WHITE_AT,
)
from expo_ft_ros.tasks.sight import Sight

TOUCH = RADIUS + TIP_RADIUS  # from the tip's middle to the white ball's, when they meet [m]
READY = 0.003  # of the tip beside the line of aim [m]
_MOVED = 0.003  # of the white ball, which has been struck then [m]


class PoolSight(Sight):
    """See Sight; places are (2,) on the bed."""

    @cached_property
    def tip(self) -> Vector:
        """Middle of the cue's round end (3,) [m]."""
        tip: Vector = self.position(CUE) + matrix_of(self.quaternion(CUE)) @ TIP
        return tip

    @cached_property
    def white(self) -> Vector:
        """The white ball's middle (3,) [m]."""
        return self.position(WHITE)

    @property
    def struck(self) -> bool:
        """The white ball isn't where it was set."""
        return bool(np.linalg.norm(self.white[:2] - WHITE_AT) > _MOVED)

    def aim(self, error: Vector | float = 0.0) -> Vector:
        """Direction (2,) of the white ball that sends the black one, if it lay off by an error
        (2,) [m], into the pocket."""
        black = self.position(BLACK)[:2] + error
        to_pocket = TARGET_POCKET - black
        meets = black - 2 * RADIUS * to_pocket / np.linalg.norm(to_pocket)
        aim: Vector = (meets - self.white[:2]) / np.linalg.norm(meets - self.white[:2])
        return aim

    def off_line(self, aim: Vector) -> tuple[float, Vector]:
        """How far the tip has to go before it touches the white ball [m], and where it is beside
        the line of aim (2,) [m]."""
        back = self.tip[:2] - self.white[:2]
        along = float(back @ aim)
        return -along - TOUCH, back - along * aim

    @property
    def ready(self) -> bool:
        """The tip is behind the white ball, on the line of aim."""
        gap, beside_it = self.off_line(self.aim())
        return bool(gap > 0.0 and np.linalg.norm(beside_it) < READY and not self.struck)

    @property
    def secured(self) -> bool:
        """The balls roll: nothing is left to do."""
        return self.struck

    def remaining(self) -> float:
        """See Sight."""
        if self.struck:
            return -1.0 - 0.02 * self.step
        gap, beside_it = self.off_line(self.aim())
        return abs(gap) + 2.0 * float(np.linalg.norm(beside_it))

# SPDX-License-Identifier: Apache-2.0
"""What Flower Insert's expert makes of a view."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from expo_ft_ros.tasks.expert import Vector
from expo_ft_ros.tasks.flower_insert.scene import (
    BORE,
    BOTTLE,
    MOUTH_HEIGHT,
    TIP,
    stem_end,
)
from expo_ft_ros.tasks.sight import Sight

CLEAR = 0.012  # of the stem's end above the mouth while it goes sideways [m]
ALIGNED = 0.004  # of the stem's end beside where it is wanted [m]
_IN = 0.008  # of the stem's end below the mouth, from where on the neck guides it [m]
_BESIDE = 0.010  # of the stem's end below the mouth while it is outside the bore: it has missed [m]


class FlowerSight(Sight):
    """See Sight."""

    @cached_property
    def mouth(self) -> Vector:
        """Middle of the bottle's mouth (3,) [m]."""
        mouth: Vector = self.position(BOTTLE) + np.array([0.0, 0.0, MOUTH_HEIGHT])
        return mouth

    @cached_property
    def end(self) -> Vector:
        """The stem's free end (3,) [m]."""
        return stem_end(self.position(TIP), self.quaternion(TIP))

    @property
    def depth(self) -> float:
        """Of the stem's end below the mouth [m]."""
        return float(self.mouth[2] - self.end[2])

    def misplaced(self, offset: Vector | float = 0.0) -> float:
        """Horizontal distance of the stem's end from the mouth's middle plus offset [m]."""
        return float(np.linalg.norm((self.end - self.mouth)[:2] - offset))

    @property
    def bent(self) -> float:
        """How far the stem's end is from under the tool [m]."""
        return float(np.linalg.norm((self.end - self.tool)[:2]))

    @property
    def ready(self) -> bool:
        """The stem's end is over the mouth."""
        return 0.0 < -self.depth < 2 * CLEAR and self.misplaced() < ALIGNED

    @property
    def secured(self) -> bool:
        """The stem's end is in the mouth."""
        return self.depth > _IN and self.misplaced() < BORE

    @property
    def missed(self) -> bool:
        """The stem's end is beside the bottle's neck."""
        return self.depth > _BESIDE and not self.secured

    def remaining(self) -> float:
        """See Sight."""
        if self.secured:
            return -self.depth
        return self.misplaced() + abs(self.depth) + self.bent

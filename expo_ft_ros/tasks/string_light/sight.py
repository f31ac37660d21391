# SPDX-License-Identifier: Apache-2.0
"""What the experts of the string of lights make of a view: a part is to go to its place.

A part is gripped from above at its `grip`. Its `feature` (the tip of a prong, the middle of an
eyelet) then goes to the `goal` (the mouth of a socket, the tip of a nail) and on along the base's
x.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import numpy as np

from expo_ft_ros.tasks.expert import Vector
from expo_ft_ros.tasks.sight import Sight

OPEN = 0.060  # opening that passes over a part [m]
ALIGNED = 0.010  # the tool over the grip, horizontally [m]
LOW = 0.045  # tool this little above the grip is at it [m]
BEFORE = 0.020  # the feature is carried to this far before the goal [m]
ON_LINE, NEAR_LINE = 0.0018, 0.012  # feature beside the goal's line [m]
IN = 0.003  # the feature this far beyond the goal is in [m]
_HELD = 0.03  # the tool this near to the grip may hold it [m]


class PlacingSight(Sight):
    """See Sight and the module."""

    HELD: ClassVar[tuple[float, float]]
    """Least and greatest opening over a part that is held [m]."""
    RISE: ClassVar[float]
    """Of the tool above the feature while the part is held level [m]."""
    DEPTH: ClassVar[float]
    """How far beyond the goal the feature goes [m]."""

    @property
    @abstractmethod
    def grip(self) -> Vector:
        """Where the tool (3,) grips the part [m]."""

    @property
    @abstractmethod
    def feature(self) -> Vector:
        """(3,) [m]."""

    @property
    @abstractmethod
    def goal(self) -> Vector:
        """(3,) [m]."""

    @property
    def lowered(self) -> bool:
        """Where the part is let go at the end: it would hang."""
        return True

    @property
    def above(self) -> float:
        """Tool height above the grip [m]."""
        return float(self.tool[2] - self.grip[2])

    @property
    def entered(self) -> float:
        """How far the feature is beyond the goal along its line [m]; negative before it."""
        return float((self.feature - self.goal)[0])

    @property
    def aside(self) -> float:
        """How far the feature is beside the goal's line [m]."""
        return float(np.linalg.norm((self.feature - self.goal)[1:]))

    @property
    def inside(self) -> bool:
        """The feature has passed the goal, on its line."""
        return self.entered > IN and self.aside < NEAR_LINE

    def misplaced(self, offset: Vector | float = 0.0) -> float:
        """Horizontal distance of the tool from the grip plus offset [m]."""
        return float(np.linalg.norm(self.tool[:2] - self.grip[:2] - offset))

    @property
    def held(self) -> bool:
        """The part is between closed fingers, by eye."""
        near = float(np.linalg.norm(self.tool - self.grip)) < _HELD
        return near and self.HELD[0] < self.width < self.HELD[1]

    @property
    def ready(self) -> bool:
        """See Sight: open, over the part, on the way down."""
        return self.width > OPEN and self.misplaced() < ALIGNED and self.above < LOW

    @property
    def secured(self) -> bool:
        """See Sight: held, before the goal and on its line, or in it."""
        before = self.entered < 0 and self.aside < 2 * ON_LINE and self.entered > -2 * BEFORE
        return self.held and (before or self.inside)

    def remaining(self) -> float:
        """See Sight."""
        if self.held or self.inside:
            done = 3.0 * self.entered + self.width if self.inside else 0.0
            return self.aside + max(-self.entered, 0.0) - done
        closing = 0.5 * self.width if self.above < LOW else 0.04
        return 1.0 + float(np.linalg.norm(self.tool - self.grip)) + closing

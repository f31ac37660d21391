# SPDX-License-Identifier: Apache-2.0
"""What Egg Flip's expert makes of a view."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from expo_ft_ros.data.rotation import matrix_of, rotation_of
from expo_ft_ros.tasks.egg_flip.scene import (
    BEND,
    BLADE_HALF_WIDTH,
    BLADE_LENGTH,
    EGG,
    FLAT,
    PAN,
    PAN_HEIGHT,
    PAN_RADIUS,
    RADIUS,
    SPATULA,
    THICKNESS,
    tip_offset,
)
from expo_ft_ros.tasks.expert import Vector
from expo_ft_ros.tasks.sight import Sight

LOW = 0.012  # the tip below this can go under the egg [m]
AT_WALL = 0.024  # the tip nearer to the wall than this is at it [m]
_LOST = 0.04  # the egg this far beside the blade isn't under it [m]
_HEADINGS = (-0.55, 0.70)  # in which the arm can turn the blade over [rad]
_RAISED = 0.03  # of the tip above the pan's edge [m]
_ROOM = 0.025  # the heel nearer to the near wall than this has to be raised [m]
_RAISE = 6.0  # so much for each metre [rad/m]
_BENT = matrix_of(rotation_of(np.array([-BEND, 0.0, 0.0])))  # the blade in the spatula's frame


class EggSight(Sight):
    """See Sight; places are (3,), from the middle of the pan's floor [m]."""

    @cached_property
    def axes(self) -> Vector:
        """Axes of the spatula (3, 3), in the base frame."""
        return matrix_of(self.quaternion(SPATULA))

    @cached_property
    def lever(self) -> Vector:
        """From the tool centre point to the tip (3,)."""
        lever: Vector = self.axes @ tip_offset(0.0, 0.0)
        return lever

    @cached_property
    def tip(self) -> Vector:
        """Middle of the blade's edge, were the blade not bent."""
        return self.tool + self.lever - self.position(PAN)

    @cached_property
    def egg(self) -> Vector:
        """The egg's middle."""
        return self.position(EGG) - self.position(PAN)

    @cached_property
    def up(self) -> float:
        """Cosine between the vertical and the side that was up at the start."""
        return float(matrix_of(self.quaternion(EGG))[2, 2])

    @property
    def heading(self) -> float:
        """Of the blade, about z from +y [rad]."""
        return float(np.arctan2(self.axes[1, 0], self.axes[0, 0]))

    @property
    def tilt(self) -> float:
        """Of the tool from straight down, towards where the blade points [rad]."""
        return float(np.arctan2(self.axes[2, 1], self.axes[2, 2]))

    @cached_property
    def seen_from_blade(self) -> Vector:
        """The egg's middle from the tip: across the blade, ahead of the tip, above the blade."""
        blade = self.axes @ _BENT
        seen: Vector = blade.T @ (self.egg - self.tip)
        return seen

    @property
    def aim(self) -> float:
        """Heading towards the wall behind the egg, square to it as far as the arm allows [rad]."""
        square = np.arctan2(-self.egg[0], max(self.egg[1] + 0.03, 0.03))
        return float(np.clip(square, *_HEADINGS))

    @property
    def passed(self) -> bool:
        """The blade goes by the egg."""
        across, ahead, _ = self.seen_from_blade
        return bool(abs(across) > _LOST and ahead < RADIUS / 2 and not self.loaded)

    @property
    def beside(self) -> bool:
        """The blade is on the floor where it can't get under the egg, which lies."""
        across, ahead, _ = self.seen_from_blade
        misses = abs(across) > _LOST and ahead < RADIUS
        return bool(misses and self.tip[2] < LOW and self.lies)

    @property
    def loaded(self) -> bool:
        """The egg lies on the blade."""
        across, ahead, above = self.seen_from_blade
        on = abs(across) < 0.03 and -BLADE_LENGTH < ahead < -0.005 and abs(above) < 0.025
        return bool(on and self.in_pan)

    @property
    def in_pan(self) -> bool:
        """The egg is in the pan."""
        return bool(np.linalg.norm(self.egg[:2]) < PAN_RADIUS)

    @property
    def lies(self) -> bool:
        """The egg lies on the pan's floor."""
        return self.in_pan and abs(self.up) > FLAT and self.egg[2] < THICKNESS

    @property
    def flipped(self) -> bool:
        """The egg lies the other side up, or is about to."""
        return self.in_pan and self.up < -FLAT

    @property
    def to_wall(self) -> float:
        """From the tip to the foot of the wall ahead [m]."""
        return float(PAN_RADIUS - np.linalg.norm(self.tip[:2]))

    @property
    def raised(self) -> bool:
        """The blade is above the pan's edge."""
        return bool(self.tip[2] > PAN_HEIGHT + _RAISED)

    @property
    def ready(self) -> bool:
        """The blade is low behind the egg and points at it."""
        across, ahead, _ = self.seen_from_blade
        behind = 0.0 < ahead < RADIUS + 0.03 and abs(across) < 0.02
        return bool(behind and self.tip[2] < LOW and not self.flipped)

    @property
    def secured(self) -> bool:
        """The egg lies on the blade, its far edge at the wall."""
        return self.loaded and self.to_wall < AT_WALL

    def remaining(self) -> float:
        """See Sight. Half a turn of the egg counts as 20 cm."""
        if self.flipped:
            return -1.0 - min(float(self.tip[2]), PAN_HEIGHT + _RAISED)
        if self.loaded or self.up < FLAT:
            return abs(self.to_wall) + 0.1 * (1.0 + self.up)
        return 0.4 + float(np.linalg.norm(self.tip - self.egg))


def along(heading: float, place: Vector) -> tuple[float, float]:
    """How far a place (3,) is on and aside, seen in a heading from the pan's middle [m]."""
    sin, cos = np.sin(heading), np.cos(heading)
    return float(cos * place[1] - sin * place[0]), float(cos * place[0] + sin * place[1])


def on_course(heading: float, on: float, aside: float, height: float) -> Vector:
    """(3,) the place that is so far on and aside in a heading [m]; the inverse of `along`."""
    sin, cos = np.sin(heading), np.cos(heading)
    return np.array([cos * aside - sin * on, sin * aside + cos * on, height])


def far_wall(aside: float) -> float:
    """How far on the foot of the wall is [m]."""
    return float(np.sqrt(max(PAN_RADIUS**2 - aside**2, 0.0)))


def level_tilt(tip: Vector, heading: float, dip: float) -> float:
    """Of the tool [rad], for a blade that dips by `dip`, or by more where its heel would hit the
    near wall. tip (3,): from the middle of the pan's floor [m]."""
    on, aside = along(heading, tip)
    far = float(np.hypot(on - BLADE_LENGTH, abs(aside) + BLADE_HALF_WIDTH))
    more = _RAISE * max(far - (PAN_RADIUS - _ROOM), 0.0)
    return BEND - min(dip + more, 0.7)

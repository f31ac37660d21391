# SPDX-License-Identifier: Apache-2.0
"""String Light Routing, Insert's expert: plugs the lights in, or watches and mends."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from expo_ft_ros.data.rotation import matrix_of
from expo_ft_ros.tasks.expert import Vector
from expo_ft_ros.tasks.string_light.placing import PlacingExpert
from expo_ft_ros.tasks.string_light.sight import PlacingSight
from expo_ft_ros.tasks.string_light_insert.scene import DEEPEST, HANDLE, PLUG, SEATED, SOCKET, TIP

_GRIP = np.array([-0.006, 0.0, 0.004])  # of the tool from the plug, base frame [m]


class PlugSight(PlacingSight):
    """See Sight: the part is the plug, its feature the prong's tip, the goal the hole's mouth."""

    HELD = (2 * HANDLE[1] - 0.004, 2 * HANDLE[1] + 0.006)
    DEPTH, RISE = DEEPEST - SEATED, float(_GRIP[2])

    @cached_property
    def grip(self) -> Vector:
        """See PlacingSight."""
        grip: Vector = self.position(PLUG) + _GRIP
        return grip

    @cached_property
    def feature(self) -> Vector:
        """See PlacingSight."""
        tip: Vector = self.position(PLUG) + matrix_of(self.quaternion(PLUG)) @ TIP
        return tip

    @cached_property
    def goal(self) -> Vector:
        """See PlacingSight."""
        return self.position(SOCKET)


class Expert(PlacingExpert[PlugSight]):
    """See the module."""

    SIGHT, SALT = PlugSight, 0x91C6

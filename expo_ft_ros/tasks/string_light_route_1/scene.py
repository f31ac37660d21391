# SPDX-License-Identifier: Apache-2.0
"""String Light Routing, Route I: the first bulb stands on the table; hang it on the first nail."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from expo_ft_ros.sim.scene import Looks
from expo_ft_ros.tasks.string_light.board import BULBS, RouteScene


class Scene(RouteScene):
    """See the module and RouteScene."""

    LOW, HIGH = np.array([0.39, 0.02]), np.array([0.46, 0.14])
    VARIES: ClassVar[Mapping[str, Looks]] = {
        BULBS[0]: Looks(6.0, (0.8, 1.05)),
        BULBS[1]: Looks(60.0, (0.6, 1.2)),
    }

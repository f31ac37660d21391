# SPDX-License-Identifier: Apache-2.0
"""String Light Routing, Route I: the first bulb stands on the table; hang it on the first nail."""

from __future__ import annotations

import numpy as np

from expo_ft_ros.tasks.string_light.board import RouteScene


class Scene(RouteScene):
    """See the module and RouteScene."""

    LOW, HIGH = np.array([0.39, 0.02]), np.array([0.46, 0.14])

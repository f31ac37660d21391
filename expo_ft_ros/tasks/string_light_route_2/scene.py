# SPDX-License-Identifier: Apache-2.0
"""String Light Routing, Route II: the first bulb hangs; hang the second one on the second nail."""

from __future__ import annotations

import numpy as np

from expo_ft_ros.tasks.string_light.board import RouteScene


class Scene(RouteScene):
    """See the module and RouteScene."""

    FIRST_HANGS = True
    LOW, HIGH = np.array([0.39, -0.11]), np.array([0.46, 0.01])

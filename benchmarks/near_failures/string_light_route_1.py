# SPDX-License-Identifier: Apache-2.0
"""String Light Routing, Route I, nearly."""

from __future__ import annotations

from expo_ft_ros.tasks.string_light_route_1.expert import RouteSight
from near_failures.string_light import STEPS, kinds

NEAR_FAILURES = kinds(RouteSight)

__all__ = ["NEAR_FAILURES", "STEPS"]

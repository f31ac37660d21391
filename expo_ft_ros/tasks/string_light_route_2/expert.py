# SPDX-License-Identifier: Apache-2.0
"""String Light Routing, Route II's expert: hangs the second bulb on the second nail."""

from __future__ import annotations

from expo_ft_ros.tasks.string_light.board import BULBS, NAILS
from expo_ft_ros.tasks.string_light.hanging import BulbSight, HangingExpert


class RouteSight(BulbSight):
    """See BulbSight."""

    BULB, NAIL = BULBS[1], NAILS[1]


class Expert(HangingExpert):
    """See the module."""

    SIGHT, SALT = RouteSight, 0x47A2

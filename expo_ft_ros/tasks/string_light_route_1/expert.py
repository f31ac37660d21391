# SPDX-License-Identifier: Apache-2.0
"""String Light Routing, Route I's expert: hangs the first bulb on the first nail."""

from __future__ import annotations

from expo_ft_ros.tasks.string_light.board import BULBS, NAILS
from expo_ft_ros.tasks.string_light.hanging import BulbSight, HangingExpert


class RouteSight(BulbSight):
    """See BulbSight."""

    BULB, NAIL = BULBS[0], NAILS[0]


class Expert(HangingExpert):
    """See the module."""

    SIGHT, SALT = RouteSight, 0x47A1

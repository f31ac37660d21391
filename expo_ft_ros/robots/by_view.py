# SPDX-License-Identifier: Apache-2.0
"""What an option says of some of a robot's views: `side=...,wrist=...`."""

from __future__ import annotations

import re
from collections.abc import Sequence

from expo_ft_ros.configuration import ConfigError, nearest


def by_view(option: str, robot: str, views: Sequence[str], value: str, like: str) -> dict[str, str]:
    """View -> what is said of it, in the order said.

    Args:
        option: As typed, `name:=side=...,wrist=...`.
        robot: Its name, for errors.
        views: Those that the robot has.
        value: What is to be said of a view, for errors.
        like: Pattern of that.

    Raises:
        ConfigError: for a view that the robot hasn't, one that is given twice, and what isn't
            like that.
    """
    found: dict[str, str] = {}
    _, _, text = option.partition(":=")
    for part in filter(None, text.split(",")):
        view, _, said = part.partition("=")
        if not re.fullmatch(like, said):
            raise ConfigError(
                f"{option}: {part!r} is not <view>={value} "
                f"(views of robot:={robot}: {', '.join(views)})"
            )
        if view not in views:
            raise ConfigError(
                f"{option}: robot:={robot} has no view {view!r} ({nearest(view, views)})"
            )
        if view in found:
            raise ConfigError(f"{option}: {view} is given twice (each view once)")
        found[view] = said
    return found

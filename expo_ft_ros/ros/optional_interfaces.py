# SPDX-License-Identifier: Apache-2.0
"""Interfaces of packages that only some robots need, imported by who needs them."""

from __future__ import annotations

import importlib
from typing import Any

from expo_ft_ros.configuration import ConfigError


def foreign_interface(source: tuple[str, str], kind: str, name: str) -> Any:
    """An interface's class.

    Args:
        source: Its package, and where that is had from (robots/ros2_control.py).
        kind: msg, srv or action.
        name: Of the interface.

    Raises:
        ConfigError: where it isn't installed.
    """
    package, remedy = source
    try:
        return getattr(importlib.import_module(f"{package}.{kind}"), name)
    except (ImportError, AttributeError) as error:
        raise ConfigError(
            f"{package}/{kind}/{name} is not installed: {error} ({remedy}; then source its "
            "workspace)"
        ) from error

# SPDX-License-Identifier: Apache-2.0
"""What franka_msgs/FrankaRobotState says of a Franka arm, in words."""

from __future__ import annotations

from typing import Any

_IN_WORDS = {
    0: "other",
    1: "idle",
    2: "move",
    3: "guiding",
    4: "reflex",
    5: "user stop",
    6: "automatic error recovery",
}
"""robot_mode of franka_msgs/FrankaRobotState."""

MOVE = 2
"""The mode in which a controller moves it."""

STOPPED = (4, 5, 6)
"""Modes in which the robot has stopped itself, or is recovering from that."""


def mode_in_words(mode: int | None) -> str:
    """Of robot_mode; None where it has not been heard of yet."""
    if mode is None:
        return "not known yet"
    return _IN_WORDS.get(mode, f"unknown ({mode})")


def fault_of(message: Any) -> str:
    """Why the robot has stopped itself; "" where it hasn't.

    Args:
        message: franka_msgs/FrankaRobotState.
    """
    errors = message.current_errors
    named = [name for name in errors.get_fields_and_field_types() if getattr(errors, name)]
    if message.robot_mode not in STOPPED and not named:
        return ""
    mode = mode_in_words(message.robot_mode)
    return f"{mode}: {', '.join(named)}" if named else mode

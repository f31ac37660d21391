# SPDX-License-Identifier: Apache-2.0
"""Names and places of what a dataset of ours holds."""

from __future__ import annotations

from pathlib import Path

VERSION = "v3.0"
STATE_NAMES = ("x", "y", "z", "r11", "r21", "r31", "r12", "r22", "r32", "gripper_width")
"""Of observation.state: position of the tool centre point in the base frame [m], the first two
columns of its rotation, opening of the gripper [m]."""
ACTION_NAMES = ("vx", "vy", "vz", "wx", "wy", "wz", "gripper_velocity")
"""Of action: as executed, in [-1, 1] of the task's limits, in base-frame axes."""
_IMAGES = "observation.images."
STATE, ACTION = "observation.state", "action"
REWARD, DONE, SUCCESS = "next.reward", "next.done", "next.success"
TRUNCATED = "next.truncated"
HUMAN = "complementary_info.is_intervention"
INFO = Path("meta/info.json")
LIMITS = "action_limits"
"""Of meta/info.json, beyond LeRobot: what an action of 1 means, by the names of a robot's file."""
TASKS = Path("meta/tasks.parquet")


def feature_of(view: str) -> str:
    """The feature, and column, of a view's images."""
    return f"{_IMAGES}{view}"


def view_of(feature: str) -> str:
    """The view whose images a feature is; "" where it is none of images."""
    return feature.removeprefix(_IMAGES) if feature.startswith(_IMAGES) else ""


class DatasetError(ValueError):
    """A dataset that can't be written or isn't one that can be read; the text says what to do."""

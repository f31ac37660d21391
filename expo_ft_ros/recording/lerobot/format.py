"""Names and places of what a dataset of ours holds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

VERSION = "v3.0"
STATE_NAMES = ("x", "y", "z", "r11", "r21", "r31", "r12", "r22", "r32", "gripper_width")
"""Of observation.state: position of the tool centre point in the base frame [m], the first two
columns of its rotation, opening of the gripper [m]."""
ACTION_NAMES = ("vx", "vy", "vz", "wx", "wy", "wz", "gripper_velocity")
"""Of action: as executed, in [-1, 1] of the task's limits, in base-frame axes."""
VIEWS: Mapping[str, str] = {
    "side": "observation.images.side",
    "wrist": "observation.images.wrist",
}
"""Feature of each view."""

STATE, ACTION = "observation.state", "action"
REWARD, DONE, SUCCESS = "next.reward", "next.done", "next.success"
TRUNCATED = "next.truncated"
HUMAN = "complementary_info.is_intervention"
INFO = Path("meta/info.json")
TASKS = Path("meta/tasks.parquet")


class DatasetError(ValueError):
    """A dataset that can't be written or isn't one that can be read; the text says what to do."""

# SPDX-License-Identifier: Apache-2.0
"""The leader node of an arm of six joints, with its gripper's knuckle as trigger and a pedal."""

from __future__ import annotations

from pathlib import Path

from expo_ft_ros.devices.leader_config import LeaderConfig, TriggerConfig
from expo_ft_ros.nodes import leader
from support.arms import KNUCKLE, UR5E_JOINTS

NAMES = (*(joint.name for joint in UR5E_JOINTS), KNUCKLE)
CONFIG = LeaderConfig.load().model_copy(
    update={
        "joints": NAMES[:-1],
        "base": "base_link",
        "tip": "tool0",
        "clutch": "button",
        "trigger": TriggerConfig(joint=KNUCKLE, opened=0.0, closed=0.8),
        # Of a machine that halts whoever tells the joints.
        "timeout": 1.0,
    }
)


def load(path: Path | None = None) -> LeaderConfig:
    """In place of config/leader.yaml."""
    return CONFIG


if __name__ == "__main__":
    LeaderConfig.load = load  # type: ignore[method-assign,assignment]
    leader.main()

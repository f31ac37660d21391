# SPDX-License-Identifier: Apache-2.0
"""The teleop node with the pushes of its device in the frame of the view `side`."""

from __future__ import annotations

from pathlib import Path

from expo_ft_ros.devices.teleop import TeleopConfig
from expo_ft_ros.nodes import teleop

_load = TeleopConfig.load


def load_of_side(path: Path | None = None, device: str = "spacenav") -> TeleopConfig:
    """As the file has it, but for the frame."""
    return _load(path, device).model_copy(update={"frame": "side"})


if __name__ == "__main__":
    TeleopConfig.load = load_of_side  # type: ignore[method-assign,assignment]
    teleop.main()

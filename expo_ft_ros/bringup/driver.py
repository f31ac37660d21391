# SPDX-License-Identifier: Apache-2.0
"""One driver that `ros2 launch` starts beside the graph, as data. Standard library only."""

from dataclasses import dataclass

from expo_ft_ros.bringup.launch_plan import LaunchError


@dataclass(frozen=True)
class Driver:
    """A launch file to include, or an executable to start.

    Attributes:
        package: Where it is.
        file: The launch file; "" for an executable.
        executable: Its name; "" for a launch file.
        arguments: Of the launch file, name and value.
        words: Of the executable's command line.
    """

    package: str
    file: str = ""
    executable: str = ""
    arguments: tuple[tuple[str, str], ...] = ()
    words: tuple[str, ...] = ()


def is_true(name: str, text: str) -> bool:
    """Raises LaunchError for what is neither true nor false."""
    if text not in ("true", "false"):
        raise LaunchError(f"expo-ft: {name}:={text}: is neither true nor false")
    return text == "true"

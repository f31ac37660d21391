# SPDX-License-Identifier: Apache-2.0
"""Demonstrations only.

    ros2 launch expo_ft_ros collect.launch.py demos:=10

Arguments: `--show-args`. The graph itself is in expo_ft_ros/graph/specs.py.
"""

from expo_ft_ros.bringup.launching import launch_description


def generate_launch_description():
    """Read by ros2 launch."""
    return launch_description("collect")

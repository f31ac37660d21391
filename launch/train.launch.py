# SPDX-License-Identifier: Apache-2.0
"""Demonstrations, imitation, evaluation, RL online, evaluation again.

    ros2 launch expo_ft_ros train.launch.py task:=cube_pick steps:=300

Arguments: `--show-args`. The graph itself is in expo_ft_ros/graph/specs.py.
"""

from expo_ft_ros.bringup.launching import launch_description


def generate_launch_description():
    """Read by ros2 launch."""
    return launch_description("train")

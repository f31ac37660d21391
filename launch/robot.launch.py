# SPDX-License-Identifier: Apache-2.0
"""A further robot that practises for a training which runs with mode:=async.

    ros2 launch expo_ft_ros robot.launch.py join:=runs/<run> name:=left

Arguments: `--show-args`. The graph itself is in expo_ft_ros/graph/specs.py.
"""

from expo_ft_ros.bringup.launching import launch_description


def generate_launch_description():
    """Read by ros2 launch."""
    return launch_description("robot")

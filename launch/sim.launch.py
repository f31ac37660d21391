# SPDX-License-Identifier: Apache-2.0
"""The simulated robot, to look at and to drive.

    ros2 launch expo_ft_ros sim.launch.py operator:=spacemouse

Arguments: `--show-args`. The graph itself is in expo_ft_ros/graph/specs.py.
"""

from expo_ft_ros.bringup.launching import launch_description


def generate_launch_description():
    """Read by ros2 launch."""
    return launch_description("sim")

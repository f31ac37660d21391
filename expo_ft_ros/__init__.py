# SPDX-License-Identifier: Apache-2.0
"""EXPO-FT: sample-efficient reinforcement learning finetuning of VLA policies, as a ROS 2 package.

The library (data, policies, rl, control, rewards, tasks, sim) is free of ROS; nodes/ and
bringup/ lie above it. See docs/architecture.md.
"""

import pkgutil

# The generated interfaces (expo_ft_ros.msg, expo_ft_ros.srv) are installed elsewhere on sys.path
# than a checkout; both are one package.
__path__ = pkgutil.extend_path(__path__, __name__)

__version__ = "0.1.0"

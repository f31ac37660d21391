# SPDX-License-Identifier: Apache-2.0
"""Adapter to the Cartesian controller of crisp_controllers.

It takes `target_pose` (PoseStamped, reliable, depth 1; its frame_id isn't looked at, the pose is in
the root of the URDF) from one publisher only, and cuts the error at 0.1 m and 0.5 rad; it has no
time-out. `pose_broadcaster` publishes `current_pose` in the root of the URDF, too: its parameter
base_frame is only written on it. So the URDF's root must be frames.base, which nothing here can see
(src/cartesian_controller.cpp, src/pose_broadcaster.cpp at 8093548).
"""

from __future__ import annotations

from expo_ft_ros.robots.ros2_control import CrispConfig
from expo_ft_ros.ros.controller_adapter import CartesianAdapter
from expo_ft_ros.ros.process import main as run_nodes
from expo_ft_ros.ros.robot_adapter import AdapterParameters


class CrispAdapter(CartesianAdapter[AdapterParameters]):
    """See the module."""

    PARAMETERS = AdapterParameters

    def _setup(self) -> None:
        super()._setup()
        self.controller(CrispConfig)


def main() -> None:
    """Runs the adapter."""
    run_nodes(CrispAdapter)


if __name__ == "__main__":
    main()

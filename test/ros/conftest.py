# SPDX-License-Identifier: Apache-2.0
"""Needs ROS."""

import pytest

pytest.importorskip("rclpy", reason="ROS 2's rclpy is not installed")
pytest.importorskip("expo_ft_ros.msg", reason="the messages are not built")

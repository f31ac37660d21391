# SPDX-License-Identifier: Apache-2.0
"""The graph as data: topics, services and node specs, free of ROS."""

# SPDX-License-Identifier: Apache-2.0
"""Cameras that the graph reads itself: V4L2 by OpenCV, RealSense by pyrealsense2.

Other drivers are as good, on the topics of the robot's `views`.
"""

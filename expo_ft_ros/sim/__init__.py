# SPDX-License-Identifier: Apache-2.0
"""Simulated robot, cameras, scenes and the scripted person who corrects the robot."""

from expo_ft_ros.sim.gl import choose_gl

choose_gl()

# SPDX-License-Identifier: Apache-2.0
"""The simulation's engine: robot, physics, cameras, and what a scene is."""

from expo_ft_ros.sim.gl import choose_gl

choose_gl()

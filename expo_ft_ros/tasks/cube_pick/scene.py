# SPDX-License-Identifier: Apache-2.0
"""Cube Pick: a cube anywhere on a black plane, the arm anywhere above it; lift the cube."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import mujoco
import numpy as np

from expo_ft_ros.sim import franka
from expo_ft_ros.sim.scene import (
    TOOL_DOWN_WXYZ,
    Looks,
    ObjectPose,
    Start,
    add_backdrop,
    add_side_camera,
    add_table,
    body_pose,
    place_body,
)

CUBE = "cube"
HALF_SIDE = 0.02
# Where the cube's centre may start (x, y) [m], its yaw [rad], and the tool (x, y, z) [m].
CUBE_LOW, CUBE_HIGH = np.array([0.33, -0.18]), np.array([0.63, 0.18])
CUBE_YAW = 0.3
TOOL_LOW, TOOL_HIGH = np.array([0.38, -0.125, 0.15]), np.array([0.58, 0.125, 0.28])
LIFT_HEIGHT = 0.06  # of the cube's centre above where it lay, for success [m]
_HELD_RADIUS = 0.04
_PLANE_MARGIN = 0.04


class Scene:
    """See the module; satisfies sim.scene.Scene."""

    VARIES: ClassVar[Mapping[str, Looks]] = {CUBE: Looks(180.0, (0.5, 1.05), 0.94)}

    def build(self, spec: mujoco.MjSpec) -> None:
        """See sim.scene.Scene."""
        box = mujoco.mjtGeom.mjGEOM_BOX
        middle = (CUBE_LOW + CUBE_HIGH) / 2
        extent = (CUBE_HIGH - CUBE_LOW) / 2 + _PLANE_MARGIN
        world = spec.worldbody
        add_table(spec)
        world.add_geom(  # a sheet of paint: seen, not felt
            name="plane", type=box, pos=[*middle, 0.0], size=[*extent, 0.0006],
            rgba=[0.05, 0.05, 0.06, 1.0], contype=0, conaffinity=0,
        )  # fmt: skip
        add_backdrop(spec, [-0.9, 0.9, 0.5], [0.02, 3.0, 2.5], [0.924, 0.0, 0.0, -0.383])
        cube = world.add_body(name=CUBE, pos=[*middle, HALF_SIDE])
        cube.add_freejoint(name=CUBE)
        cube.add_geom(
            name=CUBE, type=box, size=[HALF_SIDE] * 3, mass=0.04, rgba=[0.95, 0.2, 0.08, 1.0],
            contype=franka.OBJECT_BIT, conaffinity=franka.TABLE_BIT | franka.OBJECT_BIT,
            friction=[0.8, 0.005, 0.0001], condim=4,
        )  # fmt: skip
        add_side_camera(spec, np.array([1.06, -0.52, 0.56]), np.array([0.45, 0.01, 0.10]), 41.0)

    def reset(self, model: mujoco.MjModel, data: mujoco.MjData, rng: np.random.Generator) -> Start:
        """See sim.scene.Scene."""
        yaw = rng.uniform(-CUBE_YAW, CUBE_YAW)
        position = np.array([*rng.uniform(CUBE_LOW, CUBE_HIGH), HALF_SIDE])
        quaternion = np.array([0.0, 0.0, np.sin(yaw / 2), np.cos(yaw / 2)])
        place_body(model, data, CUBE, position, quaternion)
        return Start(rng.uniform(TOOL_LOW, TOOL_HIGH), TOOL_DOWN_WXYZ, franka.MAX_WIDTH)

    def success(self, model: mujoco.MjModel, data: mujoco.MjData) -> bool:
        """True while the cube is between the fingers and LIFT_HEIGHT above the table."""
        position = data.xpos[model.body(CUBE).id]
        tool = data.site_xpos[model.site(franka.TCP).id]
        held = np.linalg.norm(position - tool) < _HELD_RADIUS
        return bool(held and position[2] > HALF_SIDE + LIFT_HEIGHT)

    def objects(self, model: mujoco.MjModel, data: mujoco.MjData) -> dict[str, ObjectPose]:
        """The cube."""
        return {CUBE: body_pose(model, data, CUBE)}

# SPDX-License-Identifier: Apache-2.0
"""Pool Shot: a small table with six pockets, a white and a black ball, a cue in the closed gripper.

The white ball always lies in the same place, the black one anywhere on a line across the shot. The
cue is fixed to the hand; its frame, body CUE, has its origin in the tool centre point. Whether it
has touched the black ball since the reset is kept in the state's userdata, since a touch is over
before anybody looks.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import mujoco
import numpy as np

from expo_ft_ros.sim import franka
from expo_ft_ros.sim.scene import (
    TOOL_DOWN_WXYZ,
    UNTURNED,
    Looks,
    ObjectPose,
    Start,
    Vector,
    add_backdrop,
    add_held_tool,
    add_side_camera,
    add_table,
    body_pose,
    place_body,
)

WHITE, BLACK, CUE = "white", "black", "cue"
RADIUS = 0.016  # of a ball [m]
# The bed: least and greatest x, y, and its height; a pocket is a square hole of this side [m].
BED_LOW, BED_HIGH = np.array([0.38, -0.15]), np.array([0.66, 0.15])
BED, POCKET = 0.04, 0.05
WHITE_AT = np.array([0.46, 0.0])
BLACK_LOW, BLACK_HIGH = np.array([0.545, -0.010]), np.array([0.545, 0.010])  # ends of its line
TARGET_POCKET = np.array([0.635, 0.0])  # the middle of the one that the shot is for (x, y) [m]
TIP = np.array([0.10, 0.0, -0.030])  # of the cue, in its frame: the middle of its round end [m]
TIP_RADIUS = 0.006
START = np.array([0.315, 0.0, BED + RADIUS - TIP[2]])  # of the tool [m]

_TABLE = "pool_table"
_AT_REST = 0.02  # of a ball that is slower [m/s]
_MASS = 0.06
_RAIL, _RAIL_HEIGHT = 0.007, 0.018  # half its thickness; above the bed [m]
_TRAY = 0.003  # half the thickness of the pockets' floor [m]
_HANDLE = 0.005  # half the width of the cue where it is held [m]
_BUTT = np.array([-0.12, 0.0, 0.036])  # the cue's other end, in its frame [m]
# Spring and damper of a ball's contacts: they last some 10 ms, and give 0.9 of the speed back.
_BALL = {"solref": [-1.0e5, -20.0], "solimp": [0.95, 0.95, 0.001, 0.5, 2.0], "priority": 1}
_BALL_FRICTION = (0.15, 0.001, 0.0001)
# The bed swallows a fall; the rails give back what a ball does.
_SOFT = {"solref": [0.006, 1.0], "friction": _BALL_FRICTION, "condim": 6, "priority": 2}
_CLOTH, _WOOD, _LEATHER = (0.05, 0.42, 0.22, 1), (0.40, 0.23, 0.12, 1), (0.80, 0.66, 0.45, 1)


class Scene:
    """See the module; satisfies sim.scene.WatchingScene."""

    VARIES: ClassVar[Mapping[str, Looks]] = {
        _TABLE: Looks(180.0, (0.85, 1.2)),
        CUE: Looks(20.0, (0.7, 1.1)),
    }

    def build(self, spec: mujoco.MjSpec) -> None:
        """See sim.scene.Scene."""
        spec.option.timestep = 0.001
        spec.nuserdata = 1
        add_table(spec)
        add_backdrop(spec, [-0.9, 0.0, 0.5], [0.02, 3.0, 2.5])
        _add_pool_table(spec)
        _add_cue(spec)
        for name, colour in ((WHITE, (0.95, 0.95, 0.93, 1)), (BLACK, (0.03, 0.03, 0.035, 1))):
            ball = spec.worldbody.add_body(name=name)
            ball.add_freejoint(name=name)
            ball.add_geom(
                name=name, type=mujoco.mjtGeom.mjGEOM_SPHERE, size=[RADIUS, 0, 0], mass=_MASS,
                rgba=colour, contype=franka.OBJECT_BIT,
                conaffinity=franka.TABLE_BIT | franka.OBJECT_BIT, friction=_BALL_FRICTION,
                condim=6, **_BALL,
            )  # fmt: skip
        add_side_camera(spec, np.array([1.00, 0.0, 0.66]), np.array([0.52, 0.0, 0.04]), 30.0)

    def reset(self, model: mujoco.MjModel, data: mujoco.MjData, rng: np.random.Generator) -> Start:
        """See sim.scene.Scene."""
        along = rng.uniform()
        for name, place in (
            (WHITE, WHITE_AT),
            (BLACK, BLACK_LOW + along * (BLACK_HIGH - BLACK_LOW)),
        ):
            place_body(model, data, name, np.array([*place, BED + RADIUS]), UNTURNED)
        return Start(START, TOOL_DOWN_WXYZ, 2 * _HANDLE)

    def watch(self, model: mujoco.MjModel, data: mujoco.MjData) -> None:
        """See sim.scene.WatchingScene: notes that the cue touches the black ball."""
        if data.ncon:
            pair = {model.geom(CUE).id, model.geom(BLACK).id}
            if any(set(geoms) == pair for geoms in data.contact.geom.tolist()):
                data.userdata[0] = 1.0

    def success(self, model: mujoco.MjModel, data: mujoco.MjData) -> bool:
        """True once the black ball is in a pocket, the white one at rest and in none, and the cue
        hasn't touched the black one."""
        white, black = data.body(WHITE).xpos, data.body(BLACK).xpos
        rolls = np.linalg.norm(data.joint(WHITE).qvel[:2]) > _AT_REST
        on_bed = in_reach(white) and not in_pocket(white)
        return bool(in_pocket(black) and on_bed and not rolls and not data.userdata[0])

    def objects(self, model: mujoco.MjModel, data: mujoco.MjData) -> dict[str, ObjectPose]:
        """The balls, and the cue where it is held."""
        return {name: body_pose(model, data, name) for name in (WHITE, BLACK, CUE)}


def in_reach(ball: Vector) -> bool:
    """Whether a ball (3,) is between the rails."""
    return bool(np.all((ball[:2] > BED_LOW) & (ball[:2] < BED_HIGH)))


def in_pocket(ball: Vector) -> bool:
    """Whether a ball (3,) has fallen through a hole of the bed."""
    return in_reach(ball) and bool(ball[2] < BED)


def _add_pool_table(spec: mujoco.MjSpec) -> None:
    """Adds the bed, with holes in its corners and in the middles of its long sides, and rails."""
    body = spec.worldbody.add_body(name=_TABLE)
    (x0, y0), (x1, y1) = BED_LOW, BED_HIGH
    half = POCKET / 2

    def add(
        low: tuple[float, ...], high: tuple[float, ...], rgba: tuple[float, ...], **felt: Any
    ) -> None:
        least, most = np.array(low), np.array(high)
        body.add_geom(
            type=mujoco.mjtGeom.mjGEOM_BOX, pos=(least + most) / 2, size=(most - least) / 2,
            rgba=rgba, contype=franka.TABLE_BIT, conaffinity=0, **felt,
        )  # fmt: skip

    add((x0, y0, 0.0), (x1, y1, 2 * _TRAY), _LEATHER, **_SOFT)
    add((x0 + POCKET, y0, 2 * _TRAY), (x1 - POCKET, y1, BED), _CLOTH, **_SOFT)
    for low, high in ((x0, x0 + POCKET), (x1 - POCKET, x1)):
        add((low, y0 + POCKET, 2 * _TRAY), (high, -half, BED), _CLOTH, **_SOFT)
        add((low, half, 2 * _TRAY), (high, y1 - POCKET, BED), _CLOTH, **_SOFT)
    top, wide = BED + _RAIL_HEIGHT, 2 * _RAIL
    for low, high in ((x0 - wide, x0), (x1, x1 + wide)):
        add((low, y0 - wide, 0.0), (high, y1 + wide, top), _WOOD)
    for low, high in ((y0 - wide, y0), (y1, y1 + wide)):
        add((x0, low, 0.0), (x1, high, top), _WOOD)


def _add_cue(spec: mujoco.MjSpec) -> None:
    body = add_held_tool(spec, CUE, _HANDLE)
    body.add_geom(
        name=CUE, type=mujoco.mjtGeom.mjGEOM_CAPSULE, fromto=[*_BUTT, *TIP],
        size=[TIP_RADIUS, 0, 0], mass=0.05, rgba=(0.86, 0.70, 0.42, 1), contype=0,
        conaffinity=franka.TABLE_BIT | franka.OBJECT_BIT, friction=[0.3, 0.005, 0.0001],
    )  # fmt: skip
    body.add_geom(  # the tip, seen but not felt
        type=mujoco.mjtGeom.mjGEOM_SPHERE, pos=TIP, size=[TIP_RADIUS + 0.0005, 0, 0], mass=0.001,
        rgba=(0.15, 0.35, 0.75, 1), contype=0, conaffinity=0,
    )  # fmt: skip

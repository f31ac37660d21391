# SPDX-License-Identifier: Apache-2.0
"""The scene of both routing tasks: a board with two nails, two bulbs on a cable that hang there.

A bulb stands on the table, or hangs on its nail by the eyelet over its cap. Its frame: origin in
the middle of the eyelet, z up, the eyelet's hole along x, the cable to both sides along y. Above
the eyelet is a tab for fingers that close along y. The nails stick out of the board towards -x.
"""

from __future__ import annotations

from typing import ClassVar

import mujoco
import numpy as np

from expo_ft_ros.sim import franka
from expo_ft_ros.sim.scene import (
    TOOL_DOWN_WXYZ,
    ObjectPose,
    Start,
    Vector,
    add_backdrop,
    add_side_camera,
    add_table,
    body_pose,
    hold_arm,
)
from expo_ft_ros.tasks.string_light.cable import Cable

BULBS = ("bulb_1", "bulb_2")
NAILS = ("nail_1", "nail_2")
# Tips of the nails, and their way from the board: out, and a little up [m].
NAIL_TIPS = np.array([[0.555, 0.09, 0.165], [0.555, -0.09, 0.165]])
NAIL_RADIUS = 0.0022
NAIL_SLOPE = 0.15  # how much it rises along its way out
_UP = np.arctan(NAIL_SLOPE)
_NAIL_LENGTH = 0.048
EYELET = 0.008  # half width of the hole [m]
TAB = np.array([0.003, 0.011, 0.009])  # half sizes; its middle is over the eyelet's
TAB_AT = np.array([0.0, 0.0, EYELET + 0.003 + TAB[2]])
STANDS = 0.066  # height of the eyelet's middle while the bulb stands [m]
_CABLE_AT = np.array([0.0, 0.012, -0.020])  # where the cable is tied, to either side
_POST = np.array([0.50, 0.30, 0.012])  # where the cable begins
_CABLES = (Cable("first", count=7, pitch=0.0515), Cable("second", count=6, pitch=0.0535))
_COLOURS = ([0.95, 0.12, 0.08, 1.0], [0.10, 0.75, 0.20, 1.0])
_HARD = {"solref": [0.006, 1.0], "solimp": [0.95, 0.99, 0.001, 0.5, 2.0]}
_SETTLING_STEPS = 300
HUNG = 0.010  # an eyelet that hangs is within so much of its nail, across it [m]


class RouteScene:
    """See the module; satisfies sim.scene.Scene.

    FIRST_HANGS: whether the first bulb hangs already and the second is to be hung; LOW, HIGH: where
    the bulb that is to be hung may stand (x, y) [m].
    """

    FIRST_HANGS: ClassVar[bool] = False
    LOW: ClassVar[Vector]
    HIGH: ClassVar[Vector]
    TOOL_LOW, TOOL_HIGH = np.array([0.38, -0.08, 0.20]), np.array([0.45, 0.10, 0.26])

    @property
    def wanted(self) -> int:
        """Number of the bulb that is to be hung, and of its nail."""
        return int(self.FIRST_HANGS)

    def build(self, spec: mujoco.MjSpec) -> None:
        """See sim.scene.Scene."""
        world, box = spec.worldbody, mujoco.mjtGeom.mjGEOM_BOX
        spec.option.timestep = 0.0025
        add_table(spec)
        add_backdrop(spec, [0.9, 0.9, 0.5], [3.0, 0.02, 2.5], [0.966, 0.0, 0.0, -0.259])
        _add_board(spec)
        world.add_geom(
            name="post", type=box, pos=_POST + np.array([0.0, 0.012, 0.0]),
            size=[0.02, 0.012, 0.012], rgba=[0.2, 0.2, 0.22, 1.0],
            contype=franka.TABLE_BIT, conaffinity=0,
        )  # fmt: skip
        parent, at = world, _POST
        for name, cable, rgba in zip(BULBS, _CABLES, _COLOURS, strict=True):
            parent = cable.add(parent, at, _CABLE_AT)
            parent.name = name
            _add_bulb(parent, rgba)
            at = _CABLE_AT * [1.0, -1.0, 1.0]
        add_side_camera(spec, np.array([0.16, -0.56, 0.36]), np.array([0.49, 0.015, 0.10]), 33.0)

    def reset(self, model: mujoco.MjModel, data: mujoco.MjData, rng: np.random.Generator) -> Start:
        """See sim.scene.Scene. Lays the cable in arcs and lets bulbs and cable come to rest."""
        start = rng.uniform(self.LOW, self.HIGH)
        if self.FIRST_HANGS:
            hangs = NAIL_TIPS[0] + [0.025, 0.0, 0.025 * NAIL_SLOPE - EYELET + NAIL_RADIUS + 0.0005]
            places = [hangs, np.array([*start, STANDS])]
            bulges = ([-1.0, 0.0, -1.0], [-1.0, 0.0, -0.2])
        else:
            beside = np.array([start[0] - 0.03, -0.15, STANDS])
            places = [np.array([*start, STANDS]), beside]
            bulges = ([-1.0, 0.0, 0.0], [-1.0, 0.0, 0.0])
        before, upright = _POST, np.eye(3)
        for place, cable, bulge in zip(places, _CABLES, bulges, strict=True):
            cable.lay(model, data, before, place + _CABLE_AT, np.array(bulge), (upright, upright))
            before = place + _CABLE_AT * [1.0, -1.0, 1.0]
        hold_arm(model, data)
        mujoco.mj_step(model, data, nstep=_SETTLING_STEPS)
        data.qvel[:] = 0.0
        return Start(rng.uniform(self.TOOL_LOW, self.TOOL_HIGH), TOOL_DOWN_WXYZ, franka.MAX_WIDTH)

    def success(self, model: mujoco.MjModel, data: mujoco.MjData) -> bool:
        """True while the bulb hangs by its eyelet on its nail, and no finger touches it."""
        bulb = data.body(BULBS[self.wanted])
        return hangs(bulb.xpos, bulb.xmat.reshape(3, 3), self.wanted) and not _touched(
            model, data, model.body(BULBS[self.wanted]).id
        )

    def objects(self, model: mujoco.MjModel, data: mujoco.MjData) -> dict[str, ObjectPose]:
        """The bulbs (middle of the eyelet) and the nails (tip)."""
        return {name: body_pose(model, data, name) for name in (*BULBS, *NAILS)}


def hangs(eyelet: Vector, axes: Vector, nail: int) -> bool:
    """Whether a nail goes through an eyelet at (3,), of a bulb with axes (3, 3)."""
    tip = NAIL_TIPS[nail]
    along = np.array([np.cos(_UP), 0.0, -np.sin(_UP)])  # into the board
    normal = axes[:, 0]
    if abs(float(normal @ along)) < 0.2:
        return False
    depth = float(normal @ (eyelet - tip)) / float(normal @ along)
    pierced = axes.T @ (tip + depth * along - eyelet)  # in the bulb's frame
    inside = np.all(np.abs(pierced[1:]) < EYELET)
    return bool(inside and 0.0 < depth < _NAIL_LENGTH)


def _touched(model: mujoco.MjModel, data: mujoco.MjData, body: int) -> bool:
    """Whether something that moves touches the body."""
    bodies = model.geom_bodyid[data.contact.geom] if data.ncon else np.zeros((0, 2), int)
    mine = bodies == body
    others = bodies[mine[:, ::-1]]
    return bool(np.any(model.body_weldid[others] != 0))


def _add_board(spec: mujoco.MjSpec) -> None:
    """Adds the board with its nails."""
    world, box = spec.worldbody, mujoco.mjtGeom.mjGEOM_BOX
    face = NAIL_TIPS[0][0] + _NAIL_LENGTH * np.cos(_UP)
    root = NAIL_TIPS[0][2] - _NAIL_LENGTH * np.sin(_UP)
    top = root + 0.022
    world.add_geom(
        name="board", type=box, pos=[face + 0.009, 0.0, top / 2], size=[0.009, 0.20, top / 2],
        rgba=[0.62, 0.45, 0.28, 1.0], contype=franka.TABLE_BIT, conaffinity=0,
    )  # fmt: skip
    for name, tip in zip(NAILS, NAIL_TIPS, strict=True):
        nail = world.add_body(name=name, pos=tip)
        way = [_NAIL_LENGTH * np.cos(_UP), 0.0, -_NAIL_LENGTH * np.sin(_UP)]
        nail.add_geom(
            type=mujoco.mjtGeom.mjGEOM_CAPSULE, fromto=[0.0, 0.0, 0.0, *way],
            size=[NAIL_RADIUS, 0.0, 0.0], rgba=[0.25, 0.26, 0.3, 1.0],
            contype=franka.TABLE_BIT, conaffinity=0, friction=[0.4, 0.005, 0.0001], **_HARD,
        )  # fmt: skip


def _add_bulb(body: mujoco.MjsBody, rgba: list[float]) -> None:
    """Gives a bulb its shape: tab, eyelet, cap, glass with a flat foot."""
    box, cylinder = mujoco.mjtGeom.mjGEOM_BOX, mujoco.mjtGeom.mjGEOM_CYLINDER
    felt = {
        "contype": franka.OBJECT_BIT, "conaffinity": franka.TABLE_BIT,
        "friction": [0.4, 0.005, 0.0001], **_HARD,
    }  # fmt: skip
    dark, light = [0.15, 0.15, 0.17, 1.0], [0.92, 0.92, 0.88, 1.0]
    rim = 0.003
    for middle, half in (
        (TAB_AT, TAB),
        (np.array([0.0, EYELET + rim / 2, 0.0]), np.array([TAB[0], rim / 2, EYELET + rim])),
        (np.array([0.0, -EYELET - rim / 2, 0.0]), np.array([TAB[0], rim / 2, EYELET + rim])),
        (np.array([0.0, 0.0, EYELET + rim / 2]), np.array([TAB[0], EYELET, rim / 2])),
        (np.array([0.0, 0.0, -EYELET - rim / 2]), np.array([TAB[0], EYELET, rim / 2])),
    ):
        body.add_geom(type=box, pos=middle, size=half, mass=0.001, rgba=light, condim=4, **felt)
    cap, foot = -EYELET - rim, -STANDS
    body.add_geom(
        type=cylinder, pos=[0.0, 0.0, cap - 0.009], size=[0.012, 0.009, 0.0], mass=0.006,
        rgba=dark, **felt,
    )  # fmt: skip
    glass = (cap - 0.018 - foot) / 2
    body.add_geom(
        type=cylinder, pos=[0.0, 0.0, foot + glass], size=[0.019, glass, 0.0], mass=0.03,
        rgba=rgba, **felt,
    )  # fmt: skip

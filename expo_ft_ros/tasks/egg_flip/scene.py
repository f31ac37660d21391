# SPDX-License-Identifier: Apache-2.0
"""Egg Flip: a 3D-printed fried egg in a pan, a spatula that the gripper holds; turn the egg over.

The spatula is part of the hand, so the fingers stay on its handle whatever they are told. The
handle runs on along the tool's axis; the blade is bent from it by BEND and springs a little, as
nylon does. Where the blade lies flat the tool leans by BEND from straight down. An FR3 turns its
tool too slowly to throw the egg; it turns over against the pan's sloped wall, which holds its edge
while the blade lifts the other one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import mujoco
import numpy as np

from expo_ft_ros.data.rotation import compose, rotation_of
from expo_ft_ros.sim import franka
from expo_ft_ros.sim.scene import (
    Looks,
    ObjectPose,
    Start,
    Vector,
    add_backdrop,
    add_held_tool,
    add_side_camera,
    add_table,
    body_pose,
    coarsen_physics,
    place_body,
)

EGG, PAN, SPATULA, BLADE = "egg", "pan", "spatula", "blade"
# The egg lies around its frame's origin, its yolk towards +z.
RADIUS, THICKNESS = 0.040, 0.012  # [m]
# Middle of the pan's floor, which is the table's top; its radius, height of the wall [m].
PAN_AT, PAN_RADIUS, PAN_HEIGHT = np.array([0.42, 0.01, 0.0]), 0.120, 0.045
WALL_SLOPE = 0.35  # of the wall, outwards from upright [rad]
BEND = 0.55  # between the tool's axis and the blade's normal [rad]
HANDLE = 0.120  # from the tool centre point to the blade's heel [m]
BLADE_LENGTH, BLADE_HALF_WIDTH = 0.070, 0.034  # [m]
FLAT = 0.90  # least cosine between the egg's axis and the vertical once it lies

# The spatula's axes are the base's with this tool (x, y, z, w): down, its fingers open along x.
UPRIGHT = compose(rotation_of(np.array([0.0, 0.0, np.pi / 2])), np.array([1.0, 0.0, 0.0, 0.0]))

_TURNED = 0  # in the user data: whether the yolk was down at the start
_SPOKES = 6
_WALLS = 20
_SHEET = 0.0006  # half the blade's thickness [m]
_WALL = 0.003  # half the wall's [m]
_GRIP = 0.008  # half the handle's width, which keeps the fingers apart [m]
# Greased: the spatula's friction counts at it, the egg's at the pan.
_EGG_SLIDES = {"friction": [0.25, 0.005, 0.0001], "priority": 1}
_SPATULA_SLIDES = {"friction": [0.12, 0.005, 0.0001], "priority": 2}
_CONTACT = {"solref": [0.008, 1.0], "solimp": [0.95, 0.99, 0.001, 0.5, 2.0]}
_DARK = [0.10, 0.10, 0.11, 1.0]


class Scene:
    """See the module; satisfies sim.scene.Scene."""

    VARIES: ClassVar[Mapping[str, Looks]] = {
        EGG: Looks(4.0, (0.9, 1.0), 0.98),
        SPATULA: Looks(15.0, (0.6, 1.2)),
        PAN: Looks(180.0, (0.6, 1.4)),
    }

    def build(self, spec: mujoco.MjSpec) -> None:
        """See sim.scene.Scene."""
        spec.nuserdata = 1
        coarsen_physics(spec)
        add_table(spec)
        add_backdrop(spec, [-0.9, 0.0, 0.5], [0.02, 3.0, 2.5])
        _add_pan(spec)
        _add_egg(spec)
        _add_spatula(spec)
        add_side_camera(spec, np.array([0.93, 0.06, 0.62]), np.array([0.41, 0.01, 0.06]), 32.0)

    def reset(self, model: mujoco.MjModel, data: mujoco.MjData, rng: np.random.Generator) -> Start:
        """See sim.scene.Scene. Egg in the far two thirds of the pan, spatula in the near third."""
        free = PAN_RADIUS - RADIUS
        while True:
            place = rng.uniform([-free, RADIUS - PAN_RADIUS / 3], [free, free])
            if np.hypot(*place) < free:
                break
        spin, turned = rng.uniform(-np.pi, np.pi), rng.random() < 0.5
        about = rotation_of(np.array([0.0, 0.0, spin]))
        over = rotation_of(np.array([np.pi * turned, 0.0, 0.0]))
        position = np.array([*(PAN_AT[:2] + place), THICKNESS / 2])
        place_body(model, data, EGG, position, compose(about, over))
        data.userdata[_TURNED] = turned
        tip = PAN_AT + rng.uniform([-0.05, -0.085, 0.06], [0.05, -0.045, 0.10])
        heading = rng.uniform(-0.15, 0.15)
        tool = tool_quaternion(heading, BEND)
        return Start(tool_of_tip(tip, heading, BEND), np.roll(tool, 1), 2 * _GRIP)

    def success(self, model: mujoco.MjModel, data: mujoco.MjData) -> bool:
        """True while the egg lies in the pan the other side up, and not on the blade."""
        place = data.body(EGG).xpos
        over = -_first_up(data)[8] > FLAT
        return bool(over and in_pan(place) and place[2] < THICKNESS)

    def objects(self, model: mujoco.MjModel, data: mujoco.MjData) -> dict[str, ObjectPose]:
        """egg (its z out of the side that was up at the start), pan (middle of its floor), spatula
        (where it is held)."""
        poses = {name: body_pose(model, data, name) for name in (PAN, SPATULA)}
        quat = np.zeros(4)
        mujoco.mju_mat2Quat(quat, _first_up(data))
        return {EGG: (data.body(EGG).xpos.copy(), np.roll(quat, -1)), **poses}


def _first_up(data: mujoco.MjData) -> Vector:
    """(9,) the egg's axes as columns, z out of the side that was up at the start."""
    axes: Vector = data.body(EGG).xmat.reshape(3, 3).copy()
    if data.userdata[_TURNED]:
        axes[:, 1:] *= -1.0
    return axes.ravel()


def in_pan(place: Vector) -> bool:
    """Whether the egg's middle (3,) is over the pan's floor."""
    return bool(np.linalg.norm((place - PAN_AT)[:2]) < PAN_RADIUS)


def tool_quaternion(heading: float, tilt: float) -> Vector:
    """(4,) x, y, z, w of the tool with the blade's tip towards +y turned by heading about z, and
    the tool leaning by tilt from straight down towards where the tip is [rad]."""
    leaning = compose(rotation_of(np.array([tilt, 0.0, 0.0])), UPRIGHT)
    return compose(rotation_of(np.array([0.0, 0.0, heading])), leaning)


def tip_offset(heading: float, tilt: float) -> Vector:
    """(3,) from the tool centre point to the middle of the blade's edge, base frame [m]."""
    lean, dip = tilt, BEND - tilt
    forward = HANDLE * np.sin(lean) + BLADE_LENGTH * np.cos(dip)
    down = HANDLE * np.cos(lean) + BLADE_LENGTH * np.sin(dip)
    return np.array([-np.sin(heading) * forward, np.cos(heading) * forward, -down])


def tool_of_tip(tip: Vector, heading: float, tilt: float) -> Vector:
    """(3,) tool centre point that puts the blade's edge there [m]."""
    return tip - tip_offset(heading, tilt)


def _add_pan(spec: mujoco.MjSpec) -> None:
    """Adds the pan, and under it a dark stove top: paint on the table, seen and not felt."""
    box, disc = mujoco.mjtGeom.mjGEOM_BOX, mujoco.mjtGeom.mjGEOM_CYLINDER
    pan = spec.worldbody.add_body(name=PAN, pos=PAN_AT)
    pan.add_geom(
        type=box, pos=[0.0, 0.0, 0.0], size=[0.20, 0.22, 0.0004], rgba=[0.22, 0.23, 0.26, 1.0],
        contype=0, conaffinity=0,
    )  # fmt: skip
    pan.add_geom(type=disc, size=[PAN_RADIUS, 0.0008, 0.0], rgba=_DARK, contype=0, conaffinity=0)
    slant = PAN_HEIGHT / np.cos(WALL_SLOPE) / 2
    middle = PAN_RADIUS + PAN_HEIGHT * np.tan(WALL_SLOPE) / 2 + _WALL
    width = (PAN_RADIUS + PAN_HEIGHT * np.tan(WALL_SLOPE)) * np.tan(np.pi / _WALLS) + 0.001
    for i in range(_WALLS):
        angle = 2 * np.pi * i / _WALLS
        about = rotation_of(np.array([0.0, 0.0, angle]))
        slope = rotation_of(np.array([0.0, WALL_SLOPE, 0.0]))
        pan.add_geom(
            type=box, pos=[middle * np.cos(angle), middle * np.sin(angle), PAN_HEIGHT / 2],
            quat=np.roll(compose(about, slope), 1), size=[_WALL, width, slant], rgba=_DARK,
            contype=franka.TABLE_BIT, conaffinity=0, **_CONTACT,
        )  # fmt: skip


def _add_egg(spec: mujoco.MjSpec) -> None:
    """Adds the egg: it touches by spokes with round ends, and looks like a disc with a yolk."""
    egg = spec.worldbody.add_body(name=EGG, pos=[*PAN_AT[:2], THICKNESS / 2])
    egg.add_freejoint(name=EGG)
    for i in range(_SPOKES):
        angle = np.pi * i / _SPOKES
        end = (RADIUS - THICKNESS / 2) * np.array([np.cos(angle), np.sin(angle), 0.0])
        egg.add_geom(
            type=mujoco.mjtGeom.mjGEOM_CAPSULE, fromto=[*end, *-end],
            size=[THICKNESS / 2, 0.0, 0.0], mass=0.030 / _SPOKES, rgba=[0.0, 0.0, 0.0, 0.0],
            contype=franka.OBJECT_BIT, conaffinity=franka.TABLE_BIT | franka.OBJECT_BIT,
            condim=3, **_EGG_SLIDES, **_CONTACT,
        )  # fmt: skip
    looks = {"contype": 0, "conaffinity": 0, "mass": 0.0}
    egg.add_geom(
        type=mujoco.mjtGeom.mjGEOM_CYLINDER, pos=[0.0, 0.0, -0.0005], size=[RADIUS, 0.0055, 0.0],
        rgba=[0.98, 0.92, 0.74, 1.0], **looks,
    )  # fmt: skip
    egg.add_geom(
        type=mujoco.mjtGeom.mjGEOM_ELLIPSOID, pos=[0.004, 0.003, 0.0015],
        size=[0.021, 0.021, 0.006], rgba=[1.0, 0.62, 0.02, 1.0], **looks,
    )  # fmt: skip


def _add_spatula(spec: mujoco.MjSpec) -> None:
    """Adds the spatula to the hand."""
    box = mujoco.mjtGeom.mjGEOM_BOX
    x, y, z, w = UPRIGHT
    spatula = add_held_tool(spec, SPATULA, _GRIP, np.array([w, -x, -y, -z]))
    touches = {"contype": 0, "conaffinity": franka.TABLE_BIT | franka.OBJECT_BIT, **_SPATULA_SLIDES}
    spatula.add_geom(
        type=box, pos=[0.0, 0.0, (0.012 - HANDLE) / 2], size=[_GRIP, 0.006, (HANDLE + 0.012) / 2],
        mass=0.03, rgba=[0.55, 0.12, 0.12, 1.0], **touches, **_CONTACT,
    )  # fmt: skip
    blade = spatula.add_body(
        name=BLADE, pos=[0.0, 0.0, -HANDLE], quat=np.roll(rotation_of(np.array([-BEND, 0, 0])), 1),
        gravcomp=1,
    )  # fmt: skip
    blade.add_joint(
        name=BLADE, type=mujoco.mjtJoint.mjJNT_HINGE, axis=[1.0, 0.0, 0.0], range=[-0.35, 0.35],
        stiffness=4.0, damping=0.06, armature=1e-3, solref_limit=[0.008, 1.0],
    )  # fmt: skip
    blade.add_geom(
        type=box, pos=[0.0, BLADE_LENGTH / 2, _SHEET],
        size=[BLADE_HALF_WIDTH, BLADE_LENGTH / 2, _SHEET], mass=0.02, rgba=[0.55, 0.57, 0.60, 1.0],
        **touches, **_CONTACT,
    )  # fmt: skip

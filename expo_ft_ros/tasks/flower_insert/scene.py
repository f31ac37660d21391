# SPDX-License-Identifier: Apache-2.0
"""Flower Insert: a bottle that stands still, and a flower in the closed gripper, stem down.

The stem is a chain of capsules on springs: it bends where it meets the mouth's rim, and slips in
only where its end is over the bore. Its first piece is fixed to the hand (body FLOWER); the free
end is the body TIP.
"""

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
    Vector,
    add_backdrop,
    add_held_tool,
    add_side_camera,
    add_table,
    body_pose,
)

BOTTLE, FLOWER, TIP = "bottle", "flower", "stem_tip"
# The bottle: middle of its foot, height of its mouth, inside and outside radius of its neck [m].
BOTTLE_AT, MOUTH_HEIGHT = np.array([0.50, 0.0, 0.0]), 0.24
BORE, NECK = 0.0085, 0.0135
NECK_LENGTH = 0.10
STEM, STEM_LENGTH = 0.003, 0.12  # its radius; from the tool centre point to its end [m]
DEPTH = 0.07  # of the stem's end below the mouth, when the flower is inserted [m]
TOOL_LOW, TOOL_HIGH = np.array([0.42, -0.10, 0.39]), np.array([0.58, 0.10, 0.46])  # at the start

_PIECES = 4
_STIFFNESS = 0.35  # of each joint between the stem's pieces [N m/rad]
_DAMPING = 0.004  # [N m s/rad]
_WALLS = 16
_GLASS = (0.13, 0.10, 0.06, 1.0)
_STEM_COLOUR = (0.30, 0.85, 0.12, 1.0)
_PETALS = (0.95, 0.25, 0.55, 1.0)
_CONTACT = {"solref": [0.006, 1.0], "solimp": [0.95, 0.99, 0.001, 0.5, 2.0]}


class Scene:
    """See the module; satisfies sim.scene.Scene."""

    VARIES: ClassVar[Mapping[str, Looks]] = {BOTTLE: Looks(180.0, (0.5, 1.1))}

    def build(self, spec: mujoco.MjSpec) -> None:
        """See sim.scene.Scene."""
        add_table(spec)
        add_backdrop(spec, [-0.9, 0.9, 0.5], [0.02, 3.0, 2.5], [0.924, 0.0, 0.0, -0.383])
        _add_bottle(spec)
        _add_flower(spec)
        add_side_camera(spec, np.array([1.00, -0.42, 0.40]), np.array([0.49, 0.0, 0.27]), 36.0)

    def reset(self, model: mujoco.MjModel, data: mujoco.MjData, rng: np.random.Generator) -> Start:
        """See sim.scene.Scene. The stem is straight."""
        return Start(rng.uniform(TOOL_LOW, TOOL_HIGH), TOOL_DOWN_WXYZ, 2 * STEM)

    def success(self, model: mujoco.MjModel, data: mujoco.MjData) -> bool:
        """True while the stem's end is DEPTH below the mouth, inside the neck."""
        end = stem_end(*body_pose(model, data, TIP)) - BOTTLE_AT - [0.0, 0.0, MOUTH_HEIGHT]
        return bool(end[2] < -DEPTH and np.linalg.norm(end[:2]) < BORE)

    def objects(self, model: mujoco.MjModel, data: mujoco.MjData) -> dict[str, ObjectPose]:
        """The bottle (middle of its foot), the flower (where it is held), the stem's last piece."""
        return {name: body_pose(model, data, name) for name in (BOTTLE, FLOWER, TIP)}


def stem_end(position: Vector, quaternion: Vector) -> Vector:
    """The stem's end (3,) from the pose of its last piece, quaternion x, y, z, w [m]."""
    offset = np.zeros(3)
    down = np.array([0.0, 0.0, -STEM_LENGTH / _PIECES])
    mujoco.mju_rotVecQuat(offset, down, np.roll(quaternion, 1))
    end: Vector = position + offset
    return end


def _add_bottle(spec: mujoco.MjSpec) -> None:
    body = spec.worldbody.add_body(name=BOTTLE, pos=BOTTLE_AT)
    shape = mujoco.mjtGeom
    belly, foot_of_neck = 0.037, MOUTH_HEIGHT - NECK_LENGTH
    solid = {"rgba": _GLASS, "contype": franka.TABLE_BIT, "conaffinity": 0, **_CONTACT}
    half = (foot_of_neck - 0.02) / 2
    body.add_geom(type=shape.mjGEOM_CYLINDER, pos=[0, 0, half], size=[belly, half, 0], **solid)
    body.add_geom(
        type=shape.mjGEOM_ELLIPSOID, pos=[0, 0, 2 * half], size=[belly, belly, 0.03], **solid
    )
    label = {"contype": 0, "conaffinity": 0, "rgba": (0.88, 0.84, 0.72, 1.0)}
    body.add_geom(
        type=shape.mjGEOM_CYLINDER, pos=[0, 0, half], size=[belly + 0.0004, 0.6 * half, 0], **label
    )
    middle, thickness = (BORE + NECK) / 2, (NECK - BORE) / 2
    for i in range(_WALLS):
        angle = 2 * np.pi * i / _WALLS
        body.add_geom(
            type=shape.mjGEOM_BOX, friction=[0.3, 0.005, 0.0001],
            pos=[middle * np.cos(angle), middle * np.sin(angle), MOUTH_HEIGHT - NECK_LENGTH / 2],
            quat=[np.cos(angle / 2), 0, 0, np.sin(angle / 2)],
            size=[thickness, NECK * np.tan(np.pi / _WALLS), NECK_LENGTH / 2], **solid,
        )  # fmt: skip


def _add_flower(spec: mujoco.MjSpec) -> None:
    shape = mujoco.mjtGeom
    body = add_held_tool(spec, FLOWER, STEM)
    seen = {"contype": 0, "conaffinity": 0, "mass": 0.0005}
    for i in range(6):  # a blossom behind the fingers, seen but not felt
        angle = np.pi / 3 * i
        body.add_geom(
            type=shape.mjGEOM_ELLIPSOID, size=[0.004, 0.010, 0.009], rgba=_PETALS,
            pos=[-0.026, 0.015 * np.cos(angle), 0.025 + 0.015 * np.sin(angle)], **seen,
        )  # fmt: skip
    body.add_geom(
        type=shape.mjGEOM_SPHERE, size=[0.008, 0, 0], pos=[-0.026, 0, 0.025],
        rgba=(0.98, 0.80, 0.10, 1.0), **seen,
    )  # fmt: skip
    length = STEM_LENGTH / _PIECES
    body.add_geom(
        type=shape.mjGEOM_CAPSULE, fromto=[0, 0, 0, -0.024, 0, 0.022], size=[0.002, 0, 0],
        rgba=_STEM_COLOUR, **seen,
    )  # fmt: skip
    for i in range(_PIECES):
        if i:
            body = body.add_body(pos=[0, 0, -length], gravcomp=1)
            for axis in ([1, 0, 0], [0, 1, 0]):
                body.add_joint(
                    type=mujoco.mjtJoint.mjJNT_HINGE, axis=axis, stiffness=_STIFFNESS,
                    damping=_DAMPING, armature=2e-6, range=[-0.6, 0.6], limited=True,
                )  # fmt: skip
        body.add_geom(
            type=shape.mjGEOM_CAPSULE, fromto=[0, 0, 0, 0, 0, -length], size=[STEM, 0, 0],
            mass=0.001, rgba=_STEM_COLOUR, contype=0,
            conaffinity=franka.TABLE_BIT | franka.OBJECT_BIT, friction=[0.3, 0.005, 0.0001],
            **_CONTACT,
        )  # fmt: skip
    body.name = TIP

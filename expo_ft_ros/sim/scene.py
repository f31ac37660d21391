# SPDX-License-Identifier: Apache-2.0
"""What a scene is: the things around the robot, how they are set, when the task is done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import mujoco
import numpy as np
from numpy.typing import NDArray

from expo_ft_ros.sim import franka

Vector = NDArray[np.float64]
ObjectPose = tuple[Vector, Vector]

UNTURNED = np.array([0.0, 0.0, 0.0, 1.0])  # x, y, z, w
TABLE, BACKDROP, SIDE = "table", "backdrop", "side"
"""Names of the table's and the wall's shape, and of the camera that every scene has."""
TOOL_DOWN_WXYZ = np.array([0.0, 1.0, 0.0, 0.0])  # x forward, fingers open along y, z down


@dataclass(frozen=True)
class Start:
    """Where an episode starts: tool position (3,) [m], orientation w, x, y, z, opening [m]."""

    position: Vector
    quaternion_wxyz: Vector
    gripper_width: float


class Scene(Protocol):
    """One task's surroundings. Built once; the random state comes in by reset's rng alone."""

    def build(self, spec: mujoco.MjSpec) -> None:
        """Adds bodies and the camera "side" to a spec that holds the robot."""

    def reset(self, model: mujoco.MjModel, data: mujoco.MjData, rng: np.random.Generator) -> Start:
        """Places the objects in data and returns where the robot starts."""

    def success(self, model: mujoco.MjModel, data: mujoco.MjData) -> bool:
        """True where the task is done in truth (not what a camera or gripper would say)."""

    def objects(self, model: mujoco.MjModel, data: mujoco.MjData) -> dict[str, ObjectPose]:
        """Returns name -> position (3,) [m], quaternion x, y, z, w in the base frame."""


@runtime_checkable
class WatchingScene(Scene, Protocol):
    """A scene whose success depends on what happened on the way."""

    def watch(self, model: mujoco.MjModel, data: mujoco.MjData) -> None:
        """Looks at the contacts of each physics step; keeps what it notes in data.userdata, which
        is part of the state and zero after a reset."""


@dataclass(frozen=True)
class Looks:
    """How else a body may look and still be the same thing to the task's classifier.

    Attributes:
        hue: So far to either side [degrees].
        value: Least and greatest factor of its brightness.
        smallest: Least factor of its size; the greatest is 1.
    """

    hue: float = 0.0
    value: tuple[float, float] = (1.0, 1.0)
    smallest: float = 1.0


@runtime_checkable
class VaryingScene(Scene, Protocol):
    """A scene whose things may look otherwise. VARIES: body -> how."""

    VARIES: Mapping[str, Looks]


def add_table(spec: mujoco.MjSpec) -> None:
    """Adds a table, whose top is at z = 0."""
    spec.worldbody.add_geom(
        name=TABLE, type=mujoco.mjtGeom.mjGEOM_BOX, pos=[0.45, 0.0, -0.25],
        size=[0.65, 0.7, 0.25], rgba=[0.72, 0.66, 0.56, 1.0], contype=franka.TABLE_BIT,
        conaffinity=0,
    )  # fmt: skip


def add_backdrop(
    spec: mujoco.MjSpec,
    position: Sequence[float],
    half_sizes: Sequence[float],
    quaternion_wxyz: Sequence[float] = (1.0, 0.0, 0.0, 0.0),
) -> None:
    """Adds a plain wall behind the cell, in the camera's view: seen, not felt."""
    spec.worldbody.add_geom(
        name=BACKDROP, type=mujoco.mjtGeom.mjGEOM_BOX, pos=position, size=half_sizes,
        quat=quaternion_wxyz, rgba=[0.55, 0.62, 0.7, 1.0], contype=0, conaffinity=0,
    )  # fmt: skip


def coarsen_physics(spec: mujoco.MjSpec) -> None:
    """Makes physics as coarse as things bear of which dozens touch at once."""
    spec.option.timestep = 0.004
    spec.option.cone, spec.option.impratio = mujoco.mjtCone.mjCONE_PYRAMIDAL, 1.0
    for name in franka.JOINTS:
        # At this step lighter joints swing between a stiff servo's two torque limits.
        spec.joint(name).armature = 0.4


def add_side_camera(
    spec: mujoco.MjSpec, position: Vector, target: Vector, fovy_degrees: float
) -> None:
    """Adds the fixed camera "side" at position, looking at target with the base's z up."""
    back = (position - target) / np.linalg.norm(position - target)
    right = np.cross([0.0, 0.0, 1.0], back)
    right /= np.linalg.norm(right)
    matrix = np.stack([right, np.cross(back, right), back], axis=1)
    quat = np.zeros(4)
    mujoco.mju_mat2Quat(quat, matrix.ravel())
    spec.worldbody.add_camera(name=SIDE, pos=position, quat=quat, fovy=fovy_degrees)


def add_held_tool(
    spec: mujoco.MjSpec,
    name: str,
    half_width: float,
    quaternion_wxyz: Vector = TOOL_DOWN_WXYZ,
) -> mujoco.MjsBody:
    """Adds a body that is fixed to the hand, and holds the fingers closed on it.

    Its frame has its origin in the tool centre point. Whatever the gripper is told, it stays in it.

    Args:
        spec: The cell, with the robot in it.
        name: Of the body.
        half_width: Of what is between the fingers [m].
        quaternion_wxyz: Of the body in the tool's frame; as it is, the body's axes are the base's
            with the tool pointing down.
    """
    for finger in franka.FINGERS:
        spec.actuator(finger).ctrlrange = [half_width, half_width + 1e-6]
    tool_centre = spec.site(franka.TCP).pos
    return spec.body(franka.HAND).add_body(
        name=name, pos=tool_centre, quat=quaternion_wxyz, gravcomp=1
    )


def hold_arm(model: mujoco.MjModel, data: mujoco.MjData) -> None:
    """Sets the arm to its home, where it stays while things come to rest."""
    for name, angle in zip(franka.JOINTS, franka.HOME, strict=True):
        data.qpos[model.joint(name).qposadr[0]] = angle
        data.ctrl[model.actuator(name).id] = angle


def body_pose(model: mujoco.MjModel, data: mujoco.MjData, body: str) -> ObjectPose:
    """Returns a body's position (3,) and quaternion x, y, z, w."""
    index = model.body(body).id
    return data.xpos[index].copy(), np.roll(data.xquat[index], -1)


def place_body(
    model: mujoco.MjModel, data: mujoco.MjData, body: str, position: Vector, quaternion: Vector
) -> None:
    """Puts a body with a free joint at position (3,) with quaternion x, y, z, w, at rest.

    Raises:
        ValueError: for a body without a free joint.
    """
    joint = int(model.body(body).jntadr[0])
    if joint < 0 or model.jnt_type[joint] != mujoco.mjtJoint.mjJNT_FREE:
        raise ValueError(f"body {body} isn't free to be anywhere (give it a free joint)")
    start, speed = model.jnt_qposadr[joint], model.jnt_dofadr[joint]
    data.qpos[start : start + 7] = [*position, *np.roll(quaternion, 1)]
    data.qvel[speed : speed + 6] = 0.0

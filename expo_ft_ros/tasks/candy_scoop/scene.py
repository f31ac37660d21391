# SPDX-License-Identifier: Apache-2.0
"""Candy Scoop: a bin of candies, an empty container beside it, a scoop that the gripper holds.

The scoop is part of the hand, so the fingers stay on its handle whatever they are told. Its frame,
body SCOOP, has its origin in the tool centre point; with the tool pointing down its axes are the
base's. The bowl is open at the top and towards its +y, over the edge called lip, where candies go
in and out: turning the tool about the base's -x lowers the lip.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import mujoco
import numpy as np
from numpy.typing import NDArray

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
    coarsen_physics,
    hold_arm,
    place_body,
)

SCOOP, BIN, TARGET, CANDY = "scoop", "bin", "target", "candy"
CANDIES, RADIUS = 40, 0.011  # [m]
# Inside of the containers: half length along x and y, height of the walls; middle of the floor [m].
BIN_HALF, BIN_HEIGHT, BIN_AT = np.array([0.060, 0.085]), 0.045, np.array([0.47, -0.10, 0.0])
TARGET_HALF, TARGET_HEIGHT = np.array([0.060, 0.060]), 0.035
TARGET_AT = np.array([0.47, 0.14, 0.0])
FLOOR = 0.003  # thickness of their floors [m]
# Inside of the bowl in the scoop's frame (x, y, z) [m]; the lip is its edge at greatest y.
BOWL_LOW, BOWL_HIGH = np.array([-0.035, 0.003, -0.086]), np.array([0.035, 0.072, -0.056])
LIP = np.array([0.0, 0.072, -0.090])  # the underside of it
TOOL_LOW, TOOL_HIGH = np.array([0.40, -0.12, 0.20]), np.array([0.54, 0.12, 0.28])  # at the start
ENOUGH = 5  # candies in the target: most of a scoop
LEFT_OVER = 2  # candies that the scoop may keep

COLOURS = (
    (0.95, 0.10, 0.08, 1.0),
    (0.98, 0.85, 0.05, 1.0),
    (0.10, 0.80, 0.15, 1.0),
    (0.98, 0.45, 0.02, 1.0),
    (0.95, 0.10, 0.75, 1.0),
)
_MASS = 0.004
# Candies are no perfect balls: this damping [N s/m, N m s/rad] makes them slide, not roll.
_DAMPING = 0.008
_SETTLING_STEPS = 120
_WALL = 0.004  # half the thickness of a container's wall [m]
_SHEET = 0.002  # the same of the scoop [m]
_HANDLE = 0.009  # half its width, which keeps the fingers apart [m]
_CONTACT = {"solref": [0.008, 1.0], "solimp": [0.95, 0.99, 0.001, 0.5, 2.0]}


class Scene:
    """See the module; satisfies sim.scene.Scene."""

    VARIES: ClassVar[Mapping[str, Looks]] = {
        **{f"{CANDY}_{i}": Looks(4.0, (0.9, 1.0), 0.97) for i in range(CANDIES)},
        BIN: Looks(180.0, (0.6, 1.2)),
        TARGET: Looks(180.0, (0.6, 2.0)),
        SCOOP: Looks(180.0, (0.7, 1.0)),
    }

    def build(self, spec: mujoco.MjSpec) -> None:
        """See sim.scene.Scene."""
        coarsen_physics(spec)
        world = spec.worldbody
        add_table(spec)
        add_backdrop(spec, [-0.9, 0.0, 0.5], [0.02, 3.0, 2.5])
        _add_container(spec, BIN, BIN_AT, BIN_HALF, BIN_HEIGHT, (0.60, 0.52, 0.45, 1.0))
        _add_container(spec, TARGET, TARGET_AT, TARGET_HALF, TARGET_HEIGHT, (0.16, 0.17, 0.20, 1.0))
        _add_scoop(spec)
        for i in range(CANDIES):
            body = world.add_body(name=f"{CANDY}_{i}")
            body.add_joint(name=f"{CANDY}_{i}", type=mujoco.mjtJoint.mjJNT_FREE, damping=_DAMPING)
            body.add_geom(
                type=mujoco.mjtGeom.mjGEOM_SPHERE, size=[RADIUS, 0.0, 0.0], mass=_MASS,
                rgba=COLOURS[i % len(COLOURS)], contype=franka.OBJECT_BIT,
                conaffinity=franka.TABLE_BIT | franka.OBJECT_BIT,
                friction=[0.25, 0.005, 0.0001], condim=3, **_CONTACT,
            )  # fmt: skip
        add_side_camera(spec, np.array([1.02, 0.03, 0.66]), np.array([0.46, 0.03, 0.04]), 37.0)

    def reset(self, model: mujoco.MjModel, data: mujoco.MjData, rng: np.random.Generator) -> Start:
        """See sim.scene.Scene. Pours the candies into the bin and lets them come to rest."""
        hold_arm(model, data)
        for name in franka.FINGERS:
            data.qpos[model.joint(name).qposadr[0]] = _HANDLE
        places = _heap(rng)
        for i, place in enumerate(places):
            place_body(model, data, f"{CANDY}_{i}", place, UNTURNED)
        mujoco.mj_step(model, data, nstep=_SETTLING_STEPS)
        data.qvel[:] = 0.0
        return Start(rng.uniform(TOOL_LOW, TOOL_HIGH), TOOL_DOWN_WXYZ, 2 * _HANDLE)

    def success(self, model: mujoco.MjModel, data: mujoco.MjData) -> bool:
        """True while most of a scoop lies in the target and the scoop is all but empty."""
        candies = np.array([data.body(f"{CANDY}_{i}").xpos for i in range(CANDIES)])
        scoop = data.body(SCOOP)
        held = in_bowl(candies, scoop.xpos, scoop.xmat.reshape(3, 3))
        poured = in_container(candies, TARGET_AT, TARGET_HALF, TARGET_HEIGHT)
        return bool((poured & ~held).sum() >= ENOUGH and held.sum() <= LEFT_OVER)

    def objects(self, model: mujoco.MjModel, data: mujoco.MjData) -> dict[str, ObjectPose]:
        """candy_0 and so on, bin and target (middle of the floor), scoop."""
        names = (SCOOP, BIN, TARGET, *(f"{CANDY}_{i}" for i in range(CANDIES)))
        return {name: body_pose(model, data, name) for name in names}


def in_bowl(points: Vector, origin: Vector, axes: Vector) -> NDArray[np.bool_]:
    """(n,) True for points (n, 3) in the base frame that lie in the bowl, or heaped on it.

    origin (3,), axes (3, 3): the scoop's frame.
    """
    local = (points - origin) @ axes
    room = np.array([0.0, 0.006, RADIUS])
    inside = (local > BOWL_LOW - room) & (local < BOWL_HIGH + room)
    return np.asarray(inside.all(axis=-1))


def in_container(points: Vector, at: Vector, half: Vector, height: float) -> NDArray[np.bool_]:
    """(n,) True for points (n, 3) between a container's walls and not above a heap in it."""
    beside = np.abs(points[..., :2] - at[:2]) < half
    return np.asarray(beside.all(axis=-1) & (points[..., 2] < height + RADIUS))


def _heap(rng: np.random.Generator) -> Vector:
    """(CANDIES, 3) places just above the bin's floor, layer on layer, in random order."""
    pitch = 2.0 * RADIUS + 0.001
    columns, rows = (int(2.0 * half / pitch) for half in BIN_HALF)
    layer = columns * rows
    cells = np.arange(CANDIES)
    grid = np.stack([cells % columns, cells // columns % rows, cells // layer], axis=1)
    places = (grid - [(columns - 1) / 2, (rows - 1) / 2, 0.0]) * pitch
    places += [*BIN_AT[:2], FLOOR + RADIUS + 0.001]
    spare = BIN_HALF - pitch * np.array([columns, rows]) / 2
    places[:, :2] += rng.uniform(-0.0005, 0.0005, (CANDIES, 2)) + rng.uniform(-spare, spare)
    upper = grid[:, 2] > 0
    places[upper, :2] += rng.uniform(-0.006, 0.006, (int(upper.sum()), 2))
    shuffled: Vector = rng.permutation(places)
    return shuffled


def _add_container(
    spec: mujoco.MjSpec,
    name: str,
    at: Vector,
    half: Vector,
    height: float,
    rgba: tuple[float, float, float, float],
) -> None:
    """Adds an open box to the table. half (2,): of its inside along x and y [m]."""
    body = spec.worldbody.add_body(name=name, pos=at)
    x, y = half
    long = x + 2 * _WALL
    sheets = (
        ([0.0, 0.0, FLOOR / 2], [x, y, FLOOR / 2]),
        ([0.0, y + _WALL, height / 2], [long, _WALL, height / 2]),
        ([0.0, -y - _WALL, height / 2], [long, _WALL, height / 2]),
        ([x + _WALL, 0.0, height / 2], [_WALL, y, height / 2]),
        ([-x - _WALL, 0.0, height / 2], [_WALL, y, height / 2]),
    )
    for position, size in sheets:
        body.add_geom(
            type=mujoco.mjtGeom.mjGEOM_BOX, pos=position, size=size, rgba=rgba,
            contype=franka.TABLE_BIT, conaffinity=0, friction=[0.25, 0.005, 0.0001], **_CONTACT,
        )  # fmt: skip


def _add_scoop(spec: mujoco.MjSpec) -> None:
    """Adds the scoop to the hand."""
    scoop = add_held_tool(spec, SCOOP, _HANDLE)
    (x, y, top), floor = BOWL_HIGH, BOWL_LOW[2]
    middle, depth = (floor + top) / 2, (top - floor) / 2
    sheets = (
        ([0.0, 0.0, -0.038], [0.007, _HANDLE, 0.046]),
        ([0.0, y / 2, floor - _SHEET], [x + 2 * _SHEET, y / 2, _SHEET]),
        ([0.0, 0.003 - _SHEET, middle], [x + 2 * _SHEET, _SHEET, depth]),
        ([x + _SHEET, y / 2, middle], [_SHEET, y / 2, depth]),
        ([-x - _SHEET, y / 2, middle], [_SHEET, y / 2, depth]),
    )
    for position, size in sheets:
        scoop.add_geom(
            type=mujoco.mjtGeom.mjGEOM_BOX, pos=position, size=size, mass=0.01,
            rgba=[0.88, 0.89, 0.92, 1.0], contype=0,
            conaffinity=franka.TABLE_BIT | franka.OBJECT_BIT,
            friction=[0.25, 0.005, 0.0001], **_CONTACT,
        )  # fmt: skip

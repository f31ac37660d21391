# SPDX-License-Identifier: Apache-2.0
"""String Light Routing, Insert: a plug on the lights' cable, a socket that lights the bulbs.

The plug's frame, body PLUG: origin in the middle of its handle, prong towards +x, cable from its
back. The socket stands on the table, its hole opens towards -x. At the hole's bottom a contact on a
spring is pressed by the prong; the bulbs' glow, hidden in their stand, comes up with it.
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
    add_side_camera,
    add_table,
    body_pose,
    hold_arm,
)
from expo_ft_ros.tasks.string_light.cable import Cable

PLUG, SOCKET, CONTACT, GLOW = "plug", "socket", "contact", "glow"
# Half sizes of handle and prong; middle of the prong in the plug's frame [m].
HANDLE = np.array([0.020, 0.012, 0.012])
PRONG = np.array([0.011, 0.0060, 0.0060])
TIP = np.array([HANDLE[0] + 2 * PRONG[0], 0.0, 0.0])  # of the prong, in the plug's frame
BACK = np.array([-HANDLE[0], 0.0, 0.0])
LEAD = 0.002  # of its edges that is taken off at the tip [m]
CLEARANCE = 0.0015  # the hole is wider and higher than the prong by so much [m]
HOLE = np.array([0.60, 0.06, 0.055])  # middle of its mouth [m]
DEEPEST = 2 * float(PRONG[0]) - 0.0015  # where the contact stops the tip, from the mouth [m]
SEATED = 0.0007  # the tip this near to it is all the way in [m]
PRESS = 0.005  # way of the contact [m]
# Where the middle of the plug may start (x, y) [m], its yaw [rad], and the tool (x, y, z) [m].
PLUG_LOW, PLUG_HIGH = np.array([0.38, -0.08]), np.array([0.47, 0.10])
PLUG_YAW = 0.25
TOOL_LOW, TOOL_HIGH = np.array([0.38, -0.08, 0.14]), np.array([0.48, 0.10, 0.22])

_BULBS = np.array([[0.50, -0.21], [0.55, -0.21], [0.60, -0.21]])
_STAND = np.array([0.073, 0.019, 0.019])  # half sizes of the bulbs' stand [m]
_STAND_AT = np.array([0.55, -0.21, 0.019])
_RISE = 0.036  # of the glow [m]
_WALL = 0.020  # of the socket around its hole [m]
_DEPTH = 2 * float(PRONG[0]) + 0.005  # of the hole [m]
_HARD = {"solref": [0.006, 1.0], "solimp": [0.95, 0.99, 0.001, 0.5, 2.0]}
_SLIPPERY = {"friction": [0.25, 0.005, 0.0001], **_HARD}
_SETTLING_STEPS = 250
_CABLE = Cable("lead", count=10, pitch=0.046)
_TIED = _STAND_AT + np.array([-_STAND[0], 0.0, 0.0])


class Scene:
    """See the module; satisfies sim.scene.Scene."""

    VARIES: ClassVar[Mapping[str, Looks]] = {
        PLUG: Looks(180.0, (0.6, 1.05)),
        SOCKET: Looks(180.0, (0.6, 1.05)),
    }

    def build(self, spec: mujoco.MjSpec) -> None:
        """See sim.scene.Scene."""
        world, box = spec.worldbody, mujoco.mjtGeom.mjGEOM_BOX
        add_table(spec)
        add_backdrop(spec, [0.9, 0.9, 0.5], [3.0, 0.02, 2.5], [0.966, 0.0, 0.0, -0.259])
        _add_lights(spec)
        _add_socket(spec)
        plug = _CABLE.add(world, _TIED, BACK)
        plug.name = PLUG
        spec.add_mesh(name="prong", uservert=_prong().ravel())
        felt = {"contype": franka.OBJECT_BIT, "conaffinity": franka.TABLE_BIT, **_SLIPPERY}
        plug.add_geom(
            type=box, size=HANDLE, mass=0.02, rgba=[0.92, 0.36, 0.06, 1.0], condim=4, **felt
        )
        plug.add_geom(
            type=mujoco.mjtGeom.mjGEOM_MESH, meshname="prong", mass=0.01,
            rgba=[0.85, 0.85, 0.88, 1.0], **felt,
        )  # fmt: skip
        add_side_camera(spec, np.array([0.22, -0.60, 0.42]), np.array([0.495, -0.03, 0.055]), 34.0)

    def reset(self, model: mujoco.MjModel, data: mujoco.MjData, rng: np.random.Generator) -> Start:
        """See sim.scene.Scene. Lays the cable in an arc and lets it come to rest."""
        yaw = rng.uniform(-PLUG_YAW, PLUG_YAW)
        middle = np.array([*rng.uniform(PLUG_LOW, PLUG_HIGH), HANDLE[2]])
        cos, sin = np.cos(yaw), np.sin(yaw)
        axes = np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])
        bulge = np.array([-1.0, -0.3, 0.0])
        _CABLE.lay(model, data, _TIED, middle + axes @ BACK, bulge, (np.eye(3), axes))
        hold_arm(model, data)
        mujoco.mj_step(model, data, nstep=_SETTLING_STEPS)
        data.qvel[:] = 0.0
        return Start(rng.uniform(TOOL_LOW, TOOL_HIGH), TOOL_DOWN_WXYZ, franka.MAX_WIDTH)

    def success(self, model: mujoco.MjModel, data: mujoco.MjData) -> bool:
        """True while the prong is in the hole up to the handle, and so presses the contact."""
        plug = data.body(PLUG)
        tip = plug.xpos + plug.xmat.reshape(3, 3) @ TIP
        within = np.abs(tip - HOLE)[1:] < PRONG[1]  # nothing but the hole lets it in so deep
        return bool(within.all() and tip[0] - HOLE[0] > DEEPEST - SEATED)

    def objects(self, model: mujoco.MjModel, data: mujoco.MjData) -> dict[str, ObjectPose]:
        """The plug and the socket, whose position is the middle of the hole's mouth."""
        return {name: body_pose(model, data, name) for name in (PLUG, SOCKET)}


def _prong() -> Vector:
    """(12, 3) its corners in the plug's frame: square, with edges taken off at the tip."""
    corners = np.array([[-1.0, -1.0], [-1.0, 1.0], [1.0, 1.0], [1.0, -1.0]])
    rings = ((HANDLE[0], 0.0), (TIP[0] - LEAD, 0.0), (TIP[0], LEAD))
    return np.array(
        [[x, *(corner * (PRONG[1:] - less))] for x, less in rings for corner in corners]
    )


def _add_socket(spec: mujoco.MjSpec) -> None:
    """Adds the socket: four walls and a bottom about the hole, the contact, a foot."""
    socket = spec.worldbody.add_body(name=SOCKET, pos=HOLE)
    box = mujoco.mjtGeom.mjGEOM_BOX
    half = PRONG[1] + CLEARANCE / 2
    outer, long, down = half + _WALL, _DEPTH / 2, HOLE[2] / 2
    walls = (
        ([long, half + _WALL / 2, 0.0], [long, _WALL / 2, outer]),
        ([long, -half - _WALL / 2, 0.0], [long, _WALL / 2, outer]),
        ([long, 0.0, half + _WALL / 2], [long, half, _WALL / 2]),
        ([long, 0.0, -half - down / 2], [long, half, down / 2]),
        ([_DEPTH + 0.005, 0.0, -0.012], [0.005, outer, outer + 0.012]),
        ([0.010 + long, 0.0, -HOLE[2] + 0.006], [0.010 + long, 0.05, 0.006]),
        ([long, 0.0, -half - down], [long - 0.004, 0.018, down - 0.006]),
    )
    for position, size in walls:
        socket.add_geom(
            type=box, pos=position, size=size, rgba=[0.93, 0.93, 0.90, 1.0],
            contype=franka.TABLE_BIT, conaffinity=0, **_SLIPPERY,
        )  # fmt: skip
    contact = socket.add_body(name=CONTACT, pos=[DEEPEST - PRESS, 0.0, 0.0], gravcomp=1)
    contact.add_joint(
        name=CONTACT, type=mujoco.mjtJoint.mjJNT_SLIDE, axis=[1, 0, 0], range=[0.0, PRESS],
        stiffness=300.0, damping=2.0,
    )  # fmt: skip
    contact.add_geom(
        type=box, pos=[0.001, 0.0, 0.0], size=[0.001, half - 0.001, half - 0.001], mass=0.01,
        rgba=[0.75, 0.55, 0.2, 1.0], contype=franka.TABLE_BIT, conaffinity=0,
    )  # fmt: skip


def _add_lights(spec: mujoco.MjSpec) -> None:
    """Adds the bulbs on their stand, and their glow, which rises with the socket's contact."""
    world, sphere = spec.worldbody, mujoco.mjtGeom.mjGEOM_SPHERE
    world.add_geom(
        name="stand", type=mujoco.mjtGeom.mjGEOM_BOX, pos=_STAND_AT, size=_STAND,
        rgba=[0.33, 0.22, 0.14, 1.0], contype=franka.TABLE_BIT, conaffinity=0,
    )  # fmt: skip
    spec.add_material(name=GLOW, rgba=[1.0, 0.80, 0.05, 1.0], emission=0.6)
    glow = world.add_body(name=GLOW, pos=[0.0, 0.0, _STAND_AT[2]], gravcomp=1)
    glow.add_joint(
        name=GLOW, type=mujoco.mjtJoint.mjJNT_SLIDE, axis=[0, 0, 1], damping=0.02, armature=1e-4
    )
    for at in _BULBS:
        bulb = [*at, _STAND_AT[2] + _RISE]
        world.add_geom(
            type=sphere, pos=bulb, size=[0.0165, 0.0, 0.0], rgba=[0.60, 0.60, 0.62, 1.0],
            contype=franka.TABLE_BIT, conaffinity=0,
        )  # fmt: skip
        glow.add_geom(
            type=sphere, pos=[*at, 0.0], size=[0.0180, 0.0, 0.0], mass=1e-4, material=GLOW,
            contype=0, conaffinity=0,
        )  # fmt: skip
    ratio = _RISE / PRESS
    coupling = spec.add_equality(
        name=GLOW, type=mujoco.mjtEq.mjEQ_JOINT, objtype=mujoco.mjtObj.mjOBJ_JOINT,
        name1=GLOW, name2=CONTACT, solref=[0.01, 1.0],
    )  # fmt: skip
    coupling.data[:5] = [0.0, ratio, 0.0, 0.0, 0.0]

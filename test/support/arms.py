# SPDX-License-Identifier: Apache-2.0
"""URDFs of arms, without meshes, for tests of what reads one."""

from __future__ import annotations

from math import pi
from typing import NamedTuple


class Joint(NamedTuple):
    """One joint of a chain; its axis is z."""

    name: str
    xyz: tuple[float, float, float]
    rpy: tuple[float, float, float]
    limit: float | None
    """Both ways [rad]; None: continuous."""


def _link(name: str) -> str:
    inertia = '<inertia ixx="0.01" iyy="0.01" izz="0.01" ixy="0" ixz="0" iyz="0"/>'
    return f'<link name="{name}"><inertial><mass value="1"/>{inertia}</inertial></link>'


def _joint(name: str, kind: str, parent: str, child: str, origin: str, more: str = "") -> str:
    return (
        f'<joint name="{name}" type="{kind}"><parent link="{parent}"/><child link="{child}"/>'
        f"{origin}{more}</joint>{_link(child)}"
    )


def _origin(xyz: tuple[float, ...], rpy: tuple[float, ...]) -> str:
    return f'<origin xyz="{" ".join(map(repr, xyz))}" rpy="{" ".join(map(repr, rpy))}"/>'


def urdf(name: str, joints: tuple[Joint, ...], speed: float, turned: float, tip: float) -> str:
    """World, base_link turned about z, the chain, tool0 and a gripper's joint.

    Args:
        name: Of the robot.
        joints: From the base on.
        speed: Greatest of each [rad/s].
        turned: Of the first joint against base_link about z [rad].
        tip: Of tool0 from the last link along z [m].
    """
    parts = [
        _link("world"),
        _joint("world_base", "fixed", "world", "base_link", _origin((0.1, -0.2, 0.3), (0, 0, 0.4))),
        _joint("base_root", "fixed", "base_link", "root", _origin((0, 0, 0), (0, 0, turned))),
    ]
    parent = "root"
    for joint in joints:
        ends = f'lower="{-joint.limit!r}" upper="{joint.limit!r}" ' if joint.limit else ""
        limit = f'<axis xyz="0 0 1"/><limit {ends}effort="100" velocity="{speed!r}"/>'
        kind, child = "revolute" if joint.limit else "continuous", f"{joint.name}_link"
        parts.append(_joint(joint.name, kind, parent, child, _origin(joint.xyz, joint.rpy), limit))
        parent = child
    parts.append(_joint("flange", "fixed", parent, "tool0", _origin((0, 0, tip), (0, 0, 0))))
    knuckle = '<axis xyz="0 0 1"/><limit lower="0" upper="0.8" effort="50" velocity="0.5"/>'
    origin = _origin((0, 0.03, 0.05), (0, 0, 0))
    parts.append(_joint(KNUCKLE, "revolute", "tool0", "knuckle", origin, knuckle))
    return f'<robot name="{name}">{"".join(parts)}</robot>'


KNUCKLE = "robotiq_85_left_knuckle_joint"

UR5E_JOINTS = (
    Joint("shoulder_pan_joint", (0, 0, 0.1625), (0, 0, 0), 2 * pi),
    Joint("shoulder_lift_joint", (0, 0, 0), (pi / 2, 0, 0), 2 * pi),
    Joint("elbow_joint", (-0.425, 0, 0), (0, 0, 0), pi),
    Joint("wrist_1_joint", (-0.3922, 0, 0.1333), (0, 0, 0), 2 * pi),
    Joint("wrist_2_joint", (0, -0.0997, 0), (pi / 2, 0, 0), 2 * pi),
    Joint("wrist_3_joint", (0, 0.0996, 0), (pi / 2, pi, pi), 2 * pi),
)
"""Lengths of Universal Robots' DH parameters of a UR5e; axes as in ur_description."""

UR5E = urdf("ur5e", UR5E_JOINTS, pi, pi, 0.0)
"""Limits as config/ur5e/joint_limits.yaml of ur_description has them."""

SEVEN_JOINTS = (
    Joint("a1", (0, 0, 0.333), (0, 0, 0), None),
    Joint("a2", (0, 0, 0), (-pi / 2, 0, 0), 1.8),
    Joint("a3", (0, -0.316, 0), (pi / 2, 0, 0), None),
    Joint("a4", (0.0825, 0, 0), (pi / 2, 0, 0), 3.0),
    Joint("a5", (-0.0825, 0.384, 0), (-pi / 2, 0, 0), None),
    Joint("a6", (0, 0, 0), (pi / 2, 0, 0), 3.7),
    Joint("a7", (0.088, 0, 0), (pi / 2, 0, 0), None),
)

SEVEN = urdf("seven", SEVEN_JOINTS, 2.0, 0.0, 0.1)
"""Lengths of a Franka arm, four of whose joints turn without end, as a Kinova Gen3's do."""

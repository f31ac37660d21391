# SPDX-License-Identifier: Apache-2.0
"""A cable as a chain of rigid pieces on ball joints: it bends and twists, but doesn't stretch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import mujoco
import numpy as np

from expo_ft_ros.sim import franka
from expo_ft_ros.sim.scene import Vector

_MASS, _DAMPING, _STIFFNESS = 0.0015, 1.5e-4, 2e-4  # of a piece, of a joint [kg, N m s, N m]
_ARMATURE = 2e-6  # keeps light pieces calm at the scene's time step [kg m2]
_BISECTIONS = 50


@dataclass(frozen=True)
class Cable:
    """A cable between two bodies, which are joined to it in one tree.

    name: of its joints, <name>_0 and so on; count: of its pieces; pitch: length of each [m].
    """

    name: str
    count: int
    pitch: float
    radius: float = 0.0025
    rgba: tuple[float, float, float, float] = (0.10, 0.22, 0.12, 1.0)

    @property
    def length(self) -> float:
        """From end to end [m]."""
        return self.count * self.pitch

    def add(self, parent: mujoco.MjsBody, start: Vector, end: Vector) -> mujoco.MjsBody:
        """Adds the cable and the body at its end; returns that body, which has no shape yet.

        start, end (3,): where the cable is tied, in the frames of the parent and of that body [m].
        """
        body, at = parent, np.asarray(start, float)
        for i in range(self.count):
            body = self._joined(body, i, at, np.zeros(3))
            body.add_geom(
                type=mujoco.mjtGeom.mjGEOM_CAPSULE, size=[self.radius, 0.0, 0.0], mass=_MASS,
                fromto=[self.radius, 0.0, 0.0, self.pitch - self.radius, 0.0, 0.0],
                rgba=self.rgba, contype=franka.OBJECT_BIT, conaffinity=franka.TABLE_BIT,
                friction=[0.4, 0.005, 0.0001], condim=3,
            )  # fmt: skip
            at = np.array([self.pitch, 0.0, 0.0])
        return self._joined(body, self.count, at, np.asarray(end, float))

    def lay(
        self,
        model: mujoco.MjModel,
        data: mujoco.MjData,
        start: Vector,
        end: Vector,
        bulge: Vector,
        axes: tuple[Vector, Vector],
    ) -> None:
        """Sets its joints so that it is an arc from start to end (3,) [m].

        Args:
            model: Of the scene.
            data: Whose positions are set.
            start: In the base frame.
            end: In the base frame.
            bulge: (3,) the way the arc bulges; what of it lies along the arc's chord is left out.
            axes: (3, 3) of the body at its start, and of the one at its end, in the base frame.

        Raises:
            ValueError: where the cable is too short.
        """
        before, last = axes
        for i, along in enumerate(self._directions(end - start, bulge)):
            turned = _turned(before, along)
            self._set(model, data, i, before.T @ turned)
            before = turned
        self._set(model, data, self.count, before.T @ last)

    def _joined(
        self, parent: mujoco.MjsBody, number: int, at: Vector, pivot: Vector
    ) -> mujoco.MjsBody:
        name = f"{self.name}_{number}"
        body = parent.add_body(name=name, pos=at - pivot)
        body.add_joint(
            name=name, type=mujoco.mjtJoint.mjJNT_BALL, pos=pivot, damping=_DAMPING,
            stiffness=_STIFFNESS, armature=_ARMATURE,
        )  # fmt: skip
        return body

    def _set(self, model: mujoco.MjModel, data: mujoco.MjData, number: int, matrix: Vector) -> None:
        address = model.joint(f"{self.name}_{number}").qposadr[0]
        quaternion = np.zeros(4)
        mujoco.mju_mat2Quat(quaternion, matrix.ravel())
        data.qpos[address : address + 4] = quaternion

    def _directions(self, chord: Vector, bulge: Vector) -> Iterator[Vector]:
        """Of each piece (3,), one after the other: they turn evenly."""
        distance = float(np.linalg.norm(chord))
        if distance >= self.length:
            raise ValueError(
                f"cable {self.name}: {distance:.3f} m from end to end, but it is "
                f"{self.length:.3f} m long (give it more pieces, or place its ends nearer)"
            )
        straight = chord / distance
        aside = bulge - (bulge @ straight) * straight
        aside = aside / np.linalg.norm(aside)
        low, high = 1e-6, 2 * np.pi / self.count  # the turn from one piece to the next
        for _ in range(_BISECTIONS):
            turn = (low + high) / 2
            spanned = self.pitch * np.sin(self.count * turn / 2) / np.sin(turn / 2)
            low, high = (turn, high) if spanned > distance else (low, turn)
        for i in range(self.count):
            angle = (0.5 * (self.count - 1) - i) * low
            yield np.cos(angle) * straight + np.sin(angle) * aside


def _turned(axes: Vector, along: Vector) -> Vector:
    """Axes (3, 3) whose x points along (3,), by the least turn from the given ones."""
    x = axes[:, 0]
    cross, cosine = np.cross(x, along), float(x @ along)
    if cosine < -0.9999:
        return axes @ np.diag([-1.0, -1.0, 1.0])
    skew = np.array(
        [[0.0, -cross[2], cross[1]], [cross[2], 0.0, -cross[0]], [-cross[1], cross[0], 0.0]]
    )
    turned: Vector = (np.eye(3) + skew + skew @ skew / (1.0 + cosine)) @ axes
    return turned

# SPDX-License-Identifier: Apache-2.0
"""Cartesian velocity to joint references: an integrated target pose, tracked by damped IK."""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray

from expo_ft_ros.sim import franka

Vector = NDArray[np.float64]

_DAMPING = 0.03
_NULLSPACE = 0.5  # pull of the elbow towards home [1/s]
_MAX_LEAD = 0.02  # how far the target may run ahead of the tool [m]
_MAX_TURN = 0.15  # the same for its orientation [rad]
_SOLVED_TURN = 0.2  # by which solve() turns the tool at once [rad]
_ITERATIONS_A_TURN = 10


@dataclass(frozen=True)
class ServoState:
    """q: joint references (7,) [rad]; pos (3,) [m] and quat (4,) w, x, y, z of the target pose."""

    q: Vector
    pos: Vector
    quat: Vector


class CartesianServo:
    """Turns a commanded tool twist into joint position references for the arm's servos.

    The target pose is the integral of the commands, so that tracking does not drift; it stays
    within 2 cm and 0.15 rad of the actual tool, so that a blocked arm does not wind up. Joint
    references obey the FR3's position and velocity limits.
    """

    def __init__(self, model: mujoco.MjModel) -> None:
        self._model = model
        self._kin = mujoco.MjData(model)  # a robot at the references, for FK and Jacobian only
        self._site = model.site(franka.TCP).id
        self._qpos = np.array([model.joint(name).qposadr[0] for name in franka.JOINTS])
        self._dofs = np.array([model.joint(name).dofadr[0] for name in franka.JOINTS])
        self._jac_p, self._jac_r = np.zeros((3, model.nv)), np.zeros((3, model.nv))
        self._pos, self._quat, self._q = np.zeros(3), np.zeros(4), franka.HOME.copy()

    def reset(self, data: mujoco.MjData) -> None:
        """Makes the pose of data (kinematics up to date) the target."""
        self._q = data.qpos[self._qpos].copy()
        self._pos, self._quat = self._pose(data)

    def state(self) -> ServoState:
        """What its next reference depends on, beside the data it is given."""
        return ServoState(self._q.copy(), self._pos.copy(), self._quat.copy())

    def restore(self, state: ServoState) -> None:
        """Goes on from a `state`."""
        self._q, self._pos, self._quat = state.q.copy(), state.pos.copy(), state.quat.copy()

    def solve(self, pos: Vector, quat_wxyz: Vector, iterations: int = 100) -> Vector:
        """Returns joints (7,) that put the tool at a pose, from home; raises if out of reach.

        A tool that is turned far from home's goes there first and then turns bit by bit, so that
        the arm stays in home's posture: shoulder, elbow and wrist aren't turned over.
        """
        self._q = franka.HOME.copy()
        self._forward()
        _, upright = self._pose(self._kin)
        turn = rotation_between(upright, quat_wxyz)
        turns = int(np.linalg.norm(turn) // _SOLVED_TURN)
        for number in range(turns):
            self._pos, self._quat = pos.copy(), upright.copy()
            mujoco.mju_quatIntegrate(self._quat, angular_local(upright, turn), number / turns)
            for _ in range(_ITERATIONS_A_TURN):
                self._track(0.1)
        self._pos, self._quat = pos.copy(), quat_wxyz.copy()
        for _ in range(iterations):
            self._track(0.1)
        self._forward()
        reached, _ = self._pose(self._kin)
        if np.linalg.norm(reached - pos) > 1e-3:
            raise ValueError(
                f"the arm can't reach {np.round(pos, 3)} (got to {np.round(reached, 3)}); choose "
                "a start nearer to the middle of the workspace"
            )
        return self._q.copy()

    def step(self, data: mujoco.MjData, linear: Vector, angular: Vector, dt: float) -> Vector:
        """Advances the target by the twist over dt; returns the servos' references (7,)."""
        actual_pos, actual_quat = self._pose(data)
        lead = self._pos + linear * dt - actual_pos
        self._pos = actual_pos + _limited(lead, _MAX_LEAD)
        mujoco.mju_quatIntegrate(self._quat, angular_local(self._quat, angular), dt)
        turn = rotation_between(actual_quat, self._quat)
        if np.linalg.norm(turn) > _MAX_TURN:
            self._quat = actual_quat.copy()
            mujoco.mju_quatIntegrate(
                self._quat, angular_local(actual_quat, _limited(turn, _MAX_TURN)), 1.0
            )
        mujoco.mju_normalize4(self._quat)
        before = self._q
        self._track(dt)
        # The servo damps absolute joint velocity; without this lead it trails by KV / KP seconds.
        references: Vector = self._q + franka.KV / franka.KP * (self._q - before) / dt
        return references

    def _track(self, dt: float) -> None:
        self._forward()
        pos, quat = self._pose(self._kin)
        error = np.concatenate([self._pos - pos, rotation_between(quat, self._quat)])
        mujoco.mj_jacSite(self._model, self._kin, self._jac_p, self._jac_r, self._site)
        jac = np.concatenate([self._jac_p[:, self._dofs], self._jac_r[:, self._dofs]])
        gram = jac @ jac.T + _DAMPING**2 * np.eye(6)
        home = _NULLSPACE * dt * (franka.HOME - self._q)
        delta = home + jac.T @ np.linalg.solve(gram, error - jac @ home)
        delta = np.clip(delta, -franka.VELOCITY * dt, franka.VELOCITY * dt)
        self._q = np.clip(self._q + delta, franka.LOWER, franka.UPPER)

    def _forward(self) -> None:
        self._kin.qpos[self._qpos] = self._q
        mujoco.mj_kinematics(self._model, self._kin)
        mujoco.mj_comPos(self._model, self._kin)

    def _pose(self, data: mujoco.MjData) -> tuple[Vector, Vector]:
        quat = np.zeros(4)
        mujoco.mju_mat2Quat(quat, data.site_xmat[self._site])
        return data.site_xpos[self._site].copy(), quat


def rotation_between(start_wxyz: Vector, end_wxyz: Vector) -> Vector:
    """Returns the rotation vector (3,) in base axes [rad] that takes start to end."""
    inverse, difference, vector = np.zeros(4), np.zeros(4), np.zeros(3)
    mujoco.mju_negQuat(inverse, start_wxyz)
    mujoco.mju_mulQuat(difference, end_wxyz, inverse)
    mujoco.mju_quat2Vel(vector, difference, 1.0)
    return vector


def angular_local(quat_wxyz: Vector, angular: Vector) -> Vector:
    """Returns an angular velocity in base axes expressed in the axes of quat (mujoco's wish)."""
    inverse, local = np.zeros(4), np.zeros(3)
    mujoco.mju_negQuat(inverse, quat_wxyz)
    mujoco.mju_rotVecQuat(local, angular, inverse)
    return local


def _limited(vector: Vector, limit: float) -> Vector:
    norm = float(np.linalg.norm(vector))
    return vector if norm <= limit else vector * (limit / norm)

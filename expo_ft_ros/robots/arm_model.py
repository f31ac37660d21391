# SPDX-License-Identifier: Apache-2.0
"""Kinematics of an arm from its URDF, by Pinocchio: where the tool is, and how joints move it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.data.rotation import quaternion_of
from expo_ft_ros.robots.joint_group_config import PINOCCHIO

Vector = NDArray[np.float64]


class ArmModel:
    """The chain of joints from a base link to a tip link; the URDF's other joints don't move.

    Attributes:
        joints: (n) names, in the order that every array here has.
        low: (n,) least angles of the URDF, minus infinity for a continuous joint [rad].
        high: (n,) greatest angles of the URDF, infinity for a continuous joint [rad].
        velocity: (n,) greatest speeds of the URDF [rad/s].
    """

    def __init__(self, urdf: str, joints: Sequence[str], base: str, tip: str) -> None:
        """Reads the model.

        Args:
            urdf: Text of the file; its meshes aren't looked for.
            joints: Names of all joints between base and tip, in the order that is wanted.
            base: Link that poses and velocities are told in.
            tip: Link that is the tool.

        Raises:
            ConfigError: where Pinocchio isn't installed, or the URDF isn't one, or has no such
                link or joint.
        """
        self._pinocchio = pinocchio = _pinocchio()
        try:
            whole = pinocchio.buildModelFromXML(urdf)
        except (ValueError, RuntimeError) as error:
            raise ConfigError(f"the URDF can't be read: {error or 'it is none'}") from None
        self.joints = tuple(joints)
        _require(whole, pinocchio, self.joints, base, tip)
        others = [whole.getJointId(n) for n in list(whole.names)[1:] if n not in self.joints]
        self._model = pinocchio.buildReducedModel(whole, others, pinocchio.neutral(whole))
        self._data = self._model.createData()
        self._tip = self._model.getFrameId(tip, pinocchio.FrameType.BODY)
        link = self._model.frames[self._model.getFrameId(base, pinocchio.FrameType.BODY)]
        self._base = link.placement
        self._turned = np.kron(np.eye(2), link.placement.rotation.T)
        found = [self._model.joints[self._model.getJointId(name)] for name in self.joints]
        self._places = [(joint.idx_q, joint.nq) for joint in found]
        self._columns = np.array([joint.idx_v for joint in found])
        ends = self._model.lowerPositionLimit, self._model.upperPositionLimit
        self.low, self.high = (
            np.array([end[at] if size == 1 else without for at, size in self._places])
            for end, without in zip(ends, (-np.inf, np.inf), strict=True)
        )
        self.velocity = np.array(self._model.velocityLimit)[self._columns]

    def pose(self, joints: Vector) -> tuple[Vector, Vector]:
        """Where the tip is.

        Args:
            joints: (n,) [rad].

        Returns:
            (3,) position in the base link [m], and (4,) quaternion x, y, z, w.
        """
        self._pinocchio.framesForwardKinematics(self._model, self._data, self._whole(joints))
        found = self._base.actInv(self._data.oMf[self._tip])
        return np.array(found.translation), quaternion_of(found.rotation)

    def jacobian(self, joints: Vector) -> Vector:
        """(6, n) from joint speeds to the tip's velocity, linear then angular, in the base link's
        axes [m, rad].

        Args:
            joints: (n,) [rad].
        """
        axes = self._pinocchio.ReferenceFrame.LOCAL_WORLD_ALIGNED
        found = self._pinocchio.computeFrameJacobian(
            self._model, self._data, self._whole(joints), self._tip, axes
        )
        return np.asarray(self._turned @ found[:, self._columns])

    def _whole(self, joints: Vector) -> Vector:
        """The model's own numbers: a continuous joint is a point on the circle."""
        whole = np.zeros(self._model.nq)
        for angle, (at, size) in zip(joints, self._places, strict=True):
            whole[at : at + size] = angle if size == 1 else (np.cos(angle), np.sin(angle))
        return whole


def urdf_of(path: str, field: str) -> str:
    """Text of a URDF's file; raises ConfigError that names the field where it can't be read."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise ConfigError(f"{field}: {path}: can't be read: {error}") from None


def _pinocchio() -> Any:
    """Imported where it is needed: only an arm that is driven joint by joint has it."""
    try:
        import pinocchio
    except ImportError as error:
        package, remedy = PINOCCHIO
        raise ConfigError(f"{package} is not installed: {error} ({remedy})") from error
    return pinocchio


def _require(whole: Any, pinocchio: Any, joints: tuple[str, ...], base: str, tip: str) -> None:
    """Refuses a chain whose joints aren't those that are given."""
    body, world = pinocchio.FrameType.BODY, whole.names[0]
    links = [frame.name for frame in whole.frames if frame.type == body]
    for link in (base, tip):
        if link not in links:
            raise ConfigError(
                f"the URDF has no link {link!r} (known: {', '.join(links)}; set frames.base, tip)"
            )
    missing = [name for name in joints if not whole.existJointName(name)]
    if missing:
        raise ConfigError(
            f"the URDF has no moving joint {', '.join(missing)} (known: "
            f"{', '.join(list(whole.names)[1:])}; set joints)"
        )

    def movers(link: str) -> set[str]:
        end = whole.frames[whole.getFrameId(link, body)].parentJoint
        return {whole.names[at] for at in whole.supports[end]} - {world}

    if movers(base):
        raise ConfigError(
            f"the URDF's link {base!r} is moved by {', '.join(sorted(movers(base)))} (set "
            "frames.base to one that stands)"
        )
    if movers(tip) != set(joints):
        raise ConfigError(
            f"the URDF's joints that move {tip!r} are {', '.join(sorted(movers(tip)))}, but joints "
            f"has {', '.join(joints)} (set joints and tip)"
        )
    jointed = [name for name in joints if whole.joints[whole.getJointId(name)].nv != 1]
    if jointed:
        raise ConfigError(f"the URDF's joint {', '.join(jointed)} has more than one axis")

# SPDX-License-Identifier: Apache-2.0
"""Perturbations of what is seen: light, patches of colour around, looks of the task's things."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray

from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.sim.perturbations.base import Perturbation
from expo_ft_ros.sim.scene import BACKDROP, SIDE, TABLE, VaryingScene, Vector

# Light: its strength and the tint of each channel, as factors; how far from straight down it comes,
# as a slope.
_STRENGTH, _TINT, _SLOPE = (0.8, 1.12), 0.05, (0.1, 0.8)

# Patches: how many, their half sides as parts of half the image, hue [degrees], saturation and
# brightness: colours that no task looks for.
_PATCHES, _HALF = 6, (0.06, 0.16)
_HUE, _SATURATION, _VALUE = (190.0, 285.0), (0.4, 0.9), (0.3, 0.9)
_TRIES = 20
_THICKNESS = 0.0002  # half of the thinnest; each is a little thicker than the one before [m]
_HIDDEN = np.array([0.45, 0.0, -0.25])  # within the table


class Lighting(Perturbation):
    """Another strength, tint and direction of the light in each scene."""

    def bind(self, model: mujoco.MjModel) -> None:
        """See Perturbation."""
        self._plain = [part.copy() for part in _lights(model)]

    def vary(self, model: mujoco.MjModel, rng: np.random.Generator) -> None:
        """See Perturbation."""
        colour = rng.uniform(*_STRENGTH) * (1.0 + rng.uniform(-_TINT, _TINT, 3))
        for part, plain in zip(_lights(model), self._plain, strict=True):
            part[:] = plain * colour
        turn, slope = rng.uniform(-np.pi, np.pi), rng.uniform(*_SLOPE)
        way = np.array([slope * np.cos(turn), slope * np.sin(turn), -1.0])
        model.light_dir[:] = way / np.linalg.norm(way)


def _lights(model: mujoco.MjModel) -> list[NDArray[np.floating]]:
    """Colours of the lights, each (..., 3), as views of the model."""
    head = model.vis.headlight
    return [head.ambient, head.diffuse, model.light_ambient, model.light_diffuse]


@dataclass(frozen=True)
class _Bounds:
    """Sizes of a model's shapes and their bounds, as compiled: (n, 3), (n, 6) and (n,)."""

    size: Vector
    aabb: Vector
    radius: Vector

    @classmethod
    def of(cls, model: mujoco.MjModel) -> _Bounds:
        """Copies of a model's."""
        return cls(model.geom_size.copy(), model.geom_aabb.copy(), model.geom_rbound.copy())


class Distractors(Perturbation):
    """Flat patches of blue to violet colours where the camera side sees the table or the wall, as
    of paper and tape: seen and not felt, below all that stands there."""

    def build(self, spec: mujoco.MjSpec) -> None:
        """See Perturbation."""
        shapes = mujoco.mjtGeom.mjGEOM_BOX, mujoco.mjtGeom.mjGEOM_ELLIPSOID
        for i in range(_PATCHES):
            body = spec.worldbody.add_body(name=_patch(i), mocap=True, pos=_HIDDEN)
            body.add_geom(
                name=_patch(i), type=shapes[i % 2], size=[0.01, 0.01, _THICKNESS],
                contype=0, conaffinity=0,
            )  # fmt: skip

    def bind(self, model: mujoco.MjModel) -> None:
        """See Perturbation."""
        self._bounds = _Bounds.of(model)

    def begin(self, model: mujoco.MjModel, data: mujoco.MjData, rng: np.random.Generator) -> None:
        """See Perturbation."""
        for i in range(_PATCHES):
            body, geom = model.body(_patch(i)), model.geom(_patch(i))
            model.geom_rgba[geom.id, :3] = colorsys.hsv_to_rgb(
                rng.uniform(*_HUE) / 360.0, rng.uniform(*_SATURATION), rng.uniform(*_VALUE)
            )
            sides, turn = rng.uniform(*_HALF, 2), rng.uniform(-np.pi, np.pi)
            place, quaternion, scale = _seen_surface(model, data, rng)
            mocap = body.mocapid[0]
            data.mocap_pos[mocap] = place
            about = np.array([np.cos(turn / 2), 0.0, 0.0, np.sin(turn / 2)])
            mujoco.mju_mulQuat(data.mocap_quat[mocap], quaternion, about)
            size = np.array([*(scale * sides), _THICKNESS * (1.0 + 0.2 * i)])
            _resize(model, self._bounds, geom.id, size)


def _patch(number: int) -> str:
    return f"distractor_{number}"


def _seen_surface(
    model: mujoco.MjModel, data: mujoco.MjData, rng: np.random.Generator
) -> tuple[Vector, Vector, float]:
    """A place (3,) [m] of table or wall that the side camera sees, a quaternion w, x, y, z whose z
    is its normal, and what half the image is there [m]; within the table where none is found."""
    camera = model.camera(SIDE).id
    half = float(np.tan(np.radians(model.cam_fovy[camera]) / 2))
    axes, eye = data.cam_xmat[camera].reshape(3, 3), data.cam_xpos[camera]
    surfaces = {model.geom(name).id for name in (TABLE, BACKDROP) if _has_geom(model, name)}
    hit = np.zeros(1, dtype=np.int32)
    for _ in range(_TRIES):
        ray = axes @ np.array([*rng.uniform(-half, half, 2), -1.0])
        far = mujoco.mj_ray(model, data, eye, ray, None, 1, -1, hit)
        if far < 0.0 or int(hit[0]) not in surfaces:
            continue
        geom, place = int(hit[0]), eye + far * ray
        frame = data.geom_xmat[geom].reshape(3, 3)
        local = frame.T @ (place - data.geom_xpos[geom])
        face = int(np.argmax(np.abs(local) / model.geom_size[geom]))
        quaternion = np.zeros(4)
        mujoco.mju_quatZ2Vec(quaternion, frame[:, face] * np.sign(local[face]))
        return place, quaternion, far * half
    return _HIDDEN, np.array([1.0, 0.0, 0.0, 0.0]), 0.01


def _has_geom(model: mujoco.MjModel, name: str) -> bool:
    return bool(mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_GEOM, name) >= 0)


class Objects(Perturbation):
    """Another colour and size of what the scene says may differ (`VaryingScene`)."""

    def bind(self, model: mujoco.MjModel) -> None:
        """See Perturbation."""
        if not isinstance(self._scene, VaryingScene):
            raise ConfigError("the scene doesn't say what may look otherwise: it has no VARIES")
        self._looks = {model.body(name).id: looks for name, looks in self._scene.VARIES.items()}
        self._bounds, self._places = _Bounds.of(model), model.geom_pos.copy()
        self._colours = model.geom_rgba.copy()

    def vary(self, model: mujoco.MjModel, rng: np.random.Generator) -> None:
        """See Perturbation."""
        for body, looks in self._looks.items():
            hue, value = rng.uniform(-looks.hue, looks.hue), rng.uniform(*looks.value)
            scale = rng.uniform(looks.smallest, 1.0)
            for geom in map(int, np.flatnonzero(model.geom_bodyid == body)):
                model.geom_rgba[geom, :3] = _shifted(self._colours[geom, :3], hue, value)
                model.geom_pos[geom] = scale * self._places[geom]
                _resize(model, self._bounds, geom, scale * self._bounds.size[geom])


def _shifted(rgb: NDArray[np.floating], hue: float, value: float) -> tuple[float, float, float]:
    """A colour (3,) in [0, 1] with another hue, by so many degrees, and brightness, by a factor."""
    h, s, v = colorsys.rgb_to_hsv(*(float(part) for part in rgb))
    return colorsys.hsv_to_rgb((h + hue / 360.0) % 1.0, s, min(1.0, v * value))


def _resize(model: mujoco.MjModel, bounds: _Bounds, geom: int, size: Vector) -> None:
    """Gives a shape these sizes (3,), and the bounds that go with them, by those as compiled.

    The tree of bounds that finds contacts stays as it was compiled: what touches may only shrink.
    """
    before, aabb, radius = bounds.size[geom], bounds.aabb[geom], bounds.radius[geom]
    used = before > 0.0
    factor = np.divide(size, before, out=np.ones(3), where=used)
    model.geom_size[geom] = size
    model.geom_aabb[geom] = aabb * np.tile(np.where(used, factor, factor[used].max()), 2)
    model.geom_rbound[geom] = radius * factor[used].max()

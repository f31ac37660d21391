# SPDX-License-Identifier: Apache-2.0
"""Camera images: OpenGL without a window where it loads, ray-casting where it doesn't."""

from __future__ import annotations

import atexit
import logging
import weakref
from typing import Any, Protocol

import mujoco
import numpy as np
from numpy.typing import NDArray

from expo_ft_ros.data.types import ImageArray
from expo_ft_ros.sim.gl import RAYCAST, choose_gl

__all__ = ["GlRenderer", "RayRenderer", "Renderer", "choose_gl", "make_renderer"]

_log = logging.getLogger(__name__)


class Renderer(Protocol):
    """Draws a named camera of a model; backend names what it draws with."""

    backend: str

    def render(self, data: mujoco.MjData, camera: str) -> ImageArray:
        """Returns (size, size, 3) uint8 RGB."""

    def close(self) -> None:
        """Gives the context back; more than once is fine."""


def make_renderer(model: mujoco.MjModel, size: int) -> Renderer:
    """Returns the best renderer there is; says so in the log where it has to ray-cast."""
    backend = choose_gl()
    if backend != RAYCAST:
        try:
            return GlRenderer(model, size, backend)
        except (RuntimeError, ImportError, AttributeError, mujoco.FatalError) as error:
            _log.warning(
                "no OpenGL by %s (%s); drawing by ray-casting (remedy: apt install libegl1 "
                "libegl-mesa0 libgl1-mesa-dri, or libosmesa6 and MUJOCO_GL=osmesa)",
                backend,
                error,
            )
    return RayRenderer(model, size)


class GlRenderer:
    """Off-screen OpenGL without shadows, reflections or multisampling: cheap on a CPU."""

    def __init__(self, model: mujoco.MjModel, size: int, backend: str) -> None:
        self.backend = backend
        self._model, self._size = model, size
        self._gl = _gl_context(backend, size)
        self._gl.make_current()
        self._context = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_100)
        self._free = weakref.finalize(self, _free, self._gl, self._context)
        # At exit before mujoco gives the display back, which registered itself above: a finalizer's
        # own place in that order depends on who made the process's first one.
        self._free.atexit = False
        atexit.register(self._free)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self._context)
        self._scene = mujoco.MjvScene(model, maxgeom=1000)
        self._scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = 0
        self._scene.flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = 0
        self._option, self._perturb = mujoco.MjvOption(), mujoco.MjvPerturb()
        self._camera = mujoco.MjvCamera()
        self._camera.type = mujoco.mjtCamera.mjCAMERA_FIXED
        self._viewport = mujoco.MjrRect(0, 0, size, size)
        self._pixels = np.zeros((size, size, 3), dtype=np.uint8)

    def render(self, data: mujoco.MjData, camera: str) -> ImageArray:
        """See Renderer. Raises RuntimeError after close()."""
        if not self._free.alive:
            raise RuntimeError("render() after close(): make a new renderer")
        self._gl.make_current()
        self._camera.fixedcamid = self._model.camera(camera).id
        mujoco.mjv_updateScene(
            self._model,
            data,
            self._option,
            self._perturb,
            self._camera,
            mujoco.mjtCatBit.mjCAT_ALL,
            self._scene,
        )
        mujoco.mjr_render(self._viewport, self._scene, self._context)
        mujoco.mjr_readPixels(self._pixels, None, self._viewport, self._context)
        return np.ascontiguousarray(self._pixels[::-1])

    def close(self) -> None:
        """See Renderer."""
        self._free()
        atexit.unregister(self._free)


def _free(gl: Any, context: mujoco.MjrContext) -> None:
    gl.make_current()
    context.free()
    gl.free()


def _gl_context(backend: str, size: int) -> Any:
    """Returns mujoco's context class of a backend, named so that the import order can't matter."""
    if backend == "egl":
        from mujoco.egl import GLContext
    elif backend == "osmesa":
        from mujoco.osmesa import GLContext
    else:
        from mujoco.gl_context import GLContext
    return GLContext(size, size)


class RayRenderer:
    """Flat-shaded images from mj_multiRay alone: no OpenGL, no textures, nothing to install."""

    backend = RAYCAST
    _BACKGROUND = np.array([0.55, 0.62, 0.7])

    def __init__(self, model: mujoco.MjModel, size: int) -> None:
        self._model, self._size = model, size
        self._rays: dict[int, NDArray[np.float64]] = {}

    def render(self, data: mujoco.MjData, camera: str) -> ImageArray:
        """See Renderer."""
        index, count = self._model.camera(camera).id, self._size**2
        rays = self._camera_rays(index) @ data.cam_xmat[index].reshape(3, 3).T
        geoms, distances = np.full(count, -1, dtype=np.int32), np.zeros(count)
        normals = np.zeros(3 * count)
        mujoco.mj_multiRay(
            self._model, data, data.cam_xpos[index], rays.ravel(), None, 1, -1,
            geoms, distances, normals, count, 10.0,
        )  # fmt: skip
        image = self._colours()[geoms] * self._light(data, normals.reshape(-1, 3), rays)
        image[geoms < 0] = self._BACKGROUND
        pixels: ImageArray = np.clip(image * 255.0, 0, 255).astype(np.uint8)
        return pixels.reshape(self._size, self._size, 3)

    def close(self) -> None:
        """See Renderer; there is nothing to give back."""

    def _colours(self) -> NDArray[np.float64]:
        """(geoms, 3) as they are now: a perturbation may change them."""
        model = self._model
        if not model.nmat:
            return np.asarray(model.geom_rgba[:, :3], dtype=np.float64)
        of_material = model.mat_rgba[np.maximum(model.geom_matid, 0)]
        chosen = np.where(model.geom_matid[:, None] >= 0, of_material, model.geom_rgba)
        return np.asarray(chosen[:, :3], dtype=np.float64)

    def _light(
        self, data: mujoco.MjData, normals: NDArray[np.float64], rays: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """(pixels, 3) what OpenGL's diffuse shading multiplies colours by: headlight, lamps."""
        head = self._model.vis.headlight
        facing = np.clip(-np.sum(normals * rays, axis=1, keepdims=True), 0.0, 1.0)
        light = head.ambient + head.diffuse * facing
        for way, ambient, diffuse in zip(
            data.light_xdir, self._model.light_ambient, self._model.light_diffuse, strict=True
        ):
            light = light + ambient + diffuse * np.clip(-normals @ way, 0.0, 1.0)[:, None]
        return np.asarray(light, dtype=np.float64)

    def _camera_rays(self, index: int) -> NDArray[np.float64]:
        """Unit rays (size * size, 3) in the camera's axes, row by row from the top left."""
        if index not in self._rays:
            half = np.tan(np.radians(self._model.cam_fovy[index]) / 2)
            across = ((np.arange(self._size) + 0.5) / self._size * 2 - 1) * half
            x, y = np.meshgrid(across, -across)
            rays = np.stack([x, y, -np.ones_like(x)], axis=-1).reshape(-1, 3)
            self._rays[index] = rays / np.linalg.norm(rays, axis=1, keepdims=True)
        return self._rays[index]

# SPDX-License-Identifier: Apache-2.0
"""Which renderer this machine has, decided once, before mujoco is imported.

mujoco reads MUJOCO_GL while it is imported; the package's __init__ therefore calls choose_gl()
before any module of it can import mujoco.
"""

from __future__ import annotations

import ctypes
import os
import sys

from expo_ft_ros.configuration import ConfigError

RAYCAST = "raycast"
_OFF = ("disable", "disabled", "off", "false", "0")
_EGL_PLATFORM_DEVICE = 0x313F
_MAX_DEVICES = 8
_PACKAGES = {"egl": "libegl1 libegl-mesa0 libgl1-mesa-dri", "osmesa": "libosmesa6"}


def choose_gl() -> str:
    """Returns "egl", "osmesa" or "raycast" (or what MUJOCO_GL names) and sets the environment.

    A MUJOCO_GL set by the user wins; MUJOCO_GL=disable means ray-casting. Also keeps llvmpipe on
    the calling thread (LP_NUM_THREADS=0) unless the user says otherwise: the second core belongs
    to the learner. Idempotent. Raises ConfigError when MUJOCO_GL names what isn't there.
    """
    os.environ.setdefault("LP_NUM_THREADS", "0")
    wanted = os.environ.get("MUJOCO_GL", "").lower().strip()
    if wanted in _OFF:
        return RAYCAST
    if wanted:
        _require(wanted)
        return wanted
    if not sys.platform.startswith("linux"):
        return "cgl" if sys.platform == "darwin" else "wgl"
    if egl_works():
        chosen = "egl"
    elif osmesa_works():
        chosen = "osmesa"
    else:
        chosen = RAYCAST
    os.environ["MUJOCO_GL"] = "disable" if chosen == RAYCAST else chosen
    return chosen


def _require(wanted: str) -> None:
    """Refuses what mujoco could not start, with the remedy."""
    checks = {"egl": egl_works, "osmesa": osmesa_works, "glfw": None, "cgl": None, "wgl": None}
    if wanted not in checks:
        raise ConfigError(
            f"MUJOCO_GL={wanted}: no such renderer (known: egl, osmesa, glfw, disable; unset it "
            "to have one chosen)"
        )
    check = checks[wanted]
    if check is not None and not check():
        raise ConfigError(
            f"MUJOCO_GL={wanted}: its library or driver is missing "
            f"(apt-get install {_PACKAGES[wanted]}, or unset it to have another one chosen)"
        )


def egl_works() -> bool:
    """True if libEGL lists a device whose display initialises (a driver is there)."""
    try:
        lib = ctypes.CDLL("libEGL.so.1")
    except OSError:
        return False
    address = lib.eglGetProcAddress
    address.restype, address.argtypes = ctypes.c_void_p, [ctypes.c_char_p]
    query, display_of = address(b"eglQueryDevicesEXT"), address(b"eglGetPlatformDisplayEXT")
    if not query or not display_of:
        return False
    query_devices = ctypes.CFUNCTYPE(
        ctypes.c_uint, ctypes.c_int, ctypes.POINTER(ctypes.c_void_p), ctypes.POINTER(ctypes.c_int)
    )(query)
    get_display = ctypes.CFUNCTYPE(
        ctypes.c_void_p, ctypes.c_uint, ctypes.c_void_p, ctypes.c_void_p
    )(display_of)
    lib.eglInitialize.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]
    lib.eglInitialize.restype = ctypes.c_uint
    devices, count = (ctypes.c_void_p * _MAX_DEVICES)(), ctypes.c_int(0)
    if not query_devices(_MAX_DEVICES, devices, ctypes.byref(count)):
        return False
    for device in devices[: count.value]:
        display = get_display(_EGL_PLATFORM_DEVICE, device, None)
        if display and lib.eglInitialize(display, None, None):
            return True
    return False


def osmesa_works() -> bool:
    """True if libOSMesa loads; PyOpenGL looks it up by its unversioned name or by ldconfig."""
    for name in ("libOSMesa.so.8", "libOSMesa.so.6", "libOSMesa.so"):
        try:
            ctypes.CDLL(name)
        except OSError:
            continue
        return True
    return False

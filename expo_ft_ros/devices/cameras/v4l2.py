# SPDX-License-Identifier: Apache-2.0
"""A video device of Linux, by OpenCV.

It is there already, names controls and tells capture stamps. linuxpy does more, under the GPL; PyAV
has no controls.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np

from expo_ft_ros.configuration import nearest
from expo_ft_ros.devices.cameras.camera import (
    SILENCE,
    Automatic,
    CameraError,
    Frame,
    plausible_time,
)
from expo_ft_ros.devices.cameras.config import CameraConfig

_PREFIX = "CAP_PROP_"
_NONE = -1.0  # what OpenCV tells of a control that isn't there
_MANUAL, _APERTURE_PRIORITY = 1, 3  # V4L2_EXPOSURE_...


class V4l2Camera:
    """See `Camera`."""

    automatics: Mapping[str, Automatic] = {
        "exposure": Automatic("auto_exposure", _MANUAL, _APERTURE_PRIORITY, ("exposure", "gain")),
        "white_balance": Automatic("auto_wb", 0, 1, ("wb_temperature",)),
    }
    lens = None

    def __init__(self, config: CameraConfig) -> None:
        """Opens the device.

        Raises:
            CameraError: where it isn't there, is another's, or has no images of this kind.
        """
        self._device = config.device
        _require_access(config.device)
        # Read once, when the first is opened: else a device that hangs is waited for 10 s.
        os.environ.setdefault("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", f"{SILENCE:.0f}")
        self._capture = cv2.VideoCapture(config.device, cv2.CAP_V4L2)
        if not self._capture.isOpened():
            raise CameraError(
                f"can't be opened: no camera, or another program has it (fuser -v {config.device})"
            )
        try:
            self._choose(config)
        except CameraError:
            self.close()
            raise

    def _choose(self, config: CameraConfig) -> None:
        wanted = {
            "fourcc": float(cv2.VideoWriter.fourcc(*(config.format or "YUYV"))),
            "frame_width": float(config.width),
            "frame_height": float(config.height),
            "fps": float(config.rate),
        }
        for name, value in wanted.items():
            self._capture.set(_property(name), value)
        taken = {name: self._capture.get(_property(name)) for name in wanted}
        if any(abs(taken[name] - value) > 0.5 for name, value in wanted.items()):
            raise CameraError(
                f"gives {_in_words(taken)} for {_in_words(wanted)} "
                f"(v4l2-ctl -d {config.device} --list-formats-ext shows what it has)"
            )

    def read(self) -> Frame:
        """See `Camera`. An image that was damaged on its way is passed over."""
        until = time.monotonic() + SILENCE
        while True:
            if not self._capture.grab():
                gone = "was pulled out" if not Path(self._device).exists() else "is silent"
                raise CameraError(f"{gone}: no image")
            now = time.time_ns()
            done, image = self._capture.retrieve()
            if done:
                break
            if time.monotonic() > until:
                raise CameraError("gives damaged images only (another cable, port or format)")
        age = time.monotonic_ns() - int(self._capture.get(cv2.CAP_PROP_POS_MSEC) * 1e6)
        rgb = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), dtype=np.uint8)
        return Frame(rgb, plausible_time(time.time_ns() - age, now))

    def get(self, control: str) -> float | None:
        """See `Camera`."""
        value = float(self._capture.get(_property(control)))
        return None if value == _NONE else value

    def set(self, control: str, value: float) -> None:
        """See `Camera`."""
        if not self._capture.set(_property(control), value):
            raise CameraError(
                f"{control}: the device refuses {value:g} (v4l2-ctl -d {self._device} "
                "--list-ctrls shows what it takes)"
            )

    def close(self) -> None:
        """See `Camera`."""
        self._capture.release()


def _require_access(device: str) -> None:
    if not Path(device).exists():
        raise CameraError("isn't there: pulled out, or another one (ls /dev/v4l/by-id)")
    if not os.access(device, os.R_OK | os.W_OK):
        raise CameraError("may not be read (sudo usermod -aG video $USER, then log in again)")


def _property(control: str) -> int:
    number = getattr(cv2, f"{_PREFIX}{control.upper()}", None)
    if number is None:
        names = [name.removeprefix(_PREFIX).lower() for name in dir(cv2) if _PREFIX in name]
        close = nearest(control, names).partition("known:")[0] or "see OpenCV's CAP_PROP_... "
        raise CameraError(f"{control}: no such control ({close.strip()})")
    return int(number)


def _in_words(told: dict[str, float]) -> str:
    code = int(told["fourcc"]).to_bytes(4, "little", signed=True).decode(errors="replace")
    return f"{told['frame_width']:g}x{told['frame_height']:g} {code} at {told['fps']:g} Hz"

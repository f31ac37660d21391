# SPDX-License-Identifier: Apache-2.0
"""A RealSense without its hardware: librealsense's own software device."""

from __future__ import annotations

import ctypes
import fcntl
import importlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from expo_ft_ros.devices.cameras.config import PYREALSENSE2

FOLDER = Path(__file__).resolve().parents[2] / ".build" / "realsense"
LIBUSB = "libusb-package==1.0.30.0"
"""Brings libusb-1.0, which pyrealsense2 wants of the system."""

WIDTH, HEIGHT, RATE = 64, 48, 30


def library(monkeypatch: pytest.MonkeyPatch) -> Any:
    """pyrealsense2, in a folder of its own; skips the test where it can't be had."""
    made, wanted = FOLDER / "made", f"{PYREALSENSE2} {LIBUSB}"
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.is_file() or made.read_text() != wanted:
            pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input"]
            command = [*pip, "install", "--no-deps", "--upgrade", "--target", str(FOLDER)]
            done = subprocess.run(
                [*command, PYREALSENSE2, LIBUSB], capture_output=True, text=True, check=False
            )
            if done.returncode:
                pytest.skip(f"pyrealsense2: {done.stderr.strip().splitlines()[-1:]}")
            made.write_text(wanted)
    monkeypatch.syspath_prepend(str(FOLDER))
    for path in FOLDER.glob("libusb_package/libusb-1.0.so*"):
        ctypes.CDLL(str(path), ctypes.RTLD_GLOBAL)
    try:
        return importlib.import_module("pyrealsense2")
    except ImportError as error:
        pytest.skip(f"pyrealsense2: {error}")


class SoftwareCamera:
    """A device with a colour sensor, which has the options of one."""

    def __init__(self, rs: Any) -> None:
        self._rs = rs
        self.device = rs.software_device()
        self.sensor = self.device.add_sensor("RGB Camera")
        stream = rs.video_stream()
        stream.type, stream.index, stream.uid = rs.stream.color, 0, 0
        stream.width, stream.height, stream.fps = WIDTH, HEIGHT, RATE
        stream.bpp, stream.fmt = 3, rs.format.rgb8
        lens = rs.intrinsics()
        lens.width, lens.height, lens.fx, lens.fy = WIDTH, HEIGHT, 60.0, 61.0
        lens.ppx, lens.ppy, lens.coeffs = 31.5, 23.5, [0.1, 0.0, 0.0, 0.0, 0.0]
        lens.model = rs.distortion.inverse_brown_conrady
        stream.intrinsics = lens
        self._profile = self.sensor.add_video_stream(stream).as_video_stream_profile()
        for option, low, high, step, value in (
            (rs.option.enable_auto_exposure, 0, 1, 1, 1),
            (rs.option.exposure, 1, 10_000, 1, 156),
            (rs.option.gain, 0, 128, 1, 64),
            (rs.option.enable_auto_white_balance, 0, 1, 1, 1),
            (rs.option.white_balance, 2800, 6500, 10, 4600),
        ):
            has = rs.option_range()
            has.min, has.max, has.step, has.default = low, high, step, value
            self.sensor.add_option(option, has, True)

    def show(self, image: NDArray[np.uint8], time_ms: float, domain: str = "global_time") -> None:
        """Has it see one image, captured then."""
        frame = self._rs.software_video_frame()
        frame.pixels, frame.stride, frame.bpp = image, 3 * WIDTH, 3
        frame.timestamp = time_ms
        frame.domain = getattr(self._rs.timestamp_domain, domain)
        frame.profile = self._profile
        self.sensor.on_video_frame(frame)

# SPDX-License-Identifier: Apache-2.0
"""A RealSense's colour images, by pyrealsense2."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from expo_ft_ros.configuration import nearest
from expo_ft_ros.devices.cameras.camera import (
    SILENCE,
    Automatic,
    CameraError,
    Frame,
    Lens,
    plausible_time,
)
from expo_ft_ros.devices.cameras.config import PYREALSENSE2, CameraConfig


class RealSenseCamera:
    """See `Camera`."""

    automatics: Mapping[str, Automatic] = {
        "exposure": Automatic("enable_auto_exposure", 0, 1, ("exposure", "gain")),
        "white_balance": Automatic("enable_auto_white_balance", 0, 1, ("white_balance",)),
    }

    def __init__(self, config: CameraConfig) -> None:
        """Starts the colour images.

        Raises:
            CameraError: where the library or the camera isn't there, or it has no such images.
        """
        self._rs = _library()
        self._sensor, profile = _colour(self._rs, find_device(self._rs, config.device), config)
        self._queue = self._rs.frame_queue(1)
        try:
            self._sensor.open(profile)
            self._sensor.start(self._queue)
        except RuntimeError as error:
            self.close()
            raise CameraError(f"can't be started: {error} (another program has it?)") from None
        found = profile.as_video_stream_profile().get_intrinsics()
        self.lens: Lens | None = Lens(
            (found.fx, found.fy), (found.ppx, found.ppy), tuple(found.coeffs)
        )

    def read(self) -> Frame:
        """See `Camera`."""
        try:
            frame = self._queue.wait_for_frame(int(1000 * SILENCE))
        except RuntimeError:
            raise CameraError("no image: pulled out, or its USB hangs (plug it again)") from None
        now = time.time_ns()
        domains = self._rs.timestamp_domain
        # In its own domain the device counts from when it was powered.
        is_ours = frame.get_frame_timestamp_domain() in (domains.system_time, domains.global_time)
        captured = int(1e6 * frame.get_timestamp()) if is_ours else now
        image = np.asanyarray(frame.get_data())
        return Frame(image, plausible_time(captured, now))

    def get(self, control: str) -> float | None:
        """See `Camera`."""
        option = self._option(control)
        if not self._sensor.supports(option):
            return None
        try:
            return float(self._sensor.get_option(option))
        except RuntimeError as error:
            raise CameraError(f"{control}: can't be read: {error} (plug it again)") from None

    def set(self, control: str, value: float) -> None:
        """See `Camera`."""
        option = self._option(control)
        if not self._sensor.supports(option):
            raise CameraError(f"{control}: the device has no such control (leave it out)")
        try:
            self._sensor.set_option(option, value)
        except RuntimeError as error:
            has = self._sensor.get_option_range(option)
            raise CameraError(
                f"{control}: the device refuses {value:g}: {error} (allowed: {has.min:g} to "
                f"{has.max:g}, in steps of {has.step:g})"
            ) from None

    def close(self) -> None:
        """See `Camera`."""
        for end in (self._sensor.stop, self._sensor.close):
            # It may be gone, or not have begun.
            with contextlib.suppress(RuntimeError):
                end()

    def _option(self, control: str) -> Any:
        options = self._rs.option.__members__
        if control not in options:
            raise CameraError(f"{control}: no such control ({nearest(control, options)})")
        return options[control]


def find_device(rs: Any, serial: str) -> Any:
    """The device of a serial number. Raises CameraError, which names those that are there."""
    number = rs.camera_info.serial_number
    found = {
        device.get_info(number): device
        for device in rs.context().query_devices()
        if device.supports(number)
    }
    if serial not in found:
        known = ", ".join(sorted(found)) or "none"
        raise CameraError(f"isn't there (plug it into USB 3; serial numbers there: {known})")
    return found[serial]


def _library() -> Any:
    try:
        import pyrealsense2 as rs
    except ImportError as error:
        remedy = f"./expo-ft python -m pip install {PYREALSENSE2}, apt-get install libusb-1.0-0"
        raise CameraError(f"pyrealsense2 can't be imported: {error} ({remedy})") from None
    return rs


def _colour(rs: Any, device: Any, config: CameraConfig) -> tuple[Any, Any]:
    """The sensor that gives colour images, whichever it is, and its profile for these ones."""
    has = set()
    for sensor in device.query_sensors():
        for profile in sensor.get_stream_profiles():
            if (profile.stream_type(), profile.format()) != (rs.stream.color, rs.format.rgb8):
                continue
            video = profile.as_video_stream_profile()
            kind = (video.width(), video.height(), profile.fps())
            if kind == (config.width, config.height, config.rate):
                return sensor, profile
            has.add(kind)
    known = ", ".join(f"{w}x{h} at {rate} Hz" for w, h, rate in sorted(has)) or "none"
    raise CameraError(
        f"has no colour images of {config.width}x{config.height} at {config.rate} Hz (has: {known})"
    )

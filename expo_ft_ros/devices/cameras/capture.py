# SPDX-License-Identifier: Apache-2.0
"""Reads one camera in a thread, and opens it again where it is lost."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Mapping

from expo_ft_ros.devices.cameras.camera import SILENCE, Camera, CameraError, Frame, Lens
from expo_ft_ros.devices.cameras.config import CameraConfig
from expo_ft_ros.devices.cameras.locks import Locks

_SOON, _LATEST = 0.25, 4.0
"""First and longest wait before a lost camera is opened again [s]; each is twice the one before."""


def open_camera(config: CameraConfig) -> Camera:
    """The camera of a configuration, open; raises CameraError."""
    if config.driver == "v4l2":
        from expo_ft_ros.devices.cameras.v4l2 import V4l2Camera

        return V4l2Camera(config)
    from expo_ft_ros.devices.cameras.realsense import RealSenseCamera

    return RealSenseCamera(config)


class Capture:
    """One camera and its thread.

    Attributes:
        failure: Why it ended: it could not be used as configured from the beginning, or a fault
            of ours; None while it goes on.
    """

    def __init__(
        self,
        name: str,
        config: CameraConfig,
        deliver: Callable[[Frame, Lens | None], None],
        opens: Callable[[CameraConfig], Camera] = open_camera,
    ) -> None:
        """Begins with `start`.

        Args:
            name: Of the camera, for errors.
            config: The camera.
            deliver: Called with each image, in the thread.
            opens: Opens it.
        """
        self.failure: Exception | None = None
        self._name, self._config = name, config
        self._deliver, self._open = deliver, opens
        self._locks = Locks(config)
        self._lost = ""
        self._heard: float | None = None
        self._wait = _SOON
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"camera {name}", daemon=True)

    def start(self) -> None:
        """Begins to read; again without effect."""
        if self._thread.ident is None:
            self._thread.start()

    def close(self) -> None:
        """Ends it; returns once the camera is given back."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()

    @property
    def has_begun(self) -> bool:
        """Whether there was an image."""
        return self._heard is not None

    @property
    def trouble(self) -> str:
        """Why there are no images now; empty where there are, or none was expected yet."""
        if self._lost or self._heard is None:
            return self._lost
        is_silent = time.monotonic() - self._heard > SILENCE
        return f"camera {self._name} ({self._config.device}): no image" if is_silent else ""

    @property
    def settled(self) -> Mapping[str, float]:
        """Control -> what it has settled to, and is locked to."""
        return {name: v for values in self._locks.settled.values() for name, v in values.items()}

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                self._read()
            except CameraError as error:
                told = f"camera {self._name} ({self._config.device}): {error}"
                if self._heard is None:
                    self.failure = CameraError(told)
                    return
                self._lost = told
            except Exception as error:  # noqa: BLE001 (the node raises it)
                self.failure = error
                return
            self._stopped.wait(self._wait)
            self._wait = min(2 * self._wait, _LATEST)

    def _read(self) -> None:
        """Opens the camera and delivers its images until it is lost, or we are stopped."""
        with contextlib.closing(self._open(self._config)) as camera:
            if self._locks.begin(camera):
                self._let_settle(camera)
            while not self._stopped.is_set():
                frame = camera.read()
                self._deliver(frame, camera.lens)
                self._heard, self._lost, self._wait = time.monotonic(), "", _SOON

    def _let_settle(self, camera: Camera) -> None:
        """Its images are looked at by its own control only."""
        end = time.monotonic() + self._config.settle
        while not self._stopped.is_set():
            camera.read()
            if time.monotonic() > end:
                self._locks.settle(camera)
                return

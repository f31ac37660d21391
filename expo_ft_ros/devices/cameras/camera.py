# SPDX-License-Identifier: Apache-2.0
"""What a camera is to those who read it, whatever library speaks to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from expo_ft_ros.data.types import ImageArray

SILENCE = 1.0
"""Without an image for so long a camera is lost [s]; the arm stands much earlier."""


_SAME_CLOCK = 600.0
"""Of another clock is a stamp that is older [s]: images don't wait in a driver for so long."""


class CameraError(Exception):
    """A camera that isn't there, is gone, or refuses what it was asked; str() has the remedy."""


@dataclass(frozen=True)
class Frame:
    """One image.

    Attributes:
        image: (h, w, 3) uint8 RGB; it may be the camera's own memory until the next is read.
        time_ns: When it was captured, by the system's clock [ns].
    """

    image: ImageArray
    time_ns: int


@dataclass(frozen=True)
class Lens:
    """A camera's calibration, as its device has it.

    Attributes:
        focal: x, y [px].
        centre: Principal point x, y [px].
        distortion: (5,) k1, k2, p1, p2, k3.
    """

    focal: tuple[float, float]
    centre: tuple[float, float]
    distortion: tuple[float, ...]


@dataclass(frozen=True)
class Automatic:
    """What a device controls by itself, unless it is told not to.

    Attributes:
        switch: The control that says who does.
        off: Its value where we do.
        on: Its value where the device does.
        drives: The controls that are set then; the first is the one that a file gives.
    """

    switch: str
    off: float
    on: float
    drives: tuple[str, ...]


class Camera(Protocol):
    """An open camera. Each method raises CameraError."""

    @property
    def automatics(self) -> Mapping[str, Automatic]:
        """By field of CameraConfig: exposure, white_balance."""

    @property
    def lens(self) -> Lens | None:
        """Its calibration; None where the device has none."""

    def read(self) -> Frame:
        """The next image; waits for it, SILENCE at most."""

    def get(self, control: str) -> float | None:
        """A control's value; None for one that the device hasn't, or doesn't tell."""

    def set(self, control: str, value: float) -> None:
        """Sets a control; the device may take another value, which `get` tells."""

    def close(self) -> None:
        """Gives the device back."""


def plausible_time(captured_ns: int, now_ns: int) -> int:
    """When an image was captured [ns]: what its device says of it, where its clock can be ours,
    else now. An old image stays one."""
    return captured_ns if 0 <= now_ns - captured_ns <= _SAME_CLOCK * 1e9 else now_ns

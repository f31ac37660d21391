# SPDX-License-Identifier: Apache-2.0
"""The expert's SpaceMouse: what the expert wants, as readings of the device."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from expo_ft_ros.devices.teleop import TeleopConfig
from expo_ft_ros.tasks.expert import Gripper, OperatorCommand


@dataclass(frozen=True)
class DeviceInput:
    """What the device says next. readings: (6,) as `TeleopMapper.update` takes them, None for
    silence; presses: states of its buttons, one after the other."""

    readings: NDArray[np.float64] | None
    presses: tuple[tuple[int, ...], ...] = ()


class SpaceMouseEmulator:
    """Silent while idle, as the real device is; a button is pressed once for each wish."""

    def __init__(self, device: TeleopConfig) -> None:
        self._device = device
        self._moving = False
        self._wanted: Gripper | None = None

    def move(self, command: OperatorCommand) -> DeviceInput:
        """The gesture that means `command`."""
        readings = None
        if command.active:
            readings = device_readings(command.twist, self._device)
        elif self._moving:
            readings = np.zeros(6)
        wanted = command.gripper if command.active else None
        pressed = wanted if wanted != self._wanted else None
        self._wanted, self._moving = wanted, command.active
        return DeviceInput(readings, () if pressed is None else self._press(pressed))

    def _press(self, gripper: Gripper) -> tuple[tuple[int, ...], ...]:
        """Presses and lets go: the mapper answers to the edge."""
        config = self._device
        released = [0] * (max(config.close_button, config.open_button) + 1)
        pressed = list(released)
        pressed[config.close_button if gripper == "close" else config.open_button] = 1
        return tuple(pressed), tuple(released)


def device_readings(twist: NDArray[np.float64], device: TeleopConfig) -> NDArray[np.float64]:
    """(6,) readings of the device that the mapper turns back into `twist` (6,) in [-1, 1]."""
    size = np.abs(twist)
    pushed = np.sign(twist) * np.where(
        size > 0, device.dead_zone + size * (1.0 - device.dead_zone), 0.0
    )
    readings = np.zeros(6)
    readings[list(device.axes)] = pushed * np.array(device.signs) * device.full_scale
    return readings

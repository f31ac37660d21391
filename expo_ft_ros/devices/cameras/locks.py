# SPDX-License-Identifier: Apache-2.0
"""Exposure and white balance that stay: a policy sees what it was trained on."""

from __future__ import annotations

from collections.abc import Mapping

from expo_ft_ros.devices.cameras.camera import Automatic, Camera, CameraError
from expo_ft_ros.devices.cameras.config import AUTO, SETTLED, CameraConfig


class Locks:
    """What one camera's controls are locked to; what has settled once holds when it is back.

    Attributes:
        settled: Field of CameraConfig -> control -> value.
    """

    def __init__(self, config: CameraConfig) -> None:
        self._config = config
        self.settled: dict[str, dict[str, float]] = {}

    def begin(self, camera: Camera) -> bool:
        """Locks what is known of a camera that was just opened.

        Returns:
            Whether anything is still to settle.

        Raises:
            CameraError: names control, value and remedy.
        """
        waits = False
        for field, automatic in camera.automatics.items():
            wanted = getattr(self._config, field)
            if isinstance(wanted, float):
                self._lock(camera, automatic, {automatic.drives[0]: wanted})
            elif field in self.settled:
                self._lock(camera, automatic, self.settled[field])
            else:
                self._release(camera, field, automatic)
                waits |= wanted == SETTLED
        self._set_others(camera)
        return waits

    def settle(self, camera: Camera) -> None:
        """Locks the rest to what the device has come to; raises CameraError as `begin`."""
        for field, automatic in camera.automatics.items():
            if getattr(self._config, field) != SETTLED or field in self.settled:
                continue
            first = automatic.drives[0]
            values = {name: camera.get(name) for name in automatic.drives}
            if values[first] is None:
                raise CameraError(f"{first}: the device doesn't tell it (write a number: {field})")
            told = {name: value for name, value in values.items() if value is not None}
            self._lock(camera, automatic, told)
            self.settled[field] = told
        self._set_others(camera)

    def _release(self, camera: Camera, field: str, automatic: Automatic) -> None:
        state = camera.get(automatic.switch)
        if state is None and getattr(self._config, field) != AUTO:
            raise CameraError(
                f"{automatic.switch}: the device has no such control (write {field}: {AUTO})"
            )
        if state == automatic.off:
            camera.set(automatic.switch, automatic.on)

    def _lock(self, camera: Camera, automatic: Automatic, values: Mapping[str, float]) -> None:
        _set_exactly(camera, automatic.switch, automatic.off)
        for name, value in values.items():
            _set_exactly(camera, name, value)

    def _set_others(self, camera: Camera) -> None:
        for name, value in self._config.controls.items():
            _set_exactly(camera, name, value)


def _set_exactly(camera: Camera, name: str, value: float) -> None:
    camera.set(name, value)
    taken = camera.get(name)
    if taken is None or abs(taken - value) > 0.5:  # most devices know whole numbers only
        instead = "nothing" if taken is None else f"{taken:g}"
        raise CameraError(f"{name}: the device has taken {instead} for {value:g} (write another)")

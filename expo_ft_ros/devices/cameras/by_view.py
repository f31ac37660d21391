# SPDX-License-Identifier: Apache-2.0
"""Which camera is for which of a robot's views: the option camera_drivers."""

from __future__ import annotations

from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.data.crop import crop_of
from expo_ft_ros.devices.cameras.config import CAMERAS, CameraConfig, load_camera
from expo_ft_ros.robots import RobotConfig
from expo_ft_ros.robots.by_view import by_view


def with_whole_paths(text: str) -> str:
    """`side=a.yaml,...` in words that hold in any folder; raises ConfigError as `NamedFiles`."""
    parts = [part.partition("=") for part in filter(None, text.split(","))]
    return ",".join(f"{view}{sign}{file and CAMERAS.reference(file)}" for view, sign, file in parts)


def cameras_of(text: str, robot: RobotConfig) -> dict[str, CameraConfig]:
    """View -> its camera.

    Args:
        text: `side=<file>,wrist=<file>`: names in config/cameras/, or paths.
        robot: Whose views they are.

    Raises:
        ConfigError: for what can't be read, a camera of two views, and one that doesn't give what
            the robot's file says of the view.
    """
    option = f"camera_drivers:={text}"
    files = by_view(option, robot.name, robot.view_names, "<file>", ".+")
    found: dict[str, CameraConfig] = {}
    for view in robot.views:
        if view.name not in files:
            continue
        file = files[view.name]
        try:
            camera = load_camera(file)
            if camera.rate < view.rate:
                raise ConfigError(
                    f"rate: {camera.rate} Hz is less than the {view.rate:g} Hz of the view in "
                    f"{robot.name}.yaml (raise it, or lower that)"
                )
            crop_of(view.crop, camera.width, camera.height)
        except ValueError as error:
            raise ConfigError(f"camera_drivers:={view.name}={file}: {error}") from None
        if camera.device in [other.device for other in found.values()]:
            raise ConfigError(f"{option}: {camera.device} would be two views (each its own camera)")
        found[view.name] = camera
    return found

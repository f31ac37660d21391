# SPDX-License-Identifier: Apache-2.0
"""Drivers of cameras and SpaceMouse, and where cameras are mounted, as data. Standard library only:
see `drivers`."""

import math
import re
from collections.abc import Mapping
from typing import Any

from expo_ft_ros.bringup.driver import Driver, is_true
from expo_ft_ros.bringup.launch_plan import LaunchError

_REALSENSE = re.compile(r"/([a-z0-9_]+)/([a-z0-9_]+)/color/image_raw")


def cameras(robot: Mapping[str, Any], text: str) -> list[Driver]:
    """realsense2_camera for each view that is named.

    Args:
        robot: See `drivers.drivers_of`.
        text: `view=serial`, with commas between.

    Raises:
        LaunchError: for what can't be read, a view that the robot hasn't, and a view or a camera
            that is named twice.
    """
    found, named = [], set[str]()
    for part in filter(None, text.split(",")):
        view, separator, serial = part.partition("=")
        if not (separator and serial.strip().isalnum()):
            raise LaunchError(f"expo-ft: cameras:={text}: {part!r} is not view=serial")
        if view.strip() not in robot["views"]:
            known = ", ".join(robot["views"])
            raise LaunchError(f"expo-ft: cameras:={text}: no view {view.strip()!r} (has: {known})")
        for what in (view.strip(), serial.strip()):
            if what in named:
                raise LaunchError(f"expo-ft: cameras:={text}: {what} is named twice")
            named.add(what)
        topic = robot["views"][view.strip()]
        match = _REALSENSE.fullmatch(topic)
        if match is None:
            raise LaunchError(
                f"expo-ft: cameras:={text}: view {view.strip()} is on {topic}, which is not "
                "/<namespace>/<camera>/color/image_raw (write that in the robot's file)"
            )
        arguments = (
            ("camera_namespace", match[1]),
            ("camera_name", match[2]),
            # Without the underscore launch takes it for a number.
            ("serial_no", f"_{serial.strip()}"),
            ("rgb_camera.color_profile", "640x480x30"),
            ("enable_depth", "false"),
        )
        found.append(Driver("realsense2_camera", file="rs_launch.py", arguments=arguments))
    return found


def require_one_reader(cameras: str, camera_drivers: str) -> None:
    """Raises LaunchError for a view whose camera both would read. cameras: as in `cameras`;
    camera_drivers: the graph's own argument."""
    started, own = (
        {part.partition("=")[0].strip() for part in text.split(",") if part}
        for text in (cameras, camera_drivers)
    )
    for view in sorted(started & own):
        raise LaunchError(
            f"expo-ft: cameras:={cameras}: camera_drivers:= names {view}, too (one of them reads "
            "its camera)"
        )


def spacenav(text: str) -> list[Driver]:
    """spacenav_node, where it is asked for."""
    wanted = is_true("spacenav_driver", text)
    return [Driver("spacenav", executable="spacenav_node")] if wanted else []


def transforms(text: str) -> list[Driver]:
    """A static_transform_publisher for each, `x y z qx qy qz qw parent child`, with semicolons.

    Raises:
        LaunchError: for what can't be read.
    """
    found = []
    for part in filter(str.strip, text.split(";")):
        words = part.split()
        try:
            numbers = [float(word) for word in words[:7]]
        except ValueError:
            numbers = []
        if len(words) != 9 or len(numbers) != 7 or not all(map(math.isfinite, numbers)):
            raise LaunchError(
                f"expo-ft: static_transforms: {part.strip()!r} is not `x y z qx qy qz qw parent "
                "child`"
            )
        names = ("--x", "--y", "--z", "--qx", "--qy", "--qz", "--qw", "--frame-id")
        named = zip((*names, "--child-frame-id"), words, strict=True)
        pairs = tuple(word for pair in named for word in pair)
        found.append(Driver("tf2_ros", executable="static_transform_publisher", words=pairs))
    return found

# SPDX-License-Identifier: Apache-2.0
"""Stubs of the packages that launch files include: each writes down what it was started with."""

from __future__ import annotations

import json
from pathlib import Path

_LAUNCH_FILES = {
    "franka_bringup": (
        "franka.launch.py",
        ("robot_type", "robot_ip", "load_gripper", "namespace", "joint_state_rate"),
    ),
    "realsense2_camera": (
        "rs_launch.py",
        ("camera_namespace", "camera_name", "serial_no", "rgb_camera.color_profile"),
    ),
}
_EXECUTABLES = {
    "controller_manager": "spawner",
    "spacenav": "spacenav_node",
    "tf2_ros": "static_transform_publisher",
}
_LAUNCH = """\
import json, os, tempfile
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
NAMES = {names}
def write(context):
    found = {{name: context.launch_configurations[name] for name in NAMES}}
    handle, _ = tempfile.mkstemp(suffix=".json", prefix="{package}-", dir="{folder}")
    with os.fdopen(handle, "w") as stream:
        json.dump(found, stream)
def generate_launch_description():
    declared = [DeclareLaunchArgument(name, default_value="") for name in NAMES]
    return LaunchDescription([*declared, OpaqueFunction(function=write)])
"""
_PROGRAM = """\
#!/bin/sh
exec printf '%s\\n' "$*" > "$(mktemp "{folder}/{package}-XXXXXX.words")"
"""


class DriverPackages:
    """A prefix with the stubs; `started` says what they were started with."""

    def __init__(self, folder: Path) -> None:
        self.prefix, self._said = folder / "drivers", folder / "said"
        self._said.mkdir()
        for package, (file, names) in _LAUNCH_FILES.items():
            path = self._share(package) / "launch" / file
            path.parent.mkdir()
            text = _LAUNCH.format(names=names, package=package, folder=self._said)
            path.write_text(text)
        for package, name in _EXECUTABLES.items():
            self._share(package)
            program = self.prefix / "lib" / package / name
            program.parent.mkdir(parents=True)
            program.write_text(_PROGRAM.format(package=package, folder=self._said))
            program.chmod(0o755)

    def started(self, package: str) -> list[dict[str, str] | str]:
        """Arguments of each start so far: a dictionary of a launch file's, or the words."""
        paths = sorted(self._said.glob(f"{package}-*"))
        texts = {path: path.read_text() for path in paths}
        return [
            json.loads(text) if path.suffix == ".json" else text.strip()
            for path, text in texts.items()
            if text
        ]

    def _share(self, package: str) -> Path:
        mark = self.prefix / "share" / "ament_index" / "resource_index" / "packages" / package
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.touch()
        (self.prefix / "share" / package).mkdir(parents=True, exist_ok=True)
        return self.prefix / "share" / package

# SPDX-License-Identifier: Apache-2.0
"""What `ros2 launch` starts beside the graph where it is asked to: drivers of arm, cameras and
SpaceMouse, as data. `ros2` runs in the distribution's Python: the standard library only."""

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from expo_ft_ros.bringup.launch_plan import LaunchError

ARGUMENTS = (
    (
        "controllers_yaml",
        "",
        "With robot_ip: parameters of controllers in place of franka_bringup's.",
    ),
    (
        "controller",
        "",
        "With robot_ip: the controller to activate; by default "
        "cartesian_impedance_example_controller (robot:=franka_ros2), "
        "cartesian_impedance_controller (crisp), fr3_arm_controller (servo).",
    ),
    (
        "cameras",
        "",
        "Serial numbers of RealSense cameras by view, as side=123,wrist=456: realsense2_camera is "
        "started for each.",
    ),
    ("spacenav_driver", "false", "true: spacenav_node is started."),
    (
        "static_transforms",
        "",
        "Where cameras are mounted, each as `x y z qx qy qz qw parent child` [m], separated by "
        "semicolons: a static_transform_publisher is started for each.",
    ),
)
"""Name, default and description of each; the local runner doesn't have them. The arm's driver is
started for the graph's own argument ROBOT_IP."""

ROBOT_IP = "robot_ip"

_CONTROLLERS = {
    "franka_ros2": "cartesian_impedance_example_controller",
    "crisp": "cartesian_impedance_controller",
    "servo": "fr3_arm_controller",
}
_FRANKA = "https://github.com/frankarobotics/franka_ros2, branch jazzy"
_SOURCES = {"franka_bringup": _FRANKA}
_REALSENSE = re.compile(r"/([a-z0-9_]+)/([a-z0-9_]+)/color/image_raw")


@dataclass(frozen=True)
class Driver:
    """A launch file to include, or an executable to start.

    Attributes:
        package: Where it is.
        file: The launch file; "" for an executable.
        executable: Its name; "" for a launch file.
        arguments: Of the launch file, name and value.
        words: Of the executable's command line.
    """

    package: str
    file: str = ""
    executable: str = ""
    arguments: tuple[tuple[str, str], ...] = ()
    words: tuple[str, ...] = ()


def packages_of(section: str, given: Mapping[str, str]) -> tuple[str, ...]:
    """Packages that the arguments need, in order.

    Args:
        section: Of the robot, see `drivers_of`; before that is known the robot's name, which of the
            shipped files is the same.
        given: Value of ROBOT_IP and of each of ARGUMENTS.
    """
    needed = []
    if given[ROBOT_IP] and section in _CONTROLLERS:
        needed += ["franka_bringup", "controller_manager"]
    if given["cameras"]:
        needed.append("realsense2_camera")
    if _is_true("spacenav_driver", given["spacenav_driver"]):
        needed.append("spacenav")
    if given["static_transforms"]:
        needed.append("tf2_ros")
    return tuple(needed)


def require_packages(packages: Sequence[str], is_there: Callable[[str], bool]) -> None:
    """Checks that they are installed.

    Args:
        packages: Their names.
        is_there: Whether one is.

    Raises:
        LaunchError: for the first that isn't, with where it is had from.
    """
    for package in packages:
        if not is_there(package):
            distribution = os.environ.get("ROS_DISTRO", "<distro>")
            apt = f"apt install ros-{distribution}-{package.replace('_', '-')}"
            raise LaunchError(
                f"expo-ft: {package} is not installed ({_SOURCES.get(package, apt)}; then source "
                "its workspace)"
            )


def drivers_of(robot: Mapping[str, Any], given: Mapping[str, str]) -> list[Driver]:
    """What is started beside the graph.

    Args:
        robot: As `handover` tells it: name, section, namespace of its driver, topic of each view.
        given: Value of ROBOT_IP and of each of ARGUMENTS.

    Raises:
        LaunchError: for an argument that the robot has no use for, or that can't be read.
    """
    return [
        *_arm(robot, given),
        *_cameras(robot, given["cameras"]),
        *_spacenav(given["spacenav_driver"]),
        *_transforms(given["static_transforms"]),
    ]


def _arm(robot: Mapping[str, Any], given: Mapping[str, str]) -> list[Driver]:
    needless = [name for name in ("controllers_yaml", "controller") if given[name]]
    section, namespace = robot["section"], robot["namespace"]
    if not given[ROBOT_IP] or section not in _CONTROLLERS:
        if needless:
            raise LaunchError(
                f"expo-ft: {needless[0]}:= needs robot_ip:= and a robot whose driver is started "
                f"here ({', '.join(_CONTROLLERS)}), not robot:={robot['name']}"
            )
        return []
    arguments = {
        "robot_type": "fr3",
        "robot_ip": given[ROBOT_IP],
        "load_gripper": "true",
        "namespace": namespace,
        "joint_state_rate": "100",
    }
    if given["controllers_yaml"]:
        arguments["controllers_yaml"] = given["controllers_yaml"]
    controller = given["controller"] or _CONTROLLERS[section]
    manager = f"/{namespace}/controller_manager" if namespace else "/controller_manager"
    return [
        Driver("franka_bringup", file="franka.launch.py", arguments=tuple(arguments.items())),
        Driver(
            "controller_manager",
            executable="spawner",
            words=(controller, "-c", manager, "--controller-manager-timeout", "60"),
        ),
    ]


def _cameras(robot: Mapping[str, Any], text: str) -> list[Driver]:
    found = []
    for part in filter(None, text.split(",")):
        view, separator, serial = part.partition("=")
        if not (separator and serial.strip().isalnum()):
            raise LaunchError(f"expo-ft: cameras:={text}: {part!r} is not view=serial")
        if view.strip() not in robot["views"]:
            known = ", ".join(robot["views"])
            raise LaunchError(f"expo-ft: cameras:={text}: no view {view.strip()!r} (has: {known})")
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


def _spacenav(text: str) -> list[Driver]:
    wanted = _is_true("spacenav_driver", text)
    return [Driver("spacenav", executable="spacenav_node")] if wanted else []


def _transforms(text: str) -> list[Driver]:
    found = []
    for part in filter(str.strip, text.split(";")):
        words = part.split()
        try:
            numbers = [float(word) for word in words[:7]]
        except ValueError:
            numbers = []
        if len(words) != 9 or len(numbers) != 7:
            raise LaunchError(
                f"expo-ft: static_transforms: {part.strip()!r} is not `x y z qx qy qz qw parent "
                "child`"
            )
        names = ("--x", "--y", "--z", "--qx", "--qy", "--qz", "--qw", "--frame-id")
        named = zip((*names, "--child-frame-id"), words, strict=True)
        pairs = tuple(word for pair in named for word in pair)
        found.append(Driver("tf2_ros", executable="static_transform_publisher", words=pairs))
    return found


def _is_true(name: str, text: str) -> bool:
    if text not in ("true", "false"):
        raise LaunchError(f"expo-ft: {name}:={text}: is neither true nor false")
    return text == "true"

# SPDX-License-Identifier: Apache-2.0
"""What `ros2 launch` starts beside the graph where it is asked to: drivers of arm, cameras and
SpaceMouse, as data. `ros2` runs in the distribution's Python: the standard library only."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from expo_ft_ros.bringup import sensor_drivers
from expo_ft_ros.bringup.driver import Driver, is_true
from expo_ft_ros.bringup.launch_plan import LaunchError, LaunchPlan, open_plan, robot_named

ARGUMENTS = (
    (
        "controllers_yaml",
        "",
        "With robot_ip: parameters of controllers in place of franka_bringup's; needed where those "
        "don't have the robot's controller (robot:=crisp, servo).",
    ),
    (
        "controller",
        "",
        "With robot_ip: the controller to start, in place of the one that the robot's file names.",
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

_FRANKA = "https://github.com/frankarobotics/franka_ros2, branch jazzy"
_SOURCES = {"franka_bringup": _FRANKA}


def open_beside(
    command: str,
    given: Mapping[str, str],
    beside: Mapping[str, str],
    robot: str,
    is_there: Callable[[str], bool],
) -> tuple[LaunchPlan, list[Driver]]:
    """Opens a run, and says which drivers are started beside it. Drivers are checked first, so that
    a refusal leaves no folder behind; a run that goes on has one already, and names its robot.

    Args:
        command: One of `commands.GRAPH_COMMANDS`.
        given: The graph's own arguments, name and value, without defaults.
        beside: Value of ROBOT_IP and of each of ARGUMENTS.
        robot: Value of the argument robot.
        is_there: Whether a package is installed.

    Raises:
        LaunchError: with the line that says what is wrong.
    """
    sensor_drivers.require_one_reader(beside["cameras"], given.get("camera_drivers", ""))
    defaults = {name: default for name, default, _ in ARGUMENTS}
    asked = any(value != defaults.get(name, "") for name, value in beside.items())
    if asked and "resume" not in given:
        check_drivers(robot_named(robot), beside, is_there)
    plan = open_plan(command, [f"{name}:={value}" for name, value in given.items()])
    if plan.run is None:
        return plan, []
    return plan, check_drivers(plan.robot, beside, is_there)


def check_drivers(
    robot: Mapping[str, Any], given: Mapping[str, str], is_there: Callable[[str], bool]
) -> list[Driver]:
    """The drivers of `drivers_of`, once their packages are there; raises LaunchError."""
    require_packages(packages_of(robot, given), is_there)
    return drivers_of(robot, given)


def packages_of(robot: Mapping[str, Any], given: Mapping[str, str]) -> tuple[str, ...]:
    """Packages that the arguments need, in order.

    Args:
        robot: See `drivers_of`.
        given: Value of ROBOT_IP and of each of ARGUMENTS.
    """
    needed = []
    if given[ROBOT_IP] and robot["controller"]:
        needed += ["franka_bringup", "controller_manager"]
    if given["cameras"]:
        needed.append("realsense2_camera")
    if is_true("spacenav_driver", given["spacenav_driver"]):
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
        robot: As `handover.describe_robot` gives it.
        given: Value of ROBOT_IP and of each of ARGUMENTS.

    Raises:
        LaunchError: for an argument that the robot has no use for, or that can't be read.
    """
    return [
        *_arm(robot, given),
        *sensor_drivers.cameras(robot, given["cameras"]),
        *sensor_drivers.spacenav(given["spacenav_driver"]),
        *sensor_drivers.transforms(given["static_transforms"]),
    ]


def notes_of(robot: Mapping[str, Any], given: Mapping[str, str]) -> list[str]:
    """What is left to a human, a line each. Arguments: see `drivers_of`."""
    if not given[ROBOT_IP] or not robot["controller"] or robot["activate"]:
        return []
    controller = given["controller"] or robot["controller"]
    return [
        f"expo-ft: {controller} is loaded, not active: as distributed it moves the arm by itself "
        "(docs/ros2_control.md). With the workspace clear and a hand on the robot's stop: ros2 "
        f"control switch_controllers -c {robot['manager']} --activate {controller}"
    ]


def _arm(robot: Mapping[str, Any], given: Mapping[str, str]) -> list[Driver]:
    needless = [name for name in ("controllers_yaml", "controller") if given[name]]
    if not given[ROBOT_IP] or not robot["controller"]:
        if needless:
            raise LaunchError(
                f"expo-ft: {needless[0]}:= needs robot_ip:= and a robot whose driver is started "
                f"here (franka_ros2, crisp, servo), not robot:={robot['name']}"
            )
        return []
    if not (robot["is_distributed"] or needless):
        raise LaunchError(
            f"expo-ft: robot:={robot['name']} with robot_ip:= needs controllers_yaml:=, since "
            f"franka_bringup's controllers.yaml has no {robot['controller']} (or name one that it "
            "has: controller:=; docs/ros2_control.md)"
        )
    arguments = {
        "robot_type": "fr3",
        "robot_ip": given[ROBOT_IP],
        "load_gripper": "true",
        "namespace": robot["namespace"],
        "joint_state_rate": "100",
    }
    if given["controllers_yaml"]:
        arguments["controllers_yaml"] = given["controllers_yaml"]
    controller = given["controller"] or robot["controller"]
    words = (controller, "-c", robot["manager"], "--controller-manager-timeout", "60")
    return [
        Driver("franka_bringup", file="franka.launch.py", arguments=tuple(arguments.items())),
        Driver(
            "controller_manager",
            executable="spawner",
            words=words if robot["activate"] else (*words, "--inactive"),
        ),
    ]

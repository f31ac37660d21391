# SPDX-License-Identifier: Apache-2.0
"""What comes of a robot's drivers, before a graph runs: who is there, how often each speaks, how
old its words are, what is lost.

No command is sent. Of a Franka's control box a connection is opened and closed, where no graph
runs.
"""

from __future__ import annotations

import importlib
import os
import socket
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from expo_ft_ros.control.safety_filter import SafetyConfig
from expo_ft_ros.devices.teleop import TeleopConfig
from expo_ft_ros.doctor.check import Check
from expo_ft_ros.doctor.stream import check_stream
from expo_ft_ros.experiment.arguments import make_options
from expo_ft_ros.experiment.environment import domain, require_environment, ros_environment
from expo_ft_ros.experiment.option_checks import camera_topics
from expo_ft_ros.experiment.options import SimOptions
from expo_ft_ros.graph.topics import topic
from expo_ft_ros.robots import RobotConfig, ViewConfig, load_robot
from expo_ft_ros.robots.config import EXTERNAL, SIM
from expo_ft_ros.robots.franka_mode import MOVE, fault_of, mode_in_words
from expo_ft_ros.robots.joint_group_config import JointGroupConfig
from expo_ft_ros.robots.ros2_control import (
    CartesianControllerConfig,
    FrankaRos2Config,
    ServoConfig,
)

if TYPE_CHECKING:
    from expo_ft_ros.ros.topic_survey import DriverTopic, Heard, Survey

OPTIONS = ("robot", "robot_ip", "namespace", "camera_topics")
"""Those of a run that say what is to be listened to."""

SECONDS = 10.0
"""For which drivers are listened to, by default."""

FCI_PORT = 1337
"""Of a Franka control box whose FCI is activated (libfranka)."""

_ON_A_ROBOT = {"realtime": "true", "scene_reset": "operator", "operator": "spacemouse"}
_RANGE = "ROS_AUTOMATIC_DISCOVERY_RANGE"
_OF_THE_MIDDLEWARE = (_RANGE, "FASTDDS_DEFAULT_PROFILES_FILE", "RMW_FASTRTPS_PUBLICATION_MODE")
_PYLIBFRANKA = ("pylibfranka", "pip install pylibfranka, see docs/real_robot.md")
_REACHED_WITHIN = 2.0  # [s]
_ADAPTER = {"pose": "robot/tcp_pose", "velocity": "robot/tcp_twist", "joints": "joint_states"}
"""What an adapter that somebody else starts gives: name of the check -> topic."""
_AXES = ("linear.x", "linear.y", "linear.z", "angular.x", "angular.y", "angular.z")
_MOUSE = "spacenav/twist"
_PUSHED = 1.05  # of a full push: no device says more
_CONTROL = "arbitration"  # the node that a running graph has


def checks(given: Mapping[str, str], seconds: float = SECONDS) -> Iterator[Check]:
    """Each as soon as it is known.

    Args:
        given: Those of `OPTIONS` that were typed, as a run takes them; robot among them.
        seconds: How long the drivers are listened to.

    Raises:
        ConfigError: for what a run would refuse, too.
    """
    robot = load_robot(given["robot"])
    if robot.adapter == SIM:
        yield Check("robot", "ok", f"{robot.name} is simulated: it has no drivers")
        return
    options = make_options({**_ON_A_ROBOT, **given}, SimOptions)
    topics = camera_topics(options)
    views = tuple(
        view.model_copy(update={"topic": topics.get(view.name, view.topic)}) for view in robot.views
    )
    robot = robot.model_copy(update={"views": views})
    require_environment()
    yield from _packages(robot)
    with tempfile.TemporaryDirectory() as folder:
        found = ros_environment(Path(folder))
    # Drivers are heard as the graph will hear them.
    os.environ.update({name: found[name] for name in _OF_THE_MIDDLEWARE if name in found})
    text = f"are listened to for {seconds:g} s; push each axis of the device both ways now"
    yield Check("drivers", "ok", text)
    from expo_ft_ros.ros.topic_survey import listen

    survey = listen(list(expected(robot)), asked(robot), options.namespace, seconds)
    if robot.fci is not None and not _graphs(survey):
        yield check_reach(options.robot_ip or robot.fci.address, FCI_PORT)
    yield from judge(robot, survey)


def expected(robot: RobotConfig) -> Iterator[DriverTopic]:
    """The topics that its drivers give."""
    from expo_ft_ros.ros.topic_survey import DriverTopic

    config = robot.controller
    if config is not None:
        if isinstance(config, CartesianControllerConfig):
            yield DriverTopic(config.pose, "geometry_msgs/PoseStamped")
        for joints in dict.fromkeys((config.joints, config.fingers)):
            yield DriverTopic(joints, "sensor_msgs/JointState")
    elif robot.adapter == EXTERNAL:
        for name in _ADAPTER.values():
            yield DriverTopic(name, topic(name).type)
    if isinstance(config, FrankaRos2Config) and _is_there(config.packages[0][0]):
        yield DriverTopic(config.robot_state, f"{config.packages[0][0]}/FrankaRobotState")
    for view in robot.views:
        yield _images(view)
        yield DriverTopic(view.info_topic, "sensor_msgs/CameraInfo")
    yield DriverTopic(_MOUSE, topic(_MOUSE).type, stamped=False, kept=True)


def asked(robot: RobotConfig) -> list[str]:
    """Topics of which is asked who publishes and who listens there."""
    return [] if robot.controller is None else [robot.controller.target]


def judge(robot: RobotConfig, found: Survey) -> Iterator[Check]:
    """What a survey of `expected` and `asked` says of a robot."""
    yield _discovery(found)
    deadlines = SafetyConfig.load().deadlines
    old, config, at = deadlines["proprio"], robot.controller, found.topics
    if config is not None:
        told = ("pose", "joints") if isinstance(config, CartesianControllerConfig) else ("joints",)
        for name in told:
            yield check_stream(
                name, at[getattr(config, name)], getattr(config, name), robot.state_rate, old
            )
        if config.fingers != config.joints:
            late = config.fingers_timeout
            yield check_stream("fingers", at[config.fingers], config.fingers, 1 / late, late)
        if isinstance(config, FrankaRos2Config) and config.robot_state in at:
            yield _mode(config.robot_state, at[config.robot_state], robot.state_rate, old)
        yield _target(config.target, found)
        yield from _offers(robot, found)
    elif robot.adapter == EXTERNAL:
        for name, place in _ADAPTER.items():
            yield check_stream(name, at[place], place, robot.state_rate, old)
    elif robot.fci is None:
        remedy = "start a run with motion:=off, and look at /diagnostics"
        yield Check("arm", "missing", f"what drives {robot.adapter} isn't known here", remedy)
    for view in robot.views:
        place = _images(view).name
        late = deadlines["cameras"]
        yield check_stream(f"{view.name} view", at[place], place, view.rate, late)
        yield _lens(view, at[view.info_topic])
    yield _device(at[_MOUSE])


def check_reach(address: str, port: int) -> Check:
    """Whether something answers there. The connection is closed at once."""
    try:
        socket.create_connection((address, port), _REACHED_WITHIN).close()
    except OSError as error:
        remedy = "cable, address (robot_ip:=), FCI activated in Desk"
        return Check("arm", "fail", f"{address}, port {port}: {error}", remedy)
    return Check("arm", "ok", f"{address} answers at port {port}")


def _packages(robot: RobotConfig) -> Iterator[Check]:
    needed = robot.controller.packages if robot.controller is not None else ()
    for package, remedy in (_PYLIBFRANKA,) if robot.fci is not None else needed:
        there = _is_there(package)
        text = package if there else f"{package} can't be imported"
        yield Check("package", "ok" if there else "fail", text, "" if there else remedy)


def _is_there(package: str) -> bool:
    try:
        importlib.import_module(package)
    except ImportError:
        return False
    return True


def _images(view: ViewConfig) -> DriverTopic:
    from expo_ft_ros.ros.topic_survey import DriverTopic

    if view.transport == "compressed":
        return DriverTopic(f"{view.topic}/compressed", "sensor_msgs/CompressedImage")
    return DriverTopic(view.topic, "sensor_msgs/Image")


def _graphs(found: Survey) -> bool:
    """Whether a graph runs, in the same namespace."""
    return found.resolved(_CONTROL) in found.nodes


def _discovery(found: Survey) -> Check:
    reach = os.environ.get(_RANGE, "")
    text = f"domain {domain()}, range {reach}: {len(found.nodes)} nodes"
    if _graphs(found):
        remedy = "end it first: two would drive the arm"
        return Check("discovery", "fail", f"{text}, among them a running graph", remedy)
    if not found.nodes:
        remedy = (
            f"start the drivers, in this domain; where they run on another machine {_RANGE}=SUBNET"
        )
        return Check("discovery", "fail", text, remedy)
    shown = ", ".join(found.nodes[:6]) + (" ..." if len(found.nodes) > 6 else "")
    return Check("discovery", "ok", f"{text} ({shown})")


def _mode(place: str, heard: Heard, rate: float, old: float) -> Check:
    """Of a Franka: also whether it has stopped itself, and whether a controller moves it."""
    seen = check_stream("mode", heard, place, rate, old)
    if seen.status == "fail" or not heard.messages:
        return seen
    newest = heard.messages[-1]
    fault, mode = fault_of(newest), mode_in_words(newest.robot_mode)
    if fault:
        return Check("mode", "fail", f"{place}: {fault}", "see Desk; then recover it")
    if newest.robot_mode != MOVE:
        return Check("mode", "missing", f"{place}: {mode}", "activate the controller")
    return Check("mode", seen.status, f"{seen.text}; {mode}", seen.remedy)


def _target(place: str, found: Survey) -> Check:
    if found.writers[place]:
        words = f"{place}: {found.writers[place]} other(s) publish targets"
        return Check("controller", "fail", words, "end them: the adapter is to be alone there")
    if not found.listeners[place]:
        remedy = "load and activate the controller (docs/ros2_control.md)"
        return Check("controller", "fail", f"{place}: nobody listens", remedy)
    return Check("controller", "ok", f"{place}: listened to, nobody else commands")


def _offers(robot: RobotConfig, found: Survey) -> Iterator[Check]:
    """Actions and services that the adapter calls."""
    config = robot.controller
    if config is None:
        return
    gripper = config.gripper.name
    wanted = [f"{gripper}/move", f"{gripper}/grasp"]
    actions = wanted if config.gripper.kind == "franka" else [gripper]
    if isinstance(config, FrankaRos2Config):
        actions.append(config.recovery)
    services = [f"{config.node}/switch_command_type"] if isinstance(config, ServoConfig) else []
    if isinstance(config, JointGroupConfig):
        services.append(f"{config.controller}/get_parameters")
    for kind, names, offered in (
        ("action", actions, found.actions),
        ("service", services, found.services),
    ):
        for name in map(found.resolved, names):
            there = name in offered
            text = name if there else f"{name}: nobody offers it"
            yield Check(kind, "ok" if there else "fail", text, "" if there else "start its driver")


def _lens(view: ViewConfig, heard: Heard) -> Check:
    name = f"{view.name} lens"
    if len(heard.arrivals):
        return Check(name, "ok", view.info_topic)
    remedy = "without its calibration no paths are drawn on this view's picture"
    return Check(name, "missing", f"{view.info_topic}: nothing came", remedy)


def _device(heard: Heard) -> Check:
    """How far each axis of the SpaceMouse was pushed, each way, as a share of a full push."""
    name = "device"
    if not heard.publishers:
        remedy = "start spacenav_node; or spacemouse:=libspnav, or another operator:="
        return Check(name, "missing", f"nobody publishes {_MOUSE}", remedy)
    full = TeleopConfig.load().full_scale
    readings = [[_axis(message, axis) / full for axis in _AXES] for message in heard.messages]
    if not readings:
        remedy = "push each axis of it both ways while this listens"
        return Check(name, "missing", f"{_MOUSE}: it rested", remedy)
    low, high = np.min(readings, axis=0), np.max(readings, axis=0)
    said = [
        f"{axis} {least:+.2f} to {most:+.2f}"
        for axis, least, most in zip(_AXES, low, high, strict=True)
        if least or most
    ]
    text = f"{len(readings)} readings, of a full push: {', '.join(said) or 'all at rest'}"
    if max(-float(low.min()), float(high.max())) > _PUSHED:
        remedy = "set full_scale of config/teleop.yaml to the largest reading"
        return Check(name, "missing", text, remedy)
    return Check(name, "ok", text)


def _axis(message: Any, name: str) -> float:
    part, axis = name.split(".")
    return float(getattr(getattr(message, part), axis))

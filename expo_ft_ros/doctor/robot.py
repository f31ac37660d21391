# SPDX-License-Identifier: Apache-2.0
"""What comes of a robot's drivers, before a graph runs: who is there, how often each speaks, how
old its words are, what is lost.

Nothing is sent, so nothing can move.
"""

from __future__ import annotations

import importlib
import socket
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from expo_ft_ros.doctor.check import Check
from expo_ft_ros.robots import RobotConfig, ViewConfig, load_robot
from expo_ft_ros.robots.config import EXTERNAL, SIM
from expo_ft_ros.robots.ros2_control import FrankaRos2Config, ServoConfig

if TYPE_CHECKING:
    from expo_ft_ros.ros.topic_survey import Heard, Survey, Topic

SECONDS = 10.0
"""For which drivers are listened to, by default."""

FCI_PORT = 1337
"""Of a Franka control box whose FCI is activated (libfranka)."""

_PYLIBFRANKA = ("pylibfranka", "pip install pylibfranka, see docs/real_robot.md")
_REACHED_WITHIN = 2.0  # [s]
_ENOUGH = 0.8  # of the rate that the robot's file says
_OLD_IMAGE = 0.3  # [s]
_STATES = 50.0  # of an arm, that are enough [Hz]
_AHEAD = 0.01  # that the stamps of a machine whose clock is set may seem to be [s]
_LOSSES = 0.01  # share of messages that may be lost
_JUMP = 1.6  # periods between two stamps: one is missing
_AXES = ("linear.x", "linear.y", "linear.z", "angular.x", "angular.y", "angular.z")
_ADAPTER = {
    "pose": ("robot/tcp_pose", "geometry_msgs/PoseStamped"),
    "velocity": ("robot/tcp_twist", "geometry_msgs/TwistStamped"),
    "joints": ("joint_states", "sensor_msgs/JointState"),
}
"""What an adapter that somebody else starts gives: name of the check -> topic and type."""
_MOUSE, _BUTTONS = "spacenav/twist", "spacenav/joy"
_CONTROL = "arbitration"  # the node that a running graph has
_RANGE, _DOMAIN = "ROS_AUTOMATIC_DISCOVERY_RANGE", "ROS_DOMAIN_ID"


def checks(
    name: str,
    *,
    address: str = "",
    namespace: str = "",
    seconds: float = SECONDS,
    environment: Mapping[str, str],
) -> Iterator[Check]:
    """Each as soon as it is known.

    Args:
        name: Of the robot, or the path of its file.
        address: Of the arm; "": that of its file.
        namespace: That the run will have.
        seconds: How long the drivers are listened to.
        environment: In which ROS has its domain and discovery range.

    Raises:
        ConfigError: for an unknown robot, or a file that isn't valid.
    """
    robot = load_robot(name)
    if robot.adapter == SIM:
        yield Check("robot", "ok", f"{robot.name} is simulated: it has no drivers")
        return
    yield from _packages(robot)
    if robot.fci is not None:
        yield check_reach(address or robot.fci.address, FCI_PORT)
    try:
        from expo_ft_ros.ros.topic_survey import listen
    except ImportError as error:
        yield Check("drivers", "fail", f"can't be listened to: {error}", "mend ROS 2 first")
        return
    found = listen(list(expected(robot)), asked(robot), namespace, seconds)
    yield from judge(robot, found, environment)


def expected(robot: RobotConfig) -> Iterator[Topic]:
    """The topics that its drivers give."""
    from expo_ft_ros.ros.topic_survey import Topic

    if robot.controller is not None:
        yield Topic(robot.controller.pose, "geometry_msgs/PoseStamped")
        for joints in dict.fromkeys((robot.controller.joints, robot.controller.fingers)):
            yield Topic(joints, "sensor_msgs/JointState")
    elif robot.adapter == EXTERNAL:
        for topic, kind in _ADAPTER.values():
            yield Topic(topic, kind)
    for view in robot.views:
        yield _images(view)
        yield Topic(view.info_topic, "sensor_msgs/CameraInfo")
    yield Topic(_MOUSE, "geometry_msgs/Twist", stamped=False, kept=True)
    yield Topic(_BUTTONS, "sensor_msgs/Joy")


def asked(robot: RobotConfig) -> list[str]:
    """Topics of which is asked who publishes and who listens there."""
    return [] if robot.controller is None else [robot.controller.target]


def judge(robot: RobotConfig, found: Survey, environment: Mapping[str, str]) -> Iterator[Check]:
    """What a survey of `expected` and `asked` says of a robot."""
    yield _discovery(found, environment)
    old = robot.following.state_timeout
    if robot.controller is not None:
        at = found.topics
        for name in ("pose", "joints"):
            topic = getattr(robot.controller, name)
            yield check_stream(name, at[topic], topic, _STATES, old)
        if robot.controller.fingers != robot.controller.joints:
            fingers, late = robot.controller.fingers, robot.controller.fingers_timeout
            yield check_stream("fingers", at[fingers], fingers, 1.0 / late, late)
        yield _target(robot, found)
        yield from _offers(robot, found)
    elif robot.adapter == EXTERNAL:
        for name, (topic, _) in _ADAPTER.items():
            yield check_stream(name, found.topics[topic], topic, robot.state_rate, old)
    for view in robot.views:
        topic = _images(view).name
        yield check_stream(f"{view.name} view", found.topics[topic], topic, view.rate, _OLD_IMAGE)
        yield _lens(view, found.topics[view.info_topic])
    yield _mouse(found.topics[_MOUSE])


def check_stream(name: str, heard: Heard, topic: str, rate: float, old: float) -> Check:
    """A topic that has to come regularly.

    Args:
        name: Of the check.
        heard: What came.
        topic: Its name.
        rate: That is enough where four fifths of it come [Hz].
        old: Age at which a message is no use any more, in half of them [s].
    """
    if heard.types:
        kinds = ", ".join(heard.types)
        return Check(name, "fail", f"{topic} is published as {kinds}", "correct the robot's file")
    if heard.publishers > 1:
        words = f"{topic} has {heard.publishers} publishers"
        return Check(name, "fail", words, "end all but the robot's own driver")
    count = len(heard.arrivals)
    if count < 2:
        who = "nobody publishes it" if not heard.publishers else f"{count} messages came"
        remedy = "start its driver; correct the topic in the robot's file"
        return Check(name, "fail", f"{topic}: {who}", remedy)
    gaps, ages = np.diff(heard.arrivals), heard.arrivals - heard.stamps
    came = 1 / max(float(gaps.mean()), 1e-9)
    missing = lost(heard.stamps)
    text = (
        f"{topic}: {came:.0f} Hz, {1e3 * gaps.max():.0f} ms between two at most, "
        f"{1e3 * np.median(ages):.0f} ms old ({1e3 * ages.max():.0f} at most), "
        f"{missing} of {count + missing} lost"
    )
    if np.median(ages) < -_AHEAD:
        remedy = "its clock is ahead of this machine's: chrony or PTP on both"
        return Check(name, "fail", text, remedy)
    if np.median(ages) > old:
        remedy = f"older than {old:g} s: its driver is late, or its clock behind (chrony or PTP)"
        return Check(name, "fail", text, remedy)
    if came < _ENOUGH * rate:
        remedy = f"{rate:.0f} Hz are expected: the driver's rate, the USB port, the network"
        return Check(name, "fail", text, remedy)
    if missing > _LOSSES * (count + missing):
        return Check(name, "missing", text, "a busy machine or network: the arm stands meanwhile")
    return Check(name, "ok", text)


def lost(stamps: np.ndarray[Any, Any]) -> int:
    """How many messages are missing of a stream, by the stamps (n,) of those that came [s]."""
    gaps = np.diff(stamps)
    gaps = gaps[gaps > 0]
    if not len(gaps):
        return 0
    period = float(np.median(gaps))
    wide = gaps[gaps > _JUMP * period]
    return int(np.round(wide / period - 1).sum())


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
        try:
            importlib.import_module(package)
        except ImportError as error:
            yield Check("package", "fail", f"{package}: {error}", remedy)
        else:
            yield Check("package", "ok", package)


def _images(view: ViewConfig) -> Topic:
    from expo_ft_ros.ros.topic_survey import Topic

    if view.transport == "compressed":
        return Topic(f"{view.topic}/compressed", "sensor_msgs/CompressedImage")
    return Topic(view.topic, "sensor_msgs/Image")


def _discovery(found: Survey, environment: Mapping[str, str]) -> Check:
    reach, domain = environment.get(_RANGE, "SUBNET"), environment.get(_DOMAIN, "0")
    text = f"domain {domain}, range {reach}: {len(found.nodes)} nodes"
    if any(name.rsplit("/", 1)[-1] == _CONTROL for name in found.nodes):
        remedy = "end it first: two would drive the arm"
        return Check("discovery", "fail", f"{text}, among them a running graph", remedy)
    if not found.nodes:
        remedy = (
            f"start the drivers, in this domain; where they run on another machine {_RANGE}=SUBNET"
        )
        return Check("discovery", "fail", text, remedy)
    shown = ", ".join(found.nodes[:6]) + (" ..." if len(found.nodes) > 6 else "")
    return Check("discovery", "ok", f"{text} ({shown})")


def _target(robot: RobotConfig, found: Survey) -> Check:
    (topic,) = asked(robot)
    if found.writers[topic]:
        words = f"{topic}: {found.writers[topic]} other(s) publish targets"
        return Check("controller", "fail", words, "end them: the adapter is to be alone there")
    if not found.listeners[topic]:
        remedy = "load and activate the controller (docs/ros2_control.md)"
        return Check("controller", "fail", f"{topic}: nobody listens", remedy)
    return Check("controller", "ok", f"{topic}: listened to, nobody else commands")


def _offers(robot: RobotConfig, found: Survey) -> Iterator[Check]:
    """Actions and services that the adapter calls."""
    config = robot.controller
    if config is None:
        return
    gripper = config.gripper.name
    wanted = [f"{gripper}/move", f"{gripper}/grasp"]
    actions = [gripper] if config.gripper.kind == "command" else wanted
    if isinstance(config, FrankaRos2Config):
        actions.append(config.recovery)
    for action in actions:
        if f"/{action.lstrip('/')}" in found.actions:
            yield Check("action", "ok", action)
        else:
            yield Check("action", "fail", f"{action}: nobody offers it", "start its driver")
    if isinstance(config, ServoConfig):
        service = f"/{config.node.lstrip('/')}/switch_command_type"
        if service in found.services:
            yield Check("service", "ok", service)
        else:
            yield Check("service", "fail", f"{service}: nobody offers it", "start moveit_servo")


def _lens(view: ViewConfig, heard: Heard) -> Check:
    name = f"{view.name} lens"
    if len(heard.arrivals):
        return Check(name, "ok", view.info_topic)
    remedy = "without its calibration no paths are drawn on this view's picture"
    return Check(name, "missing", f"{view.info_topic}: nothing came", remedy)


def _mouse(heard: Heard) -> Check:
    """The axes that were pushed, each way."""
    name = "device"
    if not heard.publishers:
        remedy = "start spacenav_node; or spacemouse:=libspnav, or another operator:="
        return Check(name, "missing", f"nobody publishes {_MOUSE}", remedy)
    readings = [[_axis(message, axis) for axis in _AXES] for message in heard.messages]
    if not readings:
        remedy = "push each axis of it both ways while this listens"
        return Check(name, "missing", f"{_MOUSE}: it rested", remedy)
    low, high = np.min(readings, axis=0), np.max(readings, axis=0)
    said = [
        f"{axis} {least:+.2f} to {most:+.2f}"
        for axis, least, most in zip(_AXES, low, high, strict=True)
        if least or most
    ]
    text = f"{len(readings)} readings: {', '.join(said) or 'all at rest'}"
    if max(abs(low).max(), abs(high).max()) > 1.05:
        remedy = "set full_scale of config/teleop.yaml to the largest reading"
        return Check(name, "missing", text, remedy)
    return Check(name, "ok", text)


def _axis(message: Any, name: str) -> float:
    part, axis = name.split(".")
    return float(getattr(getattr(message, part), axis))

"""Every topic and service of the graph, with its type and quality of service: the one table.

Free of ROS: a node turns an entry into a publisher or subscription (`nodes/base.py`), tests and
documents read it. Names are relative, so that a namespace moves the whole graph, except for those
that ROS itself fixes (`/clock`, `/diagnostics`) and `/reset_episode`, which people call by hand.
"""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, TypeVar

Reliability = Literal["reliable", "best_effort"]
Durability = Literal["volatile", "transient_local"]

# Everything that belongs to a tick must arrive. 50 ticks are five seconds at 10 Hz.
TICK_DEPTH = 50


@dataclass(frozen=True)
class Topic:
    """One topic.

    Attributes:
        name: Name in the graph, before remapping.
        type: Message type, "package/Message".
        reliability: Whether a lost message is sent again.
        durability: `transient_local` hands the newest messages to a late subscriber.
        depth: Messages kept, on both sides.
        doc: Who sends it to whom, and what it means.
    """

    name: str
    type: str
    reliability: Reliability
    durability: Durability
    depth: int
    doc: str


@dataclass(frozen=True)
class Service:
    """One service: its name in the graph, its type "package/Service", and what it does."""

    name: str
    type: str
    doc: str


Entry = TypeVar("Entry", Topic, Service)


def _tick(name: str, type_: str, doc: str) -> Topic:
    """Part of a tick: reliable, and deep enough that nobody who is busy misses one."""
    return Topic(name, type_, "reliable", "volatile", TICK_DEPTH, doc)


def _latched(name: str, type_: str, doc: str, depth: int = 1) -> Topic:
    """A state: the newest is what counts, also for whoever comes late."""
    return Topic(name, type_, "reliable", "transient_local", depth, doc)


def _newest(name: str, type_: str, doc: str) -> Topic:
    """A command: it must arrive, and an older one must never wait in a queue."""
    return Topic(name, type_, "reliable", "volatile", 1, doc)


def _driver(name: str, type_: str, doc: str, depth: int) -> Topic:
    """From a driver: best effort, because a best-effort reader matches every driver."""
    return Topic(name, type_, "best_effort", "volatile", depth, doc)


def _table(*entries: Entry) -> Mapping[str, Entry]:
    return MappingProxyType({entry.name: entry for entry in entries})


_IMAGE = "sensor_msgs/Image"
_OWN = "expo_ft_ros"

TOPICS: Mapping[str, Topic] = _table(
    _newest("/clock", "rosgraph_msgs/Clock", "Simulated time, from sim to all with use_sim_time."),
    _driver("side_camera/image_raw", _IMAGE, "Side camera as its driver or sim gives it.", 1),
    _driver("wrist_camera/image_raw", _IMAGE, "Wrist camera as its driver or sim gives it.", 1),
    Topic(
        "camera/side/image_raw",
        _IMAGE,
        "reliable",
        "volatile",
        5,
        "Side image, rgb8 224x224, from camera to arbitration; stamp kept.",
    ),
    Topic(
        "camera/wrist/image_raw",
        _IMAGE,
        "reliable",
        "volatile",
        5,
        "Wrist image, rgb8 224x224, from camera to arbitration; stamp kept.",
    ),
    _driver(
        "joint_states",
        "sensor_msgs/JointState",
        "Arm joints [rad] and both fingers [m], from sim or driver to proprio.",
        10,
    ),
    _driver(
        "robot/tcp_pose",
        "geometry_msgs/PoseStamped",
        "Tool centre point in the base frame [m], from sim or driver to proprio.",
        10,
    ),
    _driver(
        "robot/tcp_twist",
        "geometry_msgs/TwistStamped",
        "Tool velocity in base axes [m/s, rad/s], from sim or driver to proprio.",
        10,
    ),
    _tick("proprio", f"{_OWN}/Proprio", "Measured robot state, from proprio to arbitration."),
    _tick("spacenav/twist", "geometry_msgs/Twist", "SpaceMouse axes, normalised; to teleop."),
    _tick("spacenav/joy", "sensor_msgs/Joy", "SpaceMouse buttons; to teleop."),
    _tick("teleop/command", f"{_OWN}/TeleopCommand", "What the person asks for; to arbitration."),
    _tick("observation", f"{_OWN}/Observation", "One numbered snapshot a tick, from arbitration."),
    _tick("reward", f"{_OWN}/Reward", "The classifier's verdict on one observation."),
    _tick("policy/chunk", f"{_OWN}/ActionChunk", "The chosen chunk, from policy to arbitration."),
    _tick("policy/candidates", f"{_OWN}/Candidates", "Every candidate and its Q: diagnostics."),
    _tick("step", f"{_OWN}/Step", "What was proposed and executed, by whom; from arbitration."),
    _newest(
        "robot/twist_cmd",
        "geometry_msgs/TwistStamped",
        "Tool velocity asked for, base axes [m/s, rad/s]; to sim or robot adapter.",
    ),
    _newest(
        "robot/gripper_cmd",
        "sensor_msgs/JointState",
        'Gripper velocity [m/s], name ["gripper"], opening positive; to sim or robot adapter.',
    ),
    # Changes follow one another quickly, and whoever is busy must not miss the one that ended it.
    _latched("episode/state", f"{_OWN}/EpisodeState", "The episode's state, at every change.", 10),
    _latched("episode/recorded", "std_msgs/UInt32", "Newest episode that recorder is done with."),
    _latched("session/plan", f"{_OWN}/SessionPlan", "What the session wants now."),
    _latched("session/status", f"{_OWN}/SessionStatus", "Progress, for people and displays."),
    _latched("learner/status", f"{_OWN}/LearnerStatus", "The learner's progress; to session."),
    _tick("sim/state", f"{_OWN}/SimState", "Ground truth, from sim to operator."),
    _tick("sim/operator_ready", "std_msgs/Header", "The operator has answered the stamped tick."),
    # A reader keeps one history over all writers of the topic, so it must hold a message of each.
    _latched("nodes/ready", "std_msgs/String", "A node's name once it is active.", TICK_DEPTH),
    Topic(
        "/diagnostics",
        "diagnostic_msgs/DiagnosticArray",
        "reliable",
        "volatile",
        10,
        "Health of each node, with named causes.",
    ),
)

SERVICES: Mapping[str, Service] = _table(
    Service("/reset_episode", "std_srvs/Trigger", "Ends the episode; the scene is reset."),
    Service("episode/mark_success", "std_srvs/Trigger", "Ends the episode as a success."),
    Service("episode/mark_failure", "std_srvs/Trigger", "Ends the episode as a failure."),
    Service("episode/pause", "std_srvs/Trigger", "Holds the arm still; the episode waits."),
    Service("episode/resume", "std_srvs/Trigger", "Goes on after a pause."),
    Service("estop", "std_srvs/SetBool", "true stops the arm for good, false frees it."),
    Service("learner/save_checkpoint", "std_srvs/Trigger", "Writes a checkpoint now."),
    Service("sim/reset", f"{_OWN}/ResetScene", "Puts scene and arm at a random start."),
)


def _lookup(table: Mapping[str, Entry], kind: str, name: str) -> Entry:
    if name in table:
        return table[name]
    near = difflib.get_close_matches(name, table, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(table)}"
    raise KeyError(f"no {kind} named {name!r} in expo_ft_ros/bringup/topics.py ({hint})")


def topic(name: str) -> Topic:
    """The topic of that name.

    Raises:
        KeyError: when the table has none; names the nearest.
    """
    return _lookup(TOPICS, "topic", name)


def service(name: str) -> Service:
    """The service of that name.

    Raises:
        KeyError: when the table has none; names the nearest.
    """
    return _lookup(SERVICES, "service", name)

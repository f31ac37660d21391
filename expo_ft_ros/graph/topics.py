# SPDX-License-Identifier: Apache-2.0
"""Every topic and service of the graph, with its type and quality of service: the one table.

Free of ROS: a node turns an entry into a publisher or subscription (`ros/graph_node.py`), tests and
documents read it. Names are relative, so that a namespace moves the whole graph, except for those
that ROS itself fixes (`/clock`, `/tf`, `/diagnostics`) and `/reset_episode`, which operators call
by hand. In a namespace other than the root these move, too (`OWN_ABSOLUTE`), but for
`/diagnostics`, which all graphs of a domain share.
"""

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal, TypeVar

OWN_ABSOLUTE = ("/clock", "/tf", "/tf_static", "/reset_episode")
"""Absolute in the root namespace, relative in another, where each graph has its own."""

OPTIONAL_PACKAGES = ("tf2_msgs",)
"""Of types without which a graph runs, too: their topics are then left out."""

Reliability = Literal["reliable", "best_effort"]
Durability = Literal["volatile", "transient_local"]

ROBOT = "robot"
"""Stands for the robot's adapter, whatever its node is called: sim, or another one."""

# Everything that belongs to a tick must arrive. 50 ticks are five seconds at 10 Hz.
TICK_DEPTH = 50

VIEW = "<view>"
"""What stands for a view's name in an entry of the table: there is such a topic for each view."""

# The arm stops within 250 ms of any node's end: a beat, this age, and what it takes to be told.
HEARTBEAT = 0.04
ALIVE_WITHIN = 0.15
# A node that computes in a callback seems alive for so long: longer than its answers' limits (1 s
# for a chunk, 0.5 s for a verdict), which stop the arm before that.
CALLBACK_TIMEOUT_LONG = 2.0


@dataclass(frozen=True)
class Topic:
    """One topic.

    Attributes:
        name: Name in the graph, before remapping; VIEW in it stands for a view's.
        type: Message type, "package/Message".
        publishers: Nodes that publish it, "every" for all; none where it comes from outside only.
        subscribers: Nodes that subscribe to it, as publishers; none where it is for people.
        reliability: Whether a lost message is sent again.
        durability: `transient_local` hands the newest messages to a late subscriber.
        depth: Messages kept; a reader of a reliable topic has room for ten at least.
        doc: What it means.
        shared: Others than the graph's nodes publish it, too; else a second publisher is a fault.
        commands: It moves the robot. Zero is taken from anybody, and a publisher refused once is
            never obeyed, also when the sender is gone.
    """

    name: str
    type: str
    publishers: tuple[str, ...]
    subscribers: tuple[str, ...]
    reliability: Reliability
    durability: Durability
    depth: int
    doc: str
    commands: bool = False
    shared: bool = False


@dataclass(frozen=True)
class Service:
    """One service: its name in the graph, its type "package/Service", the node that offers it, and
    what it does."""

    name: str
    type: str
    node: str
    doc: str


Entry = TypeVar("Entry", Topic, Service)


def _tick(name: str, type_: str, publishers: str, subscribers: str, doc: str) -> Topic:
    """Part of a tick: reliable, and deep enough that nobody who is busy misses one."""
    return _topic(name, type_, publishers, subscribers, "reliable", "volatile", TICK_DEPTH, doc)


def _latched(
    name: str, type_: str, publishers: str, subscribers: str, doc: str, depth: int = 1
) -> Topic:
    """A state: the newest is what counts, also for a late subscriber."""
    return _topic(name, type_, publishers, subscribers, "reliable", "transient_local", depth, doc)


def _newest(name: str, type_: str, publishers: str, subscribers: str, doc: str) -> Topic:
    """It must arrive, and a writer never has an older one wait."""
    return _topic(name, type_, publishers, subscribers, "reliable", "volatile", 1, doc)


def _command(name: str, type_: str, doc: str) -> Topic:
    """What moves the robot."""
    return replace(_newest(name, type_, "arbitration", ROBOT, doc), commands=True)


def _shared(entry: Topic) -> Topic:
    """Others than the graph's nodes publish it, too."""
    return replace(entry, shared=True)


def _driver(
    name: str, type_: str, subscribers: str, doc: str, depth: int, publishers: str = "sim"
) -> Topic:
    """From a driver or sim: best effort, because a best-effort reader matches every driver."""
    return _topic(name, type_, publishers, subscribers, "best_effort", "volatile", depth, doc)


def _topic(
    name: str,
    type_: str,
    publishers: str,
    subscribers: str,
    reliability: Reliability,
    durability: Durability,
    depth: int,
    doc: str,
) -> Topic:
    nodes = tuple(publishers.split()), tuple(subscribers.split())
    return Topic(name, type_, *nodes, reliability, durability, depth, doc)


def _table(*entries: Entry) -> Mapping[str, Entry]:
    return MappingProxyType({entry.name: entry for entry in entries})


_IMAGE = "sensor_msgs/Image"
_INFO = "sensor_msgs/CameraInfo"
_TF = "tf2_msgs/TFMessage"
_OWN = "expo_ft_ros"

TOPICS: Mapping[str, Topic] = _table(
    _newest("/clock", "rosgraph_msgs/Clock", "sim", "every", "Simulated time."),
    _driver(
        f"{VIEW}_camera/image_raw",
        _IMAGE,
        "camera",
        "A view's camera as its driver gives it; the topic's name is the robot's (views.topic).",
        1,
        "sim camera_driver",
    ),
    _topic(
        f"camera/{VIEW}/image_raw",
        _IMAGE,
        "camera",
        "arbitration monitor bringup",
        "reliable",
        "volatile",
        5,
        "A view's image, rgb8 224x224; the driver's stamp.",
    ),
    _driver(
        f"{VIEW}_camera/camera_info",
        _INFO,
        "camera",
        "Calibration of a view's camera, beside its images; need not be there.",
        1,
        "sim camera_driver",
    ),
    _newest(
        f"camera/{VIEW}/camera_info",
        _INFO,
        "camera",
        "monitor bringup",
        "A view's calibration, as of the part of the image that is seen.",
    ),
    _latched(
        f"camera/{VIEW}/mount",
        "geometry_msgs/TransformStamped",
        "sim",
        "monitor teleop bringup",
        "Where a simulated camera is, as on /tf_static: its optical frame in base or tool.",
    ),
    _driver(
        "joint_states",
        "sensor_msgs/JointState",
        "proprio recorder bringup",
        "Arm joints [rad] and both fingers, each half of the opening [m].",
        10,
        ROBOT,
    ),
    _driver(
        "robot/tcp_pose",
        "geometry_msgs/PoseStamped",
        "proprio bringup",
        "Tool centre point in the base frame [m].",
        10,
        ROBOT,
    ),
    _driver(
        "robot/tcp_twist",
        "geometry_msgs/TwistStamped",
        "proprio bringup",
        "Tool velocity in base axes [m/s, rad/s].",
        10,
        ROBOT,
    ),
    _shared(
        _topic(
            "/tf",
            _TF,
            ROBOT,
            "recorder",
            "reliable",
            "volatile",
            100,
            "The tool in the robot's base frame, where tf2_msgs is installed.",
        )
    ),
    _shared(
        _latched(
            "/tf_static",
            _TF,
            ROBOT,
            "recorder monitor teleop bringup",
            "The simulated cameras: optical frames in base or tool, where tf2_msgs is installed.",
        )
    ),
    _tick(
        "proprio",
        f"{_OWN}/Proprio",
        "proprio",
        "arbitration operator leader monitor",
        "Robot's state.",
    ),
    _tick(
        "spacenav/twist",
        "geometry_msgs/Twist",
        "operator spacemouse",
        "teleop",
        "SpaceMouse axes, normalised; spacenav_node's in the operator's place.",
    ),
    _tick(
        "spacenav/joy",
        "sensor_msgs/Joy",
        "operator spacemouse",
        "teleop",
        "SpaceMouse buttons; spacenav_node's in the operator's place.",
    ),
    _topic(
        "joy",
        "sensor_msgs/Joy",
        "keyboard leader bringup",
        "teleop",
        "best_effort",
        "volatile",
        TICK_DEPTH,
        "Axes and buttons of a gamepad by a driver such as joy_node (operator:=gamepad), or of "
        "./expo-ft keyboard (operator:=keyboard), of a leader arm (operator:=leader), or of the "
        "guide of ./expo-ft bringup.",
    ),
    _driver(
        "leader/joint_states",
        "sensor_msgs/JointState",
        "leader",
        "Joints of a leader arm [rad]; the topic's name is that of config/leader.yaml.",
        10,
        "",
    ),
    _driver(
        "leader/joy",
        "sensor_msgs/Joy",
        "leader",
        "Buttons beside a leader arm, as a pedal's by joy_node (clutch: button).",
        10,
        "",
    ),
    _latched(
        "leader/robot_description",
        "std_msgs/String",
        "",
        "leader",
        "URDF of a leader arm, as robot_state_publisher tells it; named as the joint states' is.",
    ),
    _tick(
        "teleop/command",
        f"{_OWN}/TeleopCommand",
        "teleop",
        "arbitration monitor recorder",
        "What the operator asks for.",
    ),
    _tick(
        "observation",
        f"{_OWN}/Observation",
        "arbitration",
        "reward policy learner recorder monitor",
        "One numbered snapshot a tick.",
    ),
    _tick(
        "reward",
        f"{_OWN}/Reward",
        "reward",
        "arbitration learner recorder monitor",
        "The classifier's verdict on one observation.",
    ),
    _tick(
        "policy/chunk",
        f"{_OWN}/ActionChunk",
        "policy",
        "arbitration recorder",
        "The chosen chunk.",
    ),
    _latched(
        "policy/lost",
        "std_msgs/String",
        "policy",
        "arbitration",
        "Why there are no chunks: the policy's server is lost; empty once it is back.",
    ),
    _tick(
        "policy/candidates",
        f"{_OWN}/Candidates",
        "policy",
        "session recorder monitor",
        "Every candidate and its Q: diagnostics.",
    ),
    _tick(
        "step",
        f"{_OWN}/Step",
        "arbitration",
        "learner recorder operator teleop leader monitor bringup",
        "What was proposed and executed, and by whom.",
    ),
    _command(
        "robot/twist_cmd",
        "geometry_msgs/TwistStamped",
        "Tool velocity asked for, base axes [m/s, rad/s].",
    ),
    _command(
        "robot/gripper_cmd",
        "sensor_msgs/JointState",
        'Gripper velocity [m/s], name ["gripper"], opening positive.',
    ),
    _latched(
        "robot/motion",
        "std_msgs/Bool",
        "arbitration",
        "monitor",
        "Whether commands reach the arm; false: what is sent to it is zero (motion:=off).",
    ),
    _tick(
        "shadow/twist_cmd",
        "geometry_msgs/TwistStamped",
        "arbitration",
        "recorder monitor",
        "With motion off, what robot/twist_cmd would have been.",
    ),
    _tick(
        "shadow/gripper_cmd",
        "sensor_msgs/JointState",
        "arbitration",
        "recorder monitor",
        "With motion off, what robot/gripper_cmd would have been.",
    ),
    _latched(
        "robot/fault",
        "std_msgs/String",
        ROBOT,
        "arbitration monitor bringup",
        "Why the robot has stopped itself; empty at its start and once the robot has recovered.",
    ),
    _latched(
        "episode/state",
        f"{_OWN}/EpisodeState",
        "arbitration",
        "operator teleop leader learner recorder session monitor bringup",
        "The episode's state, at every change; a busy subscriber has room for several.",
    ),
    _latched(
        "episode/recorded",
        f"{_OWN}/EpisodeRecorded",
        "recorder",
        "session",
        "Newest episode that the recorder is done with.",
    ),
    _latched(
        "session/plan",
        f"{_OWN}/SessionPlan",
        "session",
        "arbitration operator policy learner recorder",
        "What the session wants now.",
    ),
    _latched(
        "session/status", f"{_OWN}/SessionStatus", "session", "monitor", "Progress, for people."
    ),
    _latched(
        "learner/status",
        f"{_OWN}/LearnerStatus",
        "learner",
        "session policy monitor",
        "The learner's progress; policy hears of new weights in async mode.",
    ),
    _shared(
        _newest(
            "robots/present",
            "diagnostic_msgs/KeyValue",
            "session",
            "learner session",
            "Twice a second, in the run's namespace, by each robot that has joined the run: its "
            "name, and which process of which machine it is.",
        )
    ),
    _tick("sim/state", f"{_OWN}/SimState", "sim", "operator monitor", "Ground truth."),
    _tick(
        "sim/operator_ready",
        "std_msgs/Header",
        "operator",
        "sim",
        "The operator has answered the stamped tick.",
    ),
    _newest(
        "monitor/markers",
        "visualization_msgs/MarkerArray",
        "monitor",
        "",
        "Candidates, the chosen one, edits, what was executed, workspace, regions, state.",
    ),
    _newest("monitor/executed", "nav_msgs/Path", "monitor", "", "Where the tool was this episode."),
    _newest(
        f"monitor/{VIEW}/image_raw",
        _IMAGE,
        "monitor",
        "",
        "A view's image, with what the classifier sees and where the policy's chunks go.",
    ),
    _newest("monitor/q", _IMAGE, "monitor", "", "Q of the candidates over the episode, a plot."),
    # A reader keeps one history over all writers of the topic, so it must hold a message of each.
    _latched(
        "nodes/ready",
        "std_msgs/String",
        "every",
        "session",
        "A node's name once it is active.",
        TICK_DEPTH,
    ),
    _tick(
        "nodes/heartbeat",
        "std_msgs/String",
        "every",
        "arbitration",
        "A node's name, in real time every 40 ms while it is active and doesn't hang.",
    ),
    _topic(
        "/diagnostics",
        "diagnostic_msgs/DiagnosticArray",
        "every",
        "session monitor keyboard",
        "reliable",
        "volatile",
        10,
        "Health of each node, with named causes.",
    ),
)

_OF_VIEWS = [
    (re.compile(re.escape(name).replace(VIEW, "[a-z][a-z0-9_]*")), entry)
    for name, entry in TOPICS.items()
    if VIEW in name
]

_TRIGGER = "std_srvs/Trigger"

SERVICES: Mapping[str, Service] = _table(
    Service(
        "/reset_episode",
        _TRIGGER,
        "arbitration",
        "Ends the episode that is on, and the scene is reset; between episodes the operator "
        "says so that what was asked is done.",
    ),
    Service("episode/mark_success", _TRIGGER, "arbitration", "Ends the episode as a success."),
    Service("episode/mark_failure", _TRIGGER, "arbitration", "Ends the episode as a failure."),
    Service(
        "episode/redo",
        _TRIGGER,
        "arbitration",
        "Discards the last demonstration, which comes again: the one that is being driven, else "
        "the last that is over.",
    ),
    Service("episode/pause", _TRIGGER, "arbitration", "Holds the arm still; the episode waits."),
    Service("episode/resume", _TRIGGER, "arbitration", "Goes on after a pause."),
    Service("estop", "std_srvs/SetBool", "arbitration", "true stops the arm, false frees it."),
    Service(
        "teleop/acknowledge",
        _TRIGGER,
        "teleop",
        "The operator knows that the device was lost while driving: the policy may go on.",
    ),
    Service(
        "learner/save_checkpoint",
        _TRIGGER,
        "learner",
        "Writes a checkpoint: now, or when the episode is over.",
    ),
    Service(
        "robot/recover",
        _TRIGGER,
        ROBOT,
        "Where the adapter can: it recovers the robot from its own stop. Call it once you have "
        "seen why, that nobody is within reach and that nothing presses on the arm, which moves "
        "again only once estop has been released, too.",
    ),
    Service(
        "sim/reset",
        f"{_OWN}/ResetScene",
        ROBOT,
        "Where the robot can: puts scene and arm at a random start; asked again for the same "
        "episode, nothing moves.",
    ),
)


def _lookup(table: Mapping[str, Entry], kind: str, name: str) -> Entry:
    if name in table:
        return table[name]
    near = difflib.get_close_matches(name, table, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(table)}"
    raise KeyError(f"no {kind} named {name!r} in expo_ft_ros/graph/topics.py ({hint})")


def topic(name: str) -> Topic:
    """The topic of that name; a view's is that of its entry, under its own name.

    Raises:
        KeyError: when the table has none; names the nearest.
    """
    for pattern, entry in _OF_VIEWS:
        if pattern.fullmatch(name):
            return replace(entry, name=name)
    return _lookup(TOPICS, "topic", name)


def topics_of(view_names: Sequence[str]) -> Mapping[str, Topic]:
    """The whole table for a robot of these views: name -> topic."""
    return {
        name: topic(name)
        for entry in TOPICS
        for name in (
            [entry.replace(VIEW, view) for view in view_names] if VIEW in entry else [entry]
        )
    }


def service(name: str) -> Service:
    """The service of that name.

    Raises:
        KeyError: when the table has none; names the nearest.
    """
    return _lookup(SERVICES, "service", name)

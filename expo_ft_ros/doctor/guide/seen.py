# SPDX-License-Identifier: Apache-2.0
"""What the guide knows of the arm, and what it asks of it; the node fills one and obeys the other.

All times are those of one clock, which the stamps of what is measured are of [s].
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from expo_ft_ros.data.rotation import compose, inverse, rotation_vector
from expo_ft_ros.data.types import ImageArray
from expo_ft_ros.monitor.projection import Camera

Vector = NDArray[np.float64]

_KEPT = 4000
"""Messages of each kind: more than the longest thing that is judged takes."""


class Pose(NamedTuple):
    """Where the tool was: stamp [s], position (3,) [m], quaternion (4,) x y z w."""

    stamp: float
    position: Vector
    quaternion: Vector


class Executed(NamedTuple):
    """A command that left for the robot: stamp [s], velocity (7,) [m/s, rad/s, m/s], and why it was
    altered or held; empty where it wasn't."""

    stamp: float
    velocity: Vector
    cause: str


@dataclass
class Episode:
    """What the control loop says of itself.

    Attributes:
        state: As of episode/state; empty before it was heard.
        stamp: When that was said [s].
        cause: Why it is held or has ended.
        asked: What the operator is asked to do before anything moves.
        paused: Whether a pause holds.
    """

    state: str = ""
    stamp: float = 0.0
    cause: str = ""
    asked: str = ""
    paused: bool = False


@dataclass
class Seen:
    """What has been heard, and the time.

    Attributes:
        now: [s].
        poses: Of the tool, newest last.
        twists: (stamp [s], velocity (6,)) of the tool, newest last.
        steps: Commands that left for the robot, newest last.
        width: Opening of the gripper [m]; None before it was heard.
        episode: The control loop's word.
        fault: Why the robot has stopped itself; empty where it hasn't.
        images: View -> its newest image (h, w, 3) RGB.
        cameras: View -> its camera, where it is known.
        unknown: View of any other -> what isn't known of it.
        answer: What the control loop has answered to the newest word that the scene is set.
    """

    now: float = 0.0
    poses: deque[Pose] = field(default_factory=lambda: deque(maxlen=_KEPT))
    twists: deque[tuple[float, Vector]] = field(default_factory=lambda: deque(maxlen=_KEPT))
    steps: deque[Executed] = field(default_factory=lambda: deque(maxlen=_KEPT))
    width: float | None = None
    episode: Episode = field(default_factory=Episode)
    fault: str = ""
    images: dict[str, ImageArray] = field(default_factory=dict)
    cameras: dict[str, Camera] = field(default_factory=dict)
    unknown: dict[str, str] = field(default_factory=dict)
    answer: str = ""

    def steps_since(self, stamp: float) -> list[Executed]:
        """Commands that left after `stamp`."""
        return [step for step in self.steps if step.stamp > stamp]

    def poses_since(self, stamp: float) -> list[Pose]:
        """Poses that were measured after `stamp`."""
        return [pose for pose in self.poses if pose.stamp > stamp]


@dataclass
class Asked:
    """What the guide asks for, as a device does.

    Attributes:
        action: (6,) deflection along and about the base's axes, in [-1, 1].
        drives: Whether it has the arm, also at rest.
        gripper: Which of the gripper's buttons is held.
        scene_is_set: Whether the control loop is to be told so; taken back by what does it.
    """

    action: Vector = field(default_factory=lambda: np.zeros(6))
    drives: bool = False
    gripper: Literal["", "open", "close"] = ""
    scene_is_set: bool = False

    def rest(self) -> None:
        """The arm stands; it stays the guide's where it was."""
        self.action, self.gripper = np.zeros(6), ""

    def let_go(self) -> None:
        """The arm stands, and is nobody's."""
        self.rest()
        self.drives = False


def displacement(start: Pose, end: Pose) -> Vector:
    """(6,) from one pose to another: shift [m], then turn [rad], in the base's axes."""
    turn = rotation_vector(compose(end.quaternion, inverse(start.quaternion)))
    return np.concatenate([end.position - start.position, turn])


def commanded(steps: list[Executed], until: float) -> Vector:
    """(7,) how far the commands lead: each lasts until the next one, the last until `until` [s]."""
    ends = [*(step.stamp for step in steps[1:]), until]
    moved = np.zeros(7)
    for step, end in zip(steps, ends, strict=True) if steps else ():
        moved += step.velocity * max(0.0, end - step.stamp)
    return moved

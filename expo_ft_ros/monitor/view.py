# SPDX-License-Identifier: Apache-2.0
"""What the operator sees of the graph at one moment, as plain values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from expo_ft_ros.control.episode_machine import EpisodeSnapshot
from expo_ft_ros.data.types import FloatArray, ImageArray, Source
from expo_ft_ros.monitor.paths import GripperChange
from expo_ft_ros.monitor.projection import Camera
from expo_ft_ros.monitor.training import Training


class Level(IntEnum):
    """How bad a diagnostic is; the values are those of diagnostic_msgs/DiagnosticStatus."""

    OK = 0
    WARN = 1
    ERROR = 2
    STALE = 3


class Diagnostic(NamedTuple):
    """What a node says of its health, or of one of its parts."""

    level: Level
    name: str
    message: str


@dataclass(frozen=True)
class SessionView:
    """Of msg/SessionStatus, which documents its fields."""

    stage: str = ""
    stage_episodes: int = 0
    stage_episodes_total: int = 0
    env_steps: int = 0
    env_steps_total: int = 0
    note: str = ""


@dataclass(frozen=True)
class LearningView:
    """What the learner does now; stage, progress: of msg/LearnerStatus; seconds_left: of what it
    does, estimated; NaN: unknown."""

    stage: str = ""
    progress: float = 0.0
    seconds_left: float = math.nan


@dataclass(frozen=True)
class View:
    """A field that nobody has told yet keeps its default, which is shown as unknown.

    Positions are in the base frame [m]. A view's arrays aren't changed after it is made.

    Attributes:
        time: Of the run [s].
        session: Where the run is.
        learning: What the learner does; its stage is "" where nothing learns.
        take_over: What the operator does to take over; "" where it is scripted, or nobody is there.
        result: What came of the run, once it is over; "" before.
        ending: Whether the run is being ended before it came to a result; nothing is heard after.
        fault: What the robot has stopped itself for, until it has recovered; "" for nothing.
        episode: Episode, stage, state, steps, cause, asked, paused ... of msg/EpisodeState.
        max_steps: After which the episode times out; 0: unknown.
        driver: Who gave the newest step; in a reset that is the arm's own, who drives.
        cause: Why that was held or altered; "" where it was not.
        reward: The classifier's newest words.
        position: (3,) tool centre point; None before there is one.
        quaternion: (4,) x, y, z, w of the tool.
        gripper_width: Between the fingertips [m].
        joints: (n,) [rad]; the arm is drawn where there are seven.
        q: (K,) of the newest candidates; NaN where there is no critic.
        kind: (K,) of CandidateKind.
        member_spread: (K,) standard deviation of Q among the critic's members; (0,): unknown.
        chosen: Index of the executed one; -1: none.
        paths: (K, H + 1, 3) where each would take the tool (`paths.tool_paths`).
        gripper: Where the executed one opens or closes the gripper.
        executed: (M, 3) where the tool was in this episode, from its start on.
        sources: (M,) of `Source`: who brought it there, the start's being the first step's.
        images: Name of a camera's view -> (h, w, 3) RGB with its overlay; none before each camera
            has given one.
        cameras: Name of each view of which it is known -> its camera.
        objects: Name of each thing of which the simulation tells -> (3,) where it is.
        q_history: (n, 4) over this episode: step, least and greatest Q of the candidates, Q of the
            chosen one.
        training: How it goes.
        left: Of the whole run's time, in words; "" where that isn't told.
        motion_off: Whether the arm is commanded to stand whatever is asked for, as arbitration
            says; False before it has said.
        shadow: (7,) what the arm would be sent now, in base axes [m/s, rad/s], and the gripper's
            opening [m/s]; None where motion is on, or nothing was asked for yet.
        status: Name -> words, in the order of display: timings, the learner's progress ...
        diagnostics: Of every node, in any order.
    """

    time: float = 0.0
    session: SessionView = field(default_factory=SessionView)
    learning: LearningView = field(default_factory=LearningView)
    take_over: str = ""
    result: str = ""
    ending: bool = False
    fault: str = ""
    episode: EpisodeSnapshot = field(default_factory=EpisodeSnapshot)
    max_steps: int = 0
    driver: Source = Source.HOLD
    cause: str = ""
    reward: str = ""
    position: NDArray[np.float64] | None = None
    quaternion: NDArray[np.float64] = field(default_factory=lambda: np.array([1.0, 0.0, 0.0, 0.0]))
    gripper_width: float = 0.0
    joints: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    q: FloatArray = field(default_factory=lambda: np.zeros(0, np.float32))
    kind: NDArray[np.uint8] = field(default_factory=lambda: np.zeros(0, np.uint8))
    member_spread: FloatArray = field(default_factory=lambda: np.zeros(0, np.float32))
    chosen: int = -1
    paths: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 1, 3)))
    gripper: tuple[GripperChange, ...] = ()
    executed: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 3)))
    sources: NDArray[np.uint8] = field(default_factory=lambda: np.zeros(0, np.uint8))
    images: Mapping[str, ImageArray] = field(default_factory=dict)
    cameras: Mapping[str, Camera] = field(default_factory=dict)
    objects: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    q_history: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 4)))
    training: Training = field(default_factory=Training)
    left: str = ""
    motion_off: bool = False
    shadow: NDArray[np.float64] | None = None
    status: Mapping[str, str] = field(default_factory=dict)
    diagnostics: tuple[Diagnostic, ...] = ()
